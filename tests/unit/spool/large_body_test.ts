/** Large bodies on their further ways: given up, requeued, adopted, damaged, purged. */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { concatBytes } from "../../../src/core/bytes.ts";
import { DeadLetter } from "../../../src/spool/dead_letter.ts";
import { decodeLargeBody, encodeLargeBody, largePath, newLargeName } from "../../../src/spool/large_body.ts";
import { LargeBodyLost } from "../../../src/spool/large_reader.ts";
import { purgeStopped, requeueSegment } from "../../../src/spool/requeue.ts";
import type { SpoolRecord } from "../../../src/spool/record.ts";
import { openSpoolFolder } from "../../../src/spool/spool_folder.ts";
import { SpoolError } from "../../../src/spool/spool_error.ts";
import { DiskBudget } from "../../../src/spool/disk_budget.ts";
import { seededRandom } from "../../support/seeded_random.ts";
import { type SimFault, SimStorage } from "../../support/sim_storage.ts";
import {
  appendLarge,
  closePartition,
  numbered,
  numberOf,
  openPartition,
  PARTITION,
  type Partition,
  readAll,
  whole,
} from "../../support/spool_fixture.ts";

const files = (storage: SimStorage): string[] =>
  [...storage.files.keys()].filter((path) => /\.(body|part)$/.test(path));

async function openDead(storage: SimStorage, { budget, clock, metrics }: Partition, bytesMax = 1 << 20) {
  return await DeadLetter.open({ storage, folder: PARTITION, budget, clock, metrics, bytesMax });
}

/** A partition with one large record in hand. */
async function withLarge(storage: SimStorage, number = 1, budget = DiskBudget.create(1 << 20)) {
  const partition = await openPartition(storage, { budget });
  await appendLarge(partition.writer, numbered(number, 500));
  const [record] = await readAll(partition.reader);
  return { partition, record: record! };
}

Deno.test("large bodies: the reference of a record is read as it was written", () => {
  const body = { name: newLargeName(), bytes: 2 ** 40 + 1, crc: 0xfedcba98 };
  assertEquals(decodeLargeBody(encodeLargeBody(body)), body);
});

Deno.test("large bodies: a rejected one moves to the dead letter, comes back whole, and goes with its end", async () => {
  const storage = new SimStorage({});
  const { partition, record } = await withLarge(storage);
  const { reader, writer, budget } = partition;
  const dead = await openDead(storage, partition);
  const { meta, large, receivedAtMs, projectHash, categoryBits } = record;
  const body = [encodeLargeBody(large!)];
  assert(await dead.append({ receivedAtMs, projectHash, categoryBits, meta, body, isLarge: true }, "400"));
  reader.settle(record.position);
  await reader.checkpoint();
  assertEquals(files(storage).map((path) => path.includes("/dead/")), [true]);

  const [segment] = await dead.seal();
  assertEquals((await requeueSegment(storage, PARTITION, segment!.number, writer)).records, 1);
  await dead.discard(segment!.number);
  assertEquals(files(storage).map((path) => path.includes("/dead/")), [false]);
  const [again] = await readAll(reader);
  assertEquals([numberOf(await whole(reader, again!)), again!.requeued], [1, true]);
  reader.settle(again!.position);
  await dead.close();
  await closePartition(partition);
  assertEquals(files(storage), []);
  assertEquals(
    budget.bytesUsed,
    storage.bytes - storage.files.get(`${PARTITION}/checkpoint`)!.content.length,
  );
});

Deno.test("large bodies: a dead letter opened again knows its bodies, and removes those nobody names", async () => {
  const storage = new SimStorage({});
  const { partition, record } = await withLarge(storage);
  const dead = await openDead(storage, partition);
  const body = [encodeLargeBody(record.large!)];
  await dead.append({ ...numbered(1), body, isLarge: true }, "400");
  await dead.close();
  await storage.link(
    largePath(PARTITION, record.large!.name),
    largePath(`${PARTITION}/dead`, newLargeName()),
  );
  const again = await openDead(storage, partition, 900);
  assertEquals(files(storage).filter((path) => path.includes("/dead/")).length, 1);
  const used = partition.budget.bytesUsed;
  // The next one needs the room of the first.
  await again.append({ ...numbered(2), body, isLarge: true }, "400");
  assertEquals(files(storage).filter((path) => path.includes("/dead/")).length, 1);
  assert(partition.budget.bytesUsed <= used);
  await again.close();
  await closePartition(partition);
  await purgeStopped(storage, PARTITION, true);
  assertEquals(files(storage), []);
});

