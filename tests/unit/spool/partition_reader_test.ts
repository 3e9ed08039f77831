import { assert, assertEquals, assertRejects } from "@std/assert";
import { readCheckpoint } from "../../../src/spool/checkpoint.ts";
import { ControlBlock } from "../../../src/spool/control_block.ts";
import { FAIR_LIMITS } from "../../../src/spool/fair_limits.ts";
import { PartitionReader } from "../../../src/spool/partition_reader.ts";
import { RecordLost } from "../../../src/spool/read_record.ts";
import { FLAG_REQUEUED, recordBytes } from "../../../src/spool/record.ts";
import { segmentName, segmentPath } from "../../../src/spool/segment_name.ts";
import { SpoolError } from "../../../src/spool/spool_error.ts";
import { METRICS } from "../../../src/telemetry/catalogue.ts";
import { seededRandom } from "../../support/seeded_random.ts";
import { SimStorage } from "../../support/sim_storage.ts";
import {
  closePartition,
  numbered,
  numberOf,
  openPartition,
  PARTITION,
  type Partition,
  readAll,
} from "../../support/spool_fixture.ts";

const range = (from: number, to: number): number[] => Array.from({ length: to - from }, (_, i) => from + i);
const append = ({ writer }: Partition, numbers: readonly number[]): Promise<unknown> =>
  Promise.all(numbers.map((n) => writer.append(numbered(n))));
const segmentsOf = (storage: SimStorage): string[] =>
  [...storage.files.keys()].filter((path) => path.endsWith(".seg")).map((path) => path.split("/").at(-1)!)
    .sort();

Deno.test("PartitionReader.next: gives nothing that is not durable", async () => {
  const storage = new SimStorage({});
  const partition = await openPartition(storage);
  const { reader, writer } = partition;
  assertEquals(await reader.next(), null);
  for (const number of [1, 2]) {
    let isSynced = false;
    let looks = 0;
    storage.fault = ({ name }) => {
      isSynced ||= name === "sync";
      return null;
    };
    const appended = writer.append(numbered(number));
    for (; !isSynced; looks++) assertEquals(await reader.next(), null);
    assert(looks > 1, `${looks} looks`);
    await appended;
    assertEquals(numberOf((await reader.next())!), number);
  }
  await closePartition(partition);
});

Deno.test("PartitionReader.next: needs no promise for a record that is in memory", async () => {
  const partition = await openPartition(new SimStorage({}), { chunkBytes: 1 << 16 });
  await append(partition, range(0, 3));
  assert(partition.reader.next() instanceof Promise);
  await Promise.resolve();
  await closePartition(partition);
  const other = await openPartition(new SimStorage({}), { chunkBytes: 1 << 16 });
  await append(other, range(0, 3));
  await other.reader.next();
  assert(!(other.reader.next() instanceof Promise));
  await closePartition(other);
});

Deno.test("PartitionReader.next: carries what was stored with the record", async () => {
  const partition = await openPartition(new SimStorage({}));
  await append(partition, [7]);
  const record = (await partition.reader.next())!;
  assertEquals([record.receivedAtMs, record.categoryBits, record.redelivered], [
    1_700_000_000_007,
    [7, 64],
    false,
  ]);
  assertEquals(numberOf(await partition.reader.reread(record.position)), 7);
  await closePartition(partition);
});

Deno.test("PartitionReader.wait: ends when a record is durable, and on its signal", async () => {
  const partition = await openPartition(new SimStorage({}));
  const { reader } = partition;
  const waiting = reader.wait();
  await append(partition, [1]);
  await waiting;
  await reader.wait(); // there is something to read
  assertEquals((await readAll(reader)).length, 1);
  const stop = new AbortController();
  const stopped = reader.wait(stop.signal);
  stop.abort();
  await stopped;
  await closePartition(partition);
  assertEquals(partition.clock.pending, 0);
});

