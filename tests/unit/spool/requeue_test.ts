import { assert, assertEquals, assertRejects } from "@std/assert";
import { DeadLetter } from "../../../src/spool/dead_letter.ts";
import { DiskBudget } from "../../../src/spool/disk_budget.ts";
import { purgeStopped, requeueSegment, requeueStopped } from "../../../src/spool/requeue.ts";
import { SpoolError } from "../../../src/spool/spool_error.ts";
import { METRIC_LAYOUT } from "../../../src/telemetry/catalogue.ts";
import { Metrics } from "../../../src/telemetry/registry.ts";
import { ManualClock } from "../../support/manual_clock.ts";
import { type SimFault, SimStorage } from "../../support/sim_storage.ts";
import {
  closePartition,
  deadRecords,
  numbered,
  numberOf,
  openPartition,
  PARTITION,
  readAll,
} from "../../support/spool_fixture.ts";

const clock = new ManualClock();
const settings = { clock, segmentBytesMax: 400 };
const WAITING = [0, 1, 3];
const DEAD = [500, 501, 502, 503, 504, 505];

function openDead(storage: SimStorage, budget = DiskBudget.create(1 << 20)) {
  const metrics = new Metrics(METRIC_LAYOUT);
  return DeadLetter.open({ storage, folder: PARTITION, budget, clock, metrics, bytesMax: 2400 });
}

/** Four records of which one is settled, and six dead ones in several segments. */
async function stoppedNode(): Promise<SimStorage> {
  const storage = new SimStorage({});
  const partition = await openPartition(storage, { segmentBytesMax: 400 });
  for (let n = 0; n < 4; n++) await partition.writer.append(numbered(n));
  for (const record of await readAll(partition.reader)) {
    if (numberOf(record) === 2) partition.reader.settle(record.position);
  }
  await closePartition(partition);
  const dead = await openDead(storage);
  for (const n of DEAD) await dead.append(numbered(n), `refused ${n}`);
  await dead.close();
  return storage;
}

async function waiting(storage: SimStorage): Promise<{ number: number; requeued: boolean }[]> {
  const partition = await openPartition(storage, { segmentBytesMax: 400 });
  const records = await readAll(partition.reader);
  await closePartition(partition);
  return records.map((record) => ({ number: numberOf(record), requeued: record.requeued }));
}

Deno.test("requeueStopped: dead records wait like others, without their reason, and say that they were requeued", async () => {
  const storage = await stoppedNode();
  const { records, bytes, damaged } = await requeueStopped(storage, PARTITION, settings);
  assertEquals([records, damaged], [DEAD.length, 0]);
  assert(bytes > DEAD.length * 64);
  assertEquals(await deadRecords(storage), []);
  assertEquals(await waiting(storage), [
    ...WAITING.map((number) => ({ number, requeued: false })),
    ...DEAD.map((number) => ({ number, requeued: true })),
  ]);
});

Deno.test("requeueStopped: a partition without dead letters, or without a folder for them, stays as it is", async () => {
  const storage = new SimStorage({});
  await storage.ensureFolder(PARTITION);
  assertEquals(await requeueStopped(storage, PARTITION, settings), { records: 0, bytes: 0, damaged: 0 });
  assertEquals(storage.files.size, 0);
});

for (
  const fault of ["io", "no_space", "power_loss_before", "power_loss_after"] as const satisfies SimFault[]
) {
  Deno.test(`requeueStopped: ${fault} at any call loses nothing, and the next try ends it`, async () => {
    let [survived, index] = [false, 0];
    for (; !survived; index++) {
      assert(index < 500);
      const storage = await stoppedNode();
      storage.crash();
      storage.fault = (call) => call.index === index ? fault : null;
      survived = await requeueStopped(storage, PARTITION, settings).then(
        () => storage.calls <= index,
        () => false,
      );
      storage.fault = () => null;
      storage.crash();
      const between = [
        ...(await waiting(storage)).map(({ number }) => number),
        ...(await deadRecords(storage)).map(([number]) => number),
      ];
      assertEquals([...new Set(between)].sort((a, b) => a - b), [...WAITING, ...DEAD]);
      await requeueStopped(storage, PARTITION, settings);
      assertEquals(await deadRecords(storage), []);
      const found = (await waiting(storage)).map(({ number }) => number);
      assertEquals([...new Set(found)].sort((a, b) => a - b), [...WAITING, ...DEAD]);
    }
    assert(index > 20);
  });
}

