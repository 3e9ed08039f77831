import { assert, assertEquals } from "@std/assert";
import { diskStorage } from "../../../src/spool/disk_storage.ts";
import { oldestReceivedAt } from "../../../src/spool/oldest_record.ts";
import { recordBytes } from "../../../src/spool/record.ts";
import { isSegmentCopy, newCopyPath, segmentPath } from "../../../src/spool/segment_name.ts";
import { openSpoolFolder } from "../../../src/spool/spool_folder.ts";
import { findRecord, inspectSpool, readSegment } from "../../../src/spool/spool_inspection.ts";
import { planShrink } from "../../../src/spool/segment_shrinker.ts";
import type { Storage } from "../../../src/spool/storage.ts";
import { METRICS } from "../../../src/telemetry/catalogue.ts";
import { DiskBudget } from "../../../src/spool/disk_budget.ts";
import { SIM_BLOCK_BYTES, SimStorage } from "../../support/sim_storage.ts";
import {
  closePartition,
  numbered,
  numberOf,
  openPartition,
  PARTITION,
  type Partition,
  type PartitionSettings,
  readAll,
} from "../../support/spool_fixture.ts";

const BODY = 300;
/** Project whose records wait. */
const WAITING = 999;
const RECORDS = 40;
const SEGMENT_BYTES = 4000;
const SETTINGS: PartitionSettings = { segmentBytesMax: SEGMENT_BYTES, blockBytes: SIM_BLOCK_BYTES };

const isCopy = (path: string): boolean => isSegmentCopy(path.slice(PARTITION.length + 1));

/** A partition of several segments, in each of which all is settled but the records of one project. */
async function almostSettled(
  storage: Storage,
  settings: PartitionSettings = SETTINGS,
  body = BODY,
  count = RECORDS,
): Promise<Partition & { kept: number[] }> {
  const partition = await openPartition(storage, { ...settings, budget: DiskBudget.create(1 << 30) });
  const { reader, writer } = partition;
  reader.hold(WAITING);
  const kept: number[] = [];
  for (let number = 0; number < count; number++) {
    const isKept = number % 10 === 3;
    if (isKept) kept.push(number);
    await writer.append({ ...numbered(number, body), projectHash: isKept ? WAITING : number });
  }
  // Behind it, so that what is before is complete.
  await writer.append({ ...numbered(count, 10), projectHash: WAITING });
  for (const { position } of await readAll(reader)) reader.settle(position);
  return { ...partition, kept: [...kept, count] };
}

/** One checkpoint after the other, until they change nothing. */
async function shrinkAll({ reader, metrics }: Partition): Promise<number> {
  for (let before = -1; before !== metrics.read(METRICS.spoolShrunk);) {
    before = metrics.read(METRICS.spoolShrunk);
    await reader.checkpoint();
  }
  return metrics.read(METRICS.spoolShrunk);
}

Deno.test("SegmentShrinker: what waits comes out in its order, and all room is given back", async () => {
  const storage = new SimStorage({});
  const partition = await almostSettled(storage);
  const before = partition.budget.bytesUsed;
  assert(await shrinkAll(partition) >= 3);
  const { budget, reader, kept, metrics, losses } = partition;
  assertEquals(metrics.read(METRICS.spoolShrunkBytes), before - budget.bytesUsed);
  assert(budget.bytesUsed < before / 2, `${before} -> ${budget.bytesUsed}`);
  reader.release(WAITING);
  const records = await readAll(reader);
  assertEquals(records.map(numberOf), kept);
  for (const { position } of records) reader.settle(position);
  await closePartition(partition);
  const again = await openPartition(storage, { ...SETTINGS, budget });
  assertEquals(await readAll(again.reader), []);
  await closePartition(again);
  assertEquals([losses, budget.bytesUsed], [[], 0]);
});

Deno.test("SegmentShrinker: after a crash it is what it was, with its checkpoint or without", async () => {
  for (const isLost of [false, true]) {
    const storage = new SimStorage({});
    const partition = await almostSettled(storage);
    await shrinkAll(partition);
    storage.crash();
    if (isLost) storage.files.delete(`${PARTITION}/checkpoint`);
    const { bytes, release } = await openSpoolFolder(storage, "spool", 1);
    release();
    assertEquals(bytes, partition.budget.bytesUsed);
    const again = await openPartition(storage, { ...SETTINGS, budget: DiskBudget.create(1 << 30, bytes) });
    const found = await readAll(again.reader);
    const waiting = found.filter(({ projectHash }) => projectHash === WAITING);
    assertEquals(waiting.map(numberOf), partition.kept);
    if (!isLost) assertEquals(found.length, waiting.length);
    for (const { position } of found) again.reader.settle(position);
    await closePartition(again);
    assertEquals([again.losses, again.budget.bytesUsed], [[], 0]);
  }
});