Deno.test("PartitionReader.settle: in any order; a segment goes when all of it is settled and it is complete", async () => {
  const storage = new SimStorage({});
  const bytes = recordBytes(numbered(1));
  const partition = await openPartition(storage, { segmentBytesMax: 3 * bytes });
  const { reader, budget, clock, metrics } = partition;
  await append(partition, range(1, 8));
  const records = await readAll(reader);
  for (const index of [1, 4, 0, 5, 6]) reader.settle(records[index]!.position);
  await clock.advance(100);
  assertEquals(segmentsOf(storage), [1, 2, 3].map(segmentName));
  reader.settle(records[2]!.position);
  reader.settle(records[2]!.position);
  await clock.advance(100);
  assertEquals(segmentsOf(storage), [2, 3].map(segmentName));
  assertEquals([reader.inHand, budget.bytesUsed], [1, 4 * bytes]);
  assertEquals(metrics.read(METRICS.spoolSettled), 6);
  assertEquals(partition.control.waitingRecords, 1);
  await closePartition(partition);
  const { highest, segments } = await readCheckpoint(storage, PARTITION);
  assertEquals(highest, 3);
  assertEquals([...segments], [[2, [bytes, 3 * bytes]], [3, [0, bytes]]]);
});

Deno.test("PartitionReader.open: after a restart only what was not settled comes again, marked as redelivered", async () => {
  const storage = new SimStorage({});
  const first = await openPartition(storage, { segmentBytesMax: 400 });
  await append(first, range(0, 10));
  for (const record of await readAll(first.reader)) {
    if (numberOf(record) % 3 !== 0) first.reader.settle(record.position);
  }
  await closePartition(first);
  storage.crash();
  const second = await openPartition(storage, { segmentBytesMax: 400 });
  await append(second, [20]);
  const records = await readAll(second.reader);
  assertEquals(records.map((record) => [numberOf(record), record.redelivered]), [
    [20, false],
    [0, true],
    [3, true],
    [6, true],
    [9, true],
  ]);
  assertEquals(second.metrics.read(METRICS.duplicatesPossible), 4);
  for (const { position } of records) second.reader.settle(position);
  await closePartition(second);
  assertEquals(segmentsOf(storage).length, 1);
});

Deno.test("PartitionReader: when only the reader restarts, it goes on with the running writer", async () => {
  const storage = new SimStorage({});
  const first = await openPartition(storage);
  const { control, budget } = first;
  await append(first, range(0, 5));
  for (const { position } of (await readAll(first.reader)).slice(0, 3)) first.reader.settle(position);
  await first.reader.checkpoint();
  const second = await openPartition(storage, { control, budget });
  await append(second, [5]);
  const records = await readAll(second.reader);
  assertEquals(records.map((record) => [numberOf(record), record.redelivered]), [
    [5, false],
    [3, true],
    [4, true],
  ]);
  assertEquals(control.waitingRecords, 3);
  await closePartition(second);
  await closePartition(first);
});

Deno.test("PartitionReader.open: tolerates what a crash or a curious operator leaves in the folder", async () => {
  const storage = new SimStorage({});
  const first = await openPartition(storage);
  await append(first, range(0, 3));
  await closePartition(first);
  const file = (content: Uint8Array) => ({ content, durable: content, unsynced: [] });
  storage.files.set(`${PARTITION}/notes.txt`, file(new Uint8Array(5)));
  storage.files.set(`${PARTITION}/checkpoint.tmp`, file(new Uint8Array(3)));
  storage.files.set(`${PARTITION}/checkpoint`, file(new Uint8Array([123, 10])));
  storage.files.set(segmentPath(PARTITION, 5), file(new Uint8Array(0)));
  storage.files.set(segmentPath(PARTITION, 6), file(new Uint8Array(700).fill(0xf5)));
  const second = await openPartition(storage);
  await append(second, [3]);
  const records = await readAll(second.reader);
  assertEquals(records.map(numberOf), [3, 0, 1, 2]);
  assertEquals(second.losses, [{ kind: "torn", segment: 6, offset: 0, bytes: 700 }]);
  assertEquals(second.metrics.read(METRICS.spoolTornBytes), 700);
  for (const { position } of records) second.reader.settle(position);
  await closePartition(second);
  assertEquals(segmentsOf(storage), [segmentName(7)]);
});