Deno.test("requeueStopped: a damaged record is counted and costs itself alone", async () => {
  const storage = await stoppedNode();
  const [path] = [...storage.files.keys()].filter((name) => name.includes("/dead/"));
  storage.files.get(path!)!.content[70]! ^= 1;
  const { records, damaged } = await requeueStopped(storage, PARTITION, settings);
  assertEquals([records, damaged], [DEAD.length - 1, 1]);
});

Deno.test("requeueSegment: beside a node that appends, segment by segment, what is rejected again stays dead", async () => {
  const storage = await stoppedNode();
  const dead = await openDead(storage);
  const partition = await openPartition(storage, { segmentBytesMax: 400 });
  const sealed = await dead.seal();
  assert(sealed.length > 2);
  let records = 0;
  for (const { number } of sealed) {
    await dead.append(numbered(600 + number), "again");
    await partition.writer.append(numbered(700 + number));
    records += (await requeueSegment(storage, PARTITION, number, partition.writer)).records;
    await dead.discard(number);
    await dead.discard(number);
  }
  assertEquals(records, DEAD.length);
  assertEquals(
    (await deadRecords(storage)).map(([number]) => number),
    sealed.map(({ number }) => 600 + number),
  );
  const found = (await readAll(partition.reader)).map(numberOf).sort((a, b) => a - b);
  assertEquals(found, [...WAITING, ...DEAD, ...sealed.map(({ number }) => 700 + number)]);
  assertEquals((await requeueSegment(storage, PARTITION, 1, partition.writer)).records, 0);
  await dead.close();
  await closePartition(partition);
});

Deno.test("requeueSegment: a spool without room refuses, and the dead segment stays", async () => {
  const storage = await stoppedNode();
  const partition = await openPartition(storage, { budget: DiskBudget.create(200) });
  const { writer } = partition;
  const error = await assertRejects(() => requeueSegment(storage, PARTITION, 1, writer), SpoolError);
  assertEquals(error.kind, "full");
  assertEquals((await deadRecords(storage)).length, DEAD.length);
  await closePartition(partition);
});

Deno.test("DeadLetter.discard: gives the room back, and what is appended after seal is kept", async () => {
  const storage = new SimStorage({});
  const budget = DiskBudget.create(1 << 20);
  const dead = await openDead(storage, budget);
  await dead.append(numbered(1), "x");
  const [first] = await dead.seal();
  await dead.append(numbered(2), "x");
  await dead.discard(first!.number);
  assertEquals((await deadRecords(storage)).map(([number]) => number), [2]);
  assertEquals([dead.bytes, budget.bytesUsed], [storage.bytes, storage.bytes]);
  await dead.close();
});

Deno.test("DeadLetter.discard: leaves a segment alone that a later life gave the same number", async () => {
  const storage = new SimStorage({});
  const first = await openDead(storage);
  await first.append(numbered(1), "x");
  const [sealed] = await first.seal();
  await first.close();
  await storage.remove("spool/p0/dead/000000000001.seg");
  const second = await openDead(storage);
  await second.append(numbered(2), "x");
  await second.discard(sealed!.number);
  assertEquals((await deadRecords(storage)).map(([number]) => number), [2]);
  await second.close();
});

Deno.test("purgeStopped: deletes the dead letter, and what waits only when told", async () => {
  const storage = await stoppedNode();
  await purgeStopped(storage, PARTITION, false);
  assertEquals([await deadRecords(storage), (await waiting(storage)).length], [[], WAITING.length]);
  await purgeStopped(storage, PARTITION, true);
  assertEquals(await waiting(storage), []);
});

Deno.test("purgeStopped: after a crash at any call no new record is taken for one that was deleted", async () => {
  for (let index = 0; index < 30; index++) {
    const storage = await stoppedNode();
    storage.crash();
    storage.fault = (call) => call.index === index ? "power_loss_after" : null;
    await purgeStopped(storage, PARTITION, true).catch(() => {});
    storage.fault = () => null;
    storage.crash();
    const partition = await openPartition(storage);
    for (let n = 900; n < 905; n++) await partition.writer.append(numbered(n));
    await closePartition(partition);
    const found = (await waiting(storage)).map(({ number }) => number);
    assertEquals(found.filter((number) => number >= 900), [900, 901, 902, 903, 904]);
  }
});
