import { assert, assertEquals, assertRejects } from "@std/assert";
import { DeadLetter } from "../../../src/spool/dead_letter.ts";
import {
  findRecord,
  type InspectedDamage,
  type InspectedRecord,
  type InspectedSegment,
  inspectSpool,
  readSegment,
} from "../../../src/spool/spool_inspection.ts";
import { StorageError } from "../../../src/spool/storage.ts";
import { systemClock } from "../../../src/core/clock.ts";
import { ManualClock } from "../../support/manual_clock.ts";
import { SimStorage } from "../../support/sim_storage.ts";
import {
  closePartition,
  numbered,
  numberOf,
  openPartition,
  PARTITION,
  readAll,
} from "../../support/spool_fixture.ts";

/** Waits for nothing. */
const clock = { ...systemClock, sleep: () => Promise.resolve() };

async function everything(storage: SimStorage): Promise<(InspectedRecord | InspectedDamage)[]> {
  const found: (InspectedRecord | InspectedDamage)[] = [];
  for (const { segments } of await inspectSpool(storage, "spool")) {
    for (const segment of segments) {
      for await (const one of readSegment(storage, segment, clock)) found.push(one);
    }
  }
  return found;
}

/** Two partitions, of which the second has two dead letters; records 1 and 2 of each are settled. */
async function spool(): Promise<SimStorage> {
  const storage = new SimStorage({});
  for (const lane of [0, 10]) {
    const folder = `spool/p${lane}`;
    const partition = await openPartition(storage, { folder, segmentBytesMax: 400 });
    for (let n = 0; n < 5; n++) await partition.writer.append(numbered(100 * lane + n));
    for (const record of await readAll(partition.reader)) {
      if ([1, 2].includes(numberOf(record) % 100)) partition.reader.settle(record.position);
    }
    const { budget, metrics, clock } = partition;
    const dead = await DeadLetter.open({ storage, folder, budget, clock, metrics, bytesMax: 1 << 20 });
    if (lane === 10) {
      await dead.append(numbered(7), "refused");
      await dead.append(numbered(8), "refused, déjà vu");
    }
    await dead.close();
    await closePartition(partition);
  }
  return storage;
}

const textOf = (record: InspectedRecord): string => new TextDecoder().decode(record.meta);

Deno.test("inspectSpool, readSegment: every record with its id, what is settled, and why it is dead", async () => {
  const storage = await spool();
  const records = (await everything(storage)).filter((found) => found.kind === "record");
  const rows = records.map((record) => [
    record.id.replace(/\/\d+$/, ""),
    textOf(record).replace(/ of .*/, ""),
    record.isSettled ? "settled" : record.isDead ? record.reason : "waiting",
  ]);
  const living = (name: string, lane: number) => [
    [`${name}/1`, `record ${100 * lane}`, "waiting"],
    [`${name}/1`, `record ${100 * lane + 1}`, "settled"],
    [`${name}/1`, `record ${100 * lane + 2}`, "settled"],
    [`${name}/2`, `record ${100 * lane + 3}`, "waiting"],
    [`${name}/2`, `record ${100 * lane + 4}`, "waiting"],
  ];
  assertEquals(rows.filter(([id]) => id!.startsWith("p0")), living("p0", 0));
  assertEquals(rows.filter(([id]) => id!.startsWith("p10")), [
    ...living("p10", 10),
    ["p10/dead/1", "record 7", "refused"],
    ["p10/dead/1", "record 8", "refused, déjà vu"],
  ]);
});

Deno.test("findRecord: finds every record by its id, and nothing by any other", async () => {
  const storage = await spool();
  for (const found of await everything(storage)) {
    if (found.kind === "record") assertEquals(await findRecord(storage, "spool", found.id), found);
  }
  const wrong = [
    "",
    "p0",
    "p0/1",
    "p0/1/1",
    "p0/9/0",
    "p9/1/0",
    "p0/dead/1/0",
    "p10/dead/1/70000",
    "p0/../1/0",
  ];
  for (const id of wrong) assertEquals(await findRecord(storage, "spool", id), null, id);
});

Deno.test("readSegment: a flipped bit is found wherever it is", async () => {
  const storage = await spool();
  const path = "spool/p10/dead/000000000001.seg";
  const { content } = storage.files.get(path)!;
  for (let at = 0; at < content.length; at++) {
    content[at]! ^= 1 << at % 8;
    const found = (await everything(storage)).filter(({ kind }) => kind === "damage");
    assertEquals(found.length, 1, `byte ${at}`);
    content[at]! ^= 1 << at % 8;
  }
  assertEquals((await everything(storage)).filter(({ kind }) => kind === "damage"), []);
});

async function segmentOf(storage: SimStorage): Promise<InspectedSegment> {
  return (await inspectSpool(storage, "spool"))[0]!.segments[0]!;
}

Deno.test("readSegment: a record that is just being written is no damage, a torn one is", async () => {
  const storage = new SimStorage({});
  const partition = await openPartition(storage, { segmentBytesMax: 10_000 });
  await partition.writer.append(numbered(1));
  await partition.writer.append(numbered(2));
  await closePartition(partition);
  const file = storage.files.get(`${PARTITION}/000000000001.seg`)!;
  const whole = file.content;
  for (let cut = whole.length / 2 + 1; cut < whole.length; cut++) {
    for (const isWritten of [true, false]) {
      file.content = whole.subarray(0, cut);
      const manual = new ManualClock();
      const found: string[] = [];
      const reading = (async () => {
        for await (const one of readSegment(storage, await segmentOf(storage), manual)) found.push(one.kind);
      })();
      await manual.advance(0);
      while (manual.pending === 0) await manual.advance(0);
      if (isWritten) file.content = whole;
      await manual.advance(1000);
      await reading;
      assertEquals(found, isWritten ? ["record"] : ["record", "damage"]);
    }
  }
});

Deno.test("readSegment: a segment that is gone is empty; a disk that fails is an error", async () => {
  const storage = await spool();
  const segment = await segmentOf(storage);
  storage.fault = ({ name }) => name === "read" ? "io" : null;
  await assertRejects(() => readSegment(storage, segment, clock).next(), StorageError);
  storage.fault = () => null;
  await storage.remove("spool/p0/000000000001.seg");
  assertEquals((await readSegment(storage, segment, clock).next()).done, true);
});

Deno.test("inspectSpool: needs no lock, and says that there is no spool", async () => {
  const storage = await spool();
  const lock = await storage.lock("spool/lock");
  assert(typeof lock !== "string");
  assertEquals((await inspectSpool(storage, "spool")).map(({ name }) => name), ["p0", "p10"]);
  await assertRejects(() => inspectSpool(storage, "elsewhere"), StorageError);
});