Deno.test("PartitionReader: a segment that is named but gone is skipped and told", async () => {
  const storage = new SimStorage({});
  const first = await openPartition(storage, { segmentBytesMax: 300 });
  await append(first, range(0, 6));
  first.reader.settle((await first.reader.next())!.position);
  await closePartition(first);
  const second = await openPartition(storage, { segmentBytesMax: 300 });
  const bytes = storage.files.get(segmentPath(PARTITION, 2))!.content.length;
  storage.files.delete(segmentPath(PARTITION, 2));
  const records = await readAll(second.reader);
  assertEquals(records.map(numberOf), [1, 4, 5]);
  assertEquals(second.losses, [{ kind: "missing", segment: 2, offset: 0, bytes }]);
  await closePartition(second);
});

Deno.test("PartitionReader.next: a disk that cannot be read is an error, and nothing is skipped", async () => {
  const storage = new SimStorage({});
  const partition = await openPartition(storage);
  await append(partition, range(0, 3));
  for (const broken of ["open", "read", "read"]) {
    storage.fault = ({ name }) => name === broken ? "io" : null;
    const error = await assertRejects(async () => await partition.reader.next(), SpoolError);
    assertEquals(error.kind, "io_error");
  }
  storage.fault = () => null;
  assertEquals((await readAll(partition.reader)).map(numberOf), [0, 1, 2]);
  await closePartition(partition);
});

Deno.test("PartitionReader.next: a complete segment that stays unreadable is left behind, and is there at the next start", async () => {
  const storage = new SimStorage({});
  const partition = await openPartition(storage, { segmentBytesMax: 300 });
  const { reader } = partition;
  await append(partition, range(0, 6));
  storage.fault = ({ name, path }) => name === "read" && path === segmentPath(PARTITION, 2) ? "io" : null;
  const numbers: number[] = [];
  for (let errors = 0; errors < 6;) {
    try {
      const records = await reader.next();
      if (records === null) break;
      numbers.push(numberOf(records));
      reader.settle(records.position);
    } catch {
      errors++;
    }
  }
  assertEquals(numbers, [0, 1, 4, 5]);
  assertEquals(partition.losses.map(({ kind, segment }) => [kind, segment]), [["unreadable", 2]]);
  await closePartition(partition);
  storage.fault = () => null;
  const next = await openPartition(storage);
  assertEquals((await readAll(next.reader)).map(numberOf), [2, 3]);
  await closePartition(next);
});

Deno.test("PartitionReader.next: what the disk failed to read is tried again, less and less often, and comes once", async () => {
  const storage = new SimStorage({});
  const partition = await openPartition(storage, { segmentBytesMax: 300 });
  const { reader, clock, metrics, budget } = partition;
  await append(partition, range(0, 6));
  let isBroken = true;
  let failed = 0;
  storage.fault = ({ name, path }) => {
    if (!isBroken || name !== "read" || path !== segmentPath(PARTITION, 2)) return null;
    failed++;
    return "io";
  };
  const numbers: number[] = [];
  const readForSeconds = async (seconds: number): Promise<void> => {
    for (let second = 0; second < seconds; second++, await clock.advance(1000)) {
      try {
        for (let found = await reader.next(); found; found = await reader.next()) {
          numbers.push(numberOf(found));
          reader.settle(found.position);
        }
      } catch (error) {
        assert(error instanceof SpoolError);
      }
    }
  };
  await readForSeconds(3600);
  assertEquals([numbers, metrics.read(METRICS.spoolUnreadable)], [[0, 1, 4, 5], 1]);
  // Five times each after pauses of half a minute, one, two, and so on.
  assert(failed >= 25 && failed <= 40, `${failed} failed reads in an hour`);
  isBroken = false;
  await readForSeconds(3600);
  assertEquals([numbers, metrics.read(METRICS.spoolUnreadable)], [[0, 1, 4, 5, 2, 3], 0]);
  await reader.checkpoint();
  await closePartition(partition);
  // Its segment is done with as others are.
  assertEquals([segmentsOf(storage), budget.bytesUsed], [
    [segmentName(3)],
    storage.files.get(segmentPath(PARTITION, 3))!.content.length,
  ]);
});