/** All that a new node finds: its records that wait, and that the budget knows what is on disk until all is gone. */
async function assertIntact(storage: SimStorage, kept: readonly number[], what: string): Promise<void> {
  const { bytes, release } = await openSpoolFolder(storage, "spool", 1);
  release();
  const again = await openPartition(storage, { ...SETTINGS, budget: DiskBudget.create(1 << 30, bytes) });
  assertEquals([...storage.files.keys()].filter(isCopy), [], what);
  const found = await readAll(again.reader);
  assertEquals(found.map(numberOf), kept, what);
  for (const { position } of found) again.reader.settle(position);
  await closePartition(again);
  assertEquals([again.losses, again.budget.bytesUsed, storage.bytesIn(PARTITION)], [[], 0, 0], what);
}

for (const fault of ["power_loss_before", "power_loss_after", "io", "no_space"] as const) {
  Deno.test(`SegmentShrinker: ${fault} at any call loses and repeats nothing`, async () => {
    let hits = 0;
    for (let index = 0, isHit = true; isHit; index++) {
      isHit = false;
      // By chance what was not made durable is there after a crash, or is not.
      for (const chance of fault.startsWith("power_loss") ? [0, 0.45, 0.9] : [0]) {
        const storage = new SimStorage({ random: () => chance });
        const partition = await almostSettled(storage);
        // The checkpoint that allows it is durable; from here on each call is one of the shrinker or the checkpoints between.
        const firstCall = storage.calls;
        let what = "";
        storage.fault = (call) => {
          if (call.index !== firstCall + index) return null;
          what = `${fault} at ${call.name} ${call.path}`;
          return fault;
        };
        await shrinkAll(partition).catch(() => {});
        isHit ||= what !== "";
        storage.fault = () => null;
        if (!storage.isDead) {
          partition.reader.release(WAITING);
          assertEquals((await readAll(partition.reader)).map(numberOf), partition.kept, what);
        }
        storage.crash();
        const settled = what.includes("/checkpoint") || fault.startsWith("power_loss");
        if (!settled) await assertIntact(storage, partition.kept, what);
        else await assertNothingLost(storage, partition.kept, what);
      }
      if (isHit) hits++;
    }
    assert(hits > 40, `${hits} calls`);
  });
}

/** The same where a checkpoint may not have reached the disk, so that settled records may come again. */
async function assertNothingLost(storage: SimStorage, kept: readonly number[], what: string): Promise<void> {
  const { reader, losses, ...partition } = await openPartition(storage, SETTINGS);
  const numbers = (await readAll(reader)).map(numberOf);
  assertEquals(new Set(numbers).size, numbers.length, what);
  assertEquals(numbers.filter((number) => kept.includes(number)), kept, what);
  await closePartition({ reader, writer: partition.writer });
  assertEquals(losses, [], what);
  // Stable from then on.
  await assertIntact(storage, numbers, what);
}

Deno.test("SegmentShrinker: a rename that a stopped worker left under way finds no copy any more", async () => {
  const storage = new SimStorage({});
  const partition = await almostSettled(storage);
  const stuck = Promise.withResolvers<void>();
  const reached = Promise.withResolvers<void>();
  const rename = storage.rename.bind(storage);
  storage.rename = async (from, to) => {
    if (isCopy(from)) {
      reached.resolve();
      await stuck.promise;
    }
    return await rename(from, to);
  };
  const segment = storage.files.get(segmentPath(PARTITION, 1));
  const late = partition.reader.checkpoint();
  await reached.promise;
  storage.rename = rename;
  const { control, budget } = partition;
  const again = await openPartition(storage, { ...SETTINGS, control, budget });
  const waiting = (await readAll(again.reader)).filter(({ projectHash }) => projectHash === WAITING);
  stuck.resolve();
  await late;
  assertEquals(storage.files.get(segmentPath(PARTITION, 1)), segment);
  assertEquals(waiting.map(numberOf), partition.kept);
  for (const record of waiting) {
    assertEquals(numberOf(await again.reader.reread(record.position)), numberOf(record));
  }
  assertEquals(again.losses, []);
});