Deno.test("large bodies: one that is missing, short, long or damaged is never handed out whole", async () => {
  const harm: ((content: Uint8Array) => Uint8Array | null)[] = [
    () => null,
    (content) => content.subarray(1),
    (content) => new Uint8Array([...content, 0]),
    (content) => content.with(499, content[499]! ^ 1),
    (content) => content.with(0, content[0]! ^ 1),
  ];
  for (const change of harm) {
    const storage = new SimStorage({});
    const { partition, record } = await withLarge(storage);
    const path = largePath(PARTITION, record.large!.name);
    const content = change(storage.files.get(path)!.content);
    if (content) storage.files.get(path)!.content = content;
    else storage.files.delete(path);
    let read = 0;
    await assertRejects(async () => {
      for await (const piece of partition.reader.readLarge(record.large!)) read += piece.length;
    }, LargeBodyLost);
    assert(read < 500);
    partition.reader.settle(record.position);
    await closePartition(partition);
  }
});

Deno.test("large bodies: a full budget refuses them while they arrive, and nothing is left", async () => {
  const storage = new SimStorage({});
  const partition = await openPartition(storage, { budget: DiskBudget.create(1000) });
  const error = await assertRejects(() => appendLarge(partition.writer, numbered(1, 1500)), SpoolError);
  assertEquals([error.kind, files(storage), partition.budget.bytesUsed], ["full", [], 0]);
  await closePartition(partition);
});

/** A record of which parts are put right before it is sealed. */
async function appendPatched(writer: Partition["writer"], record: SpoolRecord): Promise<void> {
  const content = concatBytes(record.body);
  const upload = await writer.openLarge();
  try {
    const draft = content.slice().fill(0xaa, 10, 40).fill(0xbb, 300);
    await upload.write([draft.subarray(0, 50)]);
    await upload.patch(10, draft.slice(10, 40), content.subarray(10, 40));
    await upload.write([draft.subarray(50, 350), draft.subarray(350)]);
    await upload.patch(300, draft.slice(300), content.subarray(300));
    const body = [encodeLargeBody(await upload.seal())];
    await writer.append({ ...record, body, isLarge: true });
    upload.keep();
  } finally {
    await upload.discard();
  }
}

Deno.test("large bodies: one that was put right is read as it is at last, or there is none, whatever call fails or a crash comes at", async () => {
  const faults: SimFault[] = ["io", "no_space", "power_loss_before", "power_loss_after"];
  for (const fault of faults) {
    for (let index = 0;; index++) {
      const random = seededRandom(index);
      const storage = new SimStorage({ random, shortWrites: true });
      const first = await openPartition(storage);
      storage.calls = 0;
      storage.fault = (call) => call.index === index ? fault : null;
      let isAcknowledged = false;
      await appendPatched(first.writer, numbered(1, 500)).then(() => isAcknowledged = true, () => {});
      const isDone = storage.calls <= index;
      storage.fault = () => null;
      if (!isAcknowledged && !fault.startsWith("power")) {
        assertEquals([files(storage), first.budget.bytesUsed < 500], [[], true], `${fault} at ${index}`);
      }
      storage.crash();
      const { writer, reader } = await openPartition(storage);
      const numbers: number[] = [];
      for (const record of await readAll(reader)) numbers.push(numberOf(await whole(reader, record)));
      if (isAcknowledged) assertEquals(numbers, [1], `${fault} at ${index}`);
      else assert(numbers.length <= 1);
      assertEquals(files(storage).filter((path) => path.endsWith(".part")), []);
      await closePartition({ writer, reader });
      if (isDone) break;
    }
  }
});

Deno.test("large bodies: adoption keeps each with its record, whatever call a crash comes at", async () => {
  for (let index = 0;; index++) {
    for (const fault of ["power_loss_before", "power_loss_after"] satisfies SimFault[]) {
      const storage = new SimStorage({});
      for (const folder of ["spool/p0", "spool/p1", "spool/p2"]) {
        const partition = await openPartition(storage, { folder });
        await appendLarge(partition.writer, numbered(Number(folder.at(-1)), 200));
        await closePartition(partition);
      }
      storage.calls = 0;
      storage.fault = (call) => call.index === index ? fault : null;
      await openSpoolFolder(storage, "spool", 1).catch(() => {});
      const isDone = storage.calls <= index;
      storage.fault = () => null;
      storage.crash();
      const { leftovers, bytes } = await openSpoolFolder(storage, "spool", 1);
      const budget = DiskBudget.create(1 << 20, bytes);
      const partition = await openPartition(storage, { leftovers: leftovers[0]!, budget });
      const records = await readAll(partition.reader);
      const numbers: number[] = [];
      for (const record of records) numbers.push(numberOf(await whole(partition.reader, record)));
      assertEquals(numbers.sort(), [0, 1, 2]);
      for (const { position } of records) partition.reader.settle(position);
      await closePartition(partition);
      assertEquals([files(storage), budget.bytesUsed], [[], 0]);
      if (isDone) return;
    }
  }
});