Deno.test("PartitionReader.next: of a segment that failed only what was not read comes again, also by queues of projects", async () => {
  for (let seed = 0; seed < 200; seed++) {
    const random = seededRandom(seed);
    const storage = new SimStorage({});
    const fairLimits = { perProject: 1, heldMax: 2, heldBytesMax: 400, putOffBytesMax: 900, stretchesMax: 6 };
    const partition = await openPartition(storage, {
      segmentBytesMax: 600,
      chunkBytes: 256,
      fairLimits,
      freshMs: 150,
      backlogShare: 0.3,
    });
    const { reader, writer, clock } = partition;
    const numbers: number[] = [];
    let fails = 0;
    storage.fault = ({ name }) => name === "read" && random() < fails ? "io" : null;
    let next = 0;
    for (let step = 0; step < 60; step++) {
      fails = step < 50 && step % 10 > 4 ? 0.9 : 0;
      for (let count = Math.floor(random() * 4); count > 0 && step < 50; count--) {
        const number = next++;
        await writer.append({ ...numbered(number), projectHash: number % 3 });
      }
      for (let tries = 0; tries < 12; tries++) {
        try {
          const found = await reader.next();
          if (found === null) break;
          numbers.push(numberOf(found));
          if (random() < 0.7) reader.settle(found.position);
        } catch (error) {
          assert(error instanceof SpoolError);
        }
      }
      await clock.advance(random() < 0.2 ? 40_000 : 100);
    }
    for (let hour = 0; hour < 3; hour++) {
      await clock.advance(3_600_000);
      numbers.push(...(await readAll(reader)).map(numberOf));
    }
    assertEquals(numbers.sort((a, b) => a - b), range(0, next), `seed ${seed}`);
    await closePartition(partition);
  }
});

Deno.test("PartitionReader: a checkpoint that cannot be written is tried again", async () => {
  const storage = new SimStorage({});
  const partition = await openPartition(storage);
  await append(partition, range(0, 3));
  for (const { position } of await readAll(partition.reader)) partition.reader.settle(position);
  storage.fault = ({ name }) => name.startsWith("replaceFile") ? "no_space" : null;
  await partition.clock.advance(100);
  const error = await assertRejects(() => partition.reader.checkpoint(), SpoolError);
  assertEquals(error.kind, "no_space");
  storage.fault = () => null;
  await partition.clock.advance(100);
  assertEquals((await readCheckpoint(storage, PARTITION)).segments.size, 1);
  await closePartition(partition);
});

Deno.test("PartitionReader.reread: says so when the bytes are no longer what they were", async () => {
  const storage = new SimStorage({});
  const partition = await openPartition(storage);
  await append(partition, [1]);
  const { position } = (await partition.reader.next())!;
  const file = storage.files.get(segmentPath(PARTITION, 1))!;
  file.content = file.content.slice();
  file.content[100] = file.content[100]! ^ 1;
  await assertRejects(() => partition.reader.reread(position), RecordLost, "damaged");
  storage.fault = ({ name }) => name === "read" ? "io" : null;
  await assertRejects(() => partition.reader.reread(position), SpoolError);
  storage.fault = () => null;
  storage.files.delete(segmentPath(PARTITION, 1));
  await assertRejects(() => partition.reader.reread(position), RecordLost, "missing");
  await closePartition(partition);
});

Deno.test("PartitionReader.next: fresh records go before those that waited, which get their share meanwhile", async () => {
  const storage = new SimStorage({});
  const first = await openPartition(storage);
  await append(first, range(0, 20));
  await closePartition(first);
  const second = await openPartition(storage, { backlogShare: 0.25 });
  await append(second, range(100, 109));
  const order = (await readAll(second.reader)).map(numberOf);
  const fresh = order.map((number) => number >= 100);
  assertEquals(order.filter((number) => number >= 100), range(100, 109));
  assertEquals(order.filter((number) => number < 100), range(0, 20));
  // As long as there are fresh ones, every fourth record is from the backlog.
  assertEquals(fresh.flatMap((isFresh, index) => isFresh ? [] : [index]).slice(0, 3), [3, 7, 11]);
  await closePartition(second);
});