Deno.test("SegmentShrinker: who reads from outside meanwhile sees each record once, and finds it by its id", async () => {
  const storage = new SimStorage({});
  const partition = await almostSettled(storage);
  // One checkpoint shrinks one segment, the first.
  await partition.reader.checkpoint();
  const [before] = await inspectSpool(storage, "spool");
  const segment = before!.segments[1]!;
  const reading = readSegment(storage, segment, partition.clock);
  const seen = [(await reading.next()).value!];
  await shrinkAll(partition);
  for await (const item of reading) seen.push(item);
  assertEquals(seen.map(({ kind }) => kind), seen.map(() => "record"));
  const waiting = seen.filter((item) => item.kind === "record" && !item.isSettled);
  const [after] = await inspectSpool(storage, "spool");
  const shrunk = after!.segments[1]!;
  assertEquals([shrunk.number, shrunk.length], [segment.number, segment.length]);
  assert(shrunk.bytes * 2 < segment.bytes);
  const again = [];
  for await (const item of readSegment(storage, shrunk, partition.clock)) again.push(item);
  assertEquals(again.filter((item) => item.kind === "record" && !item.isSettled), waiting);
  for (const item of waiting) {
    assert(item.kind === "record");
    assertEquals(await findRecord(storage, "spool", item.id), item);
  }
  const gone = seen[1]!;
  assert(gone.kind === "record" && gone.isSettled);
  assertEquals(await findRecord(storage, "spool", gone.id), null);
});

Deno.test("SegmentShrinker: holes move with their segment to another lane, with their checkpoint or without", async () => {
  for (const isLost of [false, true]) {
    const storage = new SimStorage({});
    const folder = "spool/p1";
    const partition = await almostSettled(storage, { ...SETTINGS, folder });
    await shrinkAll(partition);
    const left = { content: new Uint8Array(9), durable: new Uint8Array(9), unsynced: [] };
    storage.files.set(newCopyPath(folder), left);
    storage.crash();
    if (isLost) storage.files.delete(`${folder}/checkpoint`);
    const { bytes, release } = await openSpoolFolder(storage, "spool", 1);
    release();
    assertEquals([storage.folders.has(folder), bytes], [false, partition.budget.bytesUsed]);
    const again = await openPartition(storage, { ...SETTINGS, budget: DiskBudget.create(1 << 30, bytes) });
    const found = await readAll(again.reader);
    const waiting = found.filter(({ projectHash }) => projectHash === WAITING);
    assertEquals(waiting.map(numberOf), partition.kept);
    if (!isLost) assertEquals(found.length, waiting.length);
    for (const { position } of found) again.reader.settle(position);
    await closePartition(again);
    assertEquals([again.losses, again.budget.bytesUsed], [[], 0]);
  }
});

Deno.test("SegmentShrinker: the oldest record that waits is behind a hole, also when no checkpoint says so", async () => {
  const storage = new SimStorage({});
  const partition = await almostSettled(storage);
  await shrinkAll(partition);
  const { receivedAtMs } = numbered(partition.kept[0]!);
  assertEquals(await oldestReceivedAt(storage, PARTITION), receivedAtMs);
  storage.files.delete(`${PARTITION}/checkpoint`);
  assertEquals(await oldestReceivedAt(storage, PARTITION), receivedAtMs);
});

Deno.test("SegmentShrinker: a damaged record before a hole costs itself alone", async () => {
  const storage = new SimStorage({});
  const partition = await almostSettled(storage);
  await shrinkAll(partition);
  const { content } = storage.files.get(segmentPath(PARTITION, 1))!;
  const damaged = content.slice();
  // The header of the first record that waits; a hole is right behind that.
  damaged[3 * recordBytes(numbered(1, BODY)) + 9]! ^= 1;
  storage.files.set(segmentPath(PARTITION, 1), { content: damaged, durable: damaged, unsynced: [] });
  storage.crash();
  for (const isLost of [false, true]) {
    if (isLost) storage.files.delete(`${PARTITION}/checkpoint`);
    const { reader, losses } = await openPartition(storage, SETTINGS);
    const found = (await readAll(reader)).filter(({ projectHash }) => projectHash === WAITING);
    assertEquals(found.map(numberOf), partition.kept.slice(1));
    assertEquals(losses.map(({ kind }) => kind), ["corrupt"]);
  }
});

Deno.test("SegmentShrinker: a file-system without holes, or without room, leaves everything as it was", async () => {
  for (const trouble of ["holes", "room"]) {
    const storage = new SimStorage({});
    const partition = await almostSettled(storage);
    let copies = 0;
    storage.fault = ({ name, path }) => {
      if (!isCopy(path)) return null;
      if (name === "open") copies++;
      return trouble === "room" && name === "write" ? "no_space" : null;
    };
    if (trouble === "holes") {
      storage.call = ((inner) => (name, path, effect) =>
        name === "occupied"
          ? Promise.resolve(SEGMENT_BYTES as never)
          : inner.call(storage, name, path, effect))(storage.call) as typeof storage.call;
    }
    for (let round = 0; round < 3; round++) {
      await partition.clock.advance(1000);
      await partition.writer.append(numbered(100 + round));
      for (const { position } of await readAll(partition.reader)) partition.reader.settle(position);
      await partition.reader.checkpoint();
    }
    assertEquals(copies, 1);
    assertEquals(partition.metrics.read(METRICS.spoolShrunkBytes), 0);
    assertEquals([...storage.files.keys()].filter(isCopy), []);
  }
});

Deno.test("SegmentShrinker: is only planned when it pays", () => {
  const plan = (bounds: number[], occupied = 64 * 4096) =>
    planShrink({ segment: 1, end: 64 * 4096, bounds, occupied })?.holes ?? null;
  assertEquals(plan([0, 63 * 4096]), [0, 63 * 4096]);
  assertEquals(plan([0, 40 * 4096]), null);
  // The same again would give back nothing.
  assertEquals(plan([0, 63 * 4096], 2 * 4096), null);
  // Short ranges free no block.
  assertEquals(plan([0, 50 * 4096, 60 * 4096, 60 * 4096 + 100]), [0, 50 * 4096]);
});

Deno.test("SegmentShrinker: one record on hold does not keep its segment on disk", async () => {
  const path = await Deno.makeTempDir();
  try {
    const folder = `${path}/p0`;
    const budget = DiskBudget.create(1 << 30);
    const partition = await openPartition(diskStorage, { segmentBytesMax: 1 << 20, folder, budget });
    const { reader, writer } = partition;
    reader.hold(WAITING);
    for (let number = 0; number < 400; number++) {
      await writer.append({ ...numbered(number, 20_000), projectHash: number === 25 ? WAITING : number % 5 });
    }
    const blocks = async (): Promise<number> => {
      let bytes = 0;
      for await (const { name } of Deno.readDir(folder)) {
        if (name.endsWith(".seg")) bytes += (await Deno.stat(`${folder}/${name}`)).blocks! * 512;
      }
      return bytes;
    };
    const before = await blocks();
    assert(before > 400 * 20_000, `${before} bytes`);
    // Behind the last: closed, so that its segment is complete.
    await writer.close();
    const next = await openPartition(diskStorage, { folder, budget, control: partition.control });
    for (const { position } of await readAll(reader)) reader.settle(position);
    await shrinkAll(partition);
    await closePartition(next);
    const [after, segments] = [await blocks(), (await inspectSpool(diskStorage, path))[0]!.segments];
    assert(after < 40_000, `${before} -> ${after} bytes`);
    assertEquals(budget.bytesUsed, after);
    assertEquals(segments.map(({ number }) => number), [1]);
    reader.release(WAITING);
    assertEquals((await readAll(reader)).map(numberOf), [25]);
    await reader.close();
  } finally {
    await Deno.remove(path, { recursive: true });
  }
});

Deno.test("SegmentShrinker: on a real disk a segment of which one record waits takes a block or two", async () => {
  const path = await Deno.makeTempDir();
  try {
    const settings = { segmentBytesMax: 6 << 20, chunkBytes: 1 << 17, folder: `${path}/p0` };
    const partition = await almostSettled(diskStorage, settings, 500_000, 25);
    await shrinkAll(partition);
    const { bytes, release } = await openSpoolFolder(diskStorage, path, 1);
    release();
    assertEquals(bytes, partition.budget.bytesUsed);
    assert(bytes < 4 * 520_000, `${bytes} bytes`);
    const found: string[] = [];
    for (const { segments } of await inspectSpool(diskStorage, path)) {
      for (const segment of segments) {
        for await (const item of readSegment(diskStorage, segment, partition.clock)) {
          if (item.kind === "damage" || !item.isSettled) found.push(item.kind);
        }
      }
    }
    assertEquals(found, partition.kept.map(() => "record"));
    await closePartition(partition);
    const again = await openPartition(diskStorage, settings);
    assertEquals((await readAll(again.reader)).map(numberOf), partition.kept);
    await closePartition(again);
  } finally {
    await Deno.remove(path, { recursive: true });
  }
});