Deno.test("PartitionReader.next: when reading fell behind, what is written now goes first, the rest follows in order", async () => {
  const storage = new SimStorage({});
  const partition = await openPartition(storage, { freshMs: 5000, segmentBytesMax: 600 });
  const { reader, writer, clock, control } = partition;
  const write = (numbers: readonly number[]) =>
    Promise.all(numbers.map((number) => writer.append(ofProject(1, number))));
  const read = async (): Promise<number> => numberOfProject((await reader.next())!);
  await write(range(0, 12));
  assertEquals([await read(), await read()], [0, 1]);
  await clock.advance(60_000);
  assertEquals(control.waitingRecords, 12);
  assertEquals(await read(), 2);
  await write(range(60_000, 60_004));
  assertEquals(control.waitingRecords, 16);
  const rest = (await readAll(reader)).map(numberOfProject);
  assertEquals(rest, [...range(60_000, 60_004), ...range(3, 12)]);
  assertEquals(control.waitingRecords, 16);
  await closePartition(partition);
});

/** A record of a project. */
const ofProject = (projectHash: number, number: number, bytes = 50) => ({
  ...numbered(number, bytes),
  projectHash,
});

Deno.test("PartitionReader.next: projects take turns, however much one of them has sent before", async () => {
  const partition = await openPartition(new SimStorage({}), { segmentBytesMax: 100_000, chunkBytes: 16_384 });
  const { reader, writer } = partition;
  await Promise.all(range(0, 2000).map((number) => writer.append(ofProject(1, number))));
  await Promise.all(range(5000, 5005).map((number) => writer.append(ofProject(2, number))));
  const numbers: number[] = [];
  for (let record = await reader.next(); record; record = await reader.next()) {
    numbers.push(numberOfProject(record));
    reader.settle(record.position);
  }
  assertEquals(numbers.filter((number) => number < 2000), range(0, 2000));
  assertEquals(numbers.filter((number) => number >= 5000), range(5000, 5005));
  // Several records are read for each one handed out, so the last of the quiet project comes long before its place.
  assert(numbers.indexOf(5004) < 1000, `it came as number ${numbers.indexOf(5004)}`);
  await closePartition(partition);
});

Deno.test("PartitionReader.next: what was put off and grew old meanwhile comes out behind what is new, all of it in order", async () => {
  const fairLimits = {
    perProject: 2,
    heldMax: 8,
    heldBytesMax: 1 << 20,
    putOffBytesMax: 1 << 20,
    stretchesMax: 100,
  };
  const settings = { freshMs: 5000, chunkBytes: 4000, segmentBytesMax: 1500, fairLimits };
  const partition = await openPartition(new SimStorage({}), settings);
  const { reader, writer, clock } = partition;
  const write = (numbers: readonly number[]) =>
    Promise.all(numbers.map((number) => writer.append(ofProject(1, number))));
  await write(range(0, 30));
  const first = [numberOfProject((await reader.next())!), numberOfProject((await reader.next())!)];
  assertEquals(first, [0, 1]);
  await clock.advance(60_000);
  await write(range(60_000, 60_003));
  const rest = (await readAll(reader)).map(numberOfProject);
  assertEquals(rest.filter((number) => number < 60_000), range(2, 30));
  assertEquals(rest.filter((number) => number >= 60_000), range(60_000, 60_003));
  await closePartition(partition);
});

Deno.test("PartitionReader.next: what was put off for later turns survives a restart and is deleted when settled", async () => {
  const storage = new SimStorage({});
  const first = await openPartition(storage, { segmentBytesMax: 2000 });
  await Promise.all(
    range(0, 300).map((number) => first.writer.append(ofProject(number % 3 === 0 ? 1 : 2, number))),
  );
  const seen = new Set<number>();
  for (let count = 0; count < 100; count++) {
    const record = (await first.reader.next())!;
    seen.add(numberOfProject(record));
    first.reader.settle(record.position);
  }
  await closePartition(first);
  const second = await openPartition(storage, { segmentBytesMax: 2000 });
  for (const record of await readAll(second.reader)) {
    assertEquals(seen.has(numberOfProject(record)), false);
    seen.add(numberOfProject(record));
    second.reader.settle(record.position);
  }
  assertEquals(seen.size, 300);
  await closePartition(second);
  assertEquals(segmentsOf(storage), []);
});

const numberOfProject = ({ meta }: { meta: Uint8Array }): number =>
  Number(/\d+/.exec(new TextDecoder().decode(meta))![0]);

Deno.test("PartitionReader.next: an old record that was put back does not make fresh ones wait", async () => {
  const partition = await openPartition(new SimStorage({}), { freshMs: 5000 });
  await partition.clock.advance(60_000);
  await partition.writer.append(numbered(1), FLAG_REQUEUED);
  await append(partition, [60_000, 60_001]);
  assertEquals(numberOf((await partition.reader.next())!), 1);
  await append(partition, [60_002]);
  assertEquals((await readAll(partition.reader)).map(numberOf), [60_000, 60_001, 60_002]);
  await closePartition(partition);
});

Deno.test("PartitionReader: a segment whose parts were read in turns is deleted once all of it is settled", async () => {
  const storage = new SimStorage({});
  const partition = await openPartition(storage, { freshMs: 5000, segmentBytesMax: 1 << 20 });
  const { reader, clock, budget } = partition;
  await append(partition, range(0, 4));
  await clock.advance(60_000);
  const old = [(await reader.next())!];
  await append(partition, range(60_000, 60_003));
  for (const { position } of [...old, ...await readAll(reader)]) reader.settle(position);
  await partition.writer.close();
  const next = await openPartition(storage, { budget });
  await append(next, [70_000]);
  for (const { position } of await readAll(next.reader)) next.reader.settle(position);
  await reader.checkpoint();
  await closePartition(next);
  assertEquals(segmentsOf(storage), [segmentName(2)]);
  await reader.close();
});

Deno.test("PartitionReader: before a writer opens, what was put off or held comes out all the same", async () => {
  const storage = new SimStorage({});
  const first = await openPartition(storage, { segmentBytesMax: 600 });
  await Promise.all(range(0, 40).map((number) => first.writer.append(ofProject(number % 2, number))));
  await closePartition(first);
  const reader = await PartitionReader.open({
    storage,
    folder: PARTITION,
    control: new ControlBlock(),
    budget: first.budget,
    clock: first.clock,
    metrics: first.metrics,
    checkpointIntervalMs: 100,
    backlogShare: 0,
    freshMs: 10_000,
    recordAgeMsMax: 86_400_000,
    chunkBytes: 256,
    fairLimits: { ...FAIR_LIMITS, perProject: 2 },
  });
  const held = (await reader.next())!;
  reader.giveBack(held);
  const others = (await readAll(reader)).map(numberOfProject);
  assertEquals(others, range(0, 40).filter((number) => number % 2 !== held.projectHash));
  reader.release(held.projectHash);
  const released = (await readAll(reader)).map(numberOfProject);
  assertEquals(released, range(0, 40).filter((number) => number % 2 === held.projectHash));
  await reader.close();
});

Deno.test("PartitionReader.hold: at its bound reading waits, and goes on when something is released", async () => {
  const partition = await openPartition(new SimStorage({}), { heldStretchesMax: 20 });
  const { reader, writer } = partition;
  await Promise.all(range(0, 40).map((number) => writer.append(ofProject(number % 2, number))));
  reader.hold(0);
  const before = (await readAll(reader)).length;
  // A project on hold counts as eight stretches, and every second record is a stretch of its own.
  assertEquals([reader.held.records, before], [12, 11]);
  const stop = new AbortController();
  let isWaiting = true;
  const waiting = reader.wait(stop.signal).then(() => isWaiting = false);
  for (let turn = 0; turn < 20; turn++) await Promise.resolve();
  assert(isWaiting, "it would spin");
  stop.abort();
  await waiting;
  reader.release(0);
  assertEquals(before + (await readAll(reader)).length, 40);
  await closePartition(partition);
});
