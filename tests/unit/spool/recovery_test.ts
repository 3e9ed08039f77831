/**
 * Crashes and faults at every single call: whatever the disk does, an acknowledged record comes back.
 */
import { assert, assertEquals } from "@std/assert";
import { ControlBlock } from "../../../src/spool/control_block.ts";
import { DiskBudget } from "../../../src/spool/disk_budget.ts";
import { LargeBodyLost } from "../../../src/spool/large_reader.ts";
import type { PartitionReader, StoredRecord } from "../../../src/spool/partition_reader.ts";
import { openSpoolFolder } from "../../../src/spool/spool_folder.ts";
import { segmentPath } from "../../../src/spool/segment_name.ts";
import { type SimFault, SimStorage } from "../../support/sim_storage.ts";
import {
  appendLarge,
  closePartition,
  numbered,
  numberOf,
  openPartition,
  PARTITION,
  readAll,
  whole,
} from "../../support/spool_fixture.ts";

/** Chance that can be repeated. */
function chance(seed: number): () => number {
  let state = seed * 7919 + 1;
  return () => (state = state * 48271 % 2147483647) / 2147483647;
}

/** Every third record has a file of its own. */
const isLarge = (number: number): boolean => number % 3 === 0;

/** All records that can be read now, with their bodies. What was not acknowledged may have lost its file. */
async function wholes(reader: PartitionReader): Promise<StoredRecord[]> {
  const records: StoredRecord[] = [];
  for (const record of await readAll(reader)) {
    try {
      records.push(await whole(reader, record));
    } catch (error) {
      if (!(error instanceof LargeBodyLost)) throw error;
    }
  }
  return records;
}

/** What a run of the script knows for certain. */
interface Knowledge {
  readonly acknowledged: Set<number>;
  readonly settled: Set<number>;
  readonly attempted: Set<number>;
}

/** Appends, reads, settles out of order, checkpoints, rolls over and restarts; errors end the step they occur in. */
async function runScript(storage: SimStorage, knowledge: Knowledge): Promise<void> {
  for (let life = 0; life < 3; life++) {
    const { bytes, leftovers: [leftovers = []], release } = await openSpoolFolder(storage, "spool", 1);
    release();
    const budget = DiskBudget.create(1 << 30, bytes);
    const partition = await openPartition(storage, { segmentBytesMax: 400, leftovers, budget });
    const { writer, reader } = partition;
    for (let round = 0; round < 3; round++) {
      const numbers = [0, 1, 2, 3].map((n) => 100 * life + 10 * round + n);
      await Promise.allSettled(numbers.map(async (n) => {
        knowledge.attempted.add(n);
        const record = numbered(n, n % 7 * 20);
        await (isLarge(n) ? appendLarge(writer, record) : writer.append(record));
        knowledge.acknowledged.add(n);
      }));
      const records = await wholes(reader);
      for (const record of records.toReversed()) {
        const number = numberOf(record);
        if (number % 4 === 1) continue;
        knowledge.settled.add(number);
        reader.settle(record.position);
      }
      await reader.checkpoint();
    }
    await closePartition(partition);
  }
}

/** Opens what is left after a crash and compares it with what is known. */
async function verify(storage: SimStorage, { acknowledged, settled, attempted }: Knowledge): Promise<void> {
  storage.fault = () => null;
  storage.crash();
  const { bytes, leftovers: [leftovers = []], release } = await openSpoolFolder(storage, "spool", 1);
  release();
  const budget = DiskBudget.create(1 << 30, bytes);
  const partition = await openPartition(storage, { segmentBytesMax: 400, leftovers, budget });
  await partition.writer.append(numbered(999));
  const numbers = (await wholes(partition.reader)).map(numberOf);
  for (const number of acknowledged) {
    assert(settled.has(number) || numbers.includes(number), `${number} lost`);
  }
  for (const number of numbers) assert(number === 999 || attempted.has(number));
  assertEquals(numbers[0], 999);
  // Large ones come into the log when they are whole.
  const small = numbers.slice(1).filter((number) => !isLarge(number));
  assertEquals(small, small.toSorted((a, b) => a - b));
  assertEquals(new Set(numbers).size, numbers.length);
  await closePartition(partition);
  await emptyOut(storage);
}

/** Settles everything, after which nothing is left, large bodies nobody names included. */
async function emptyOut(storage: SimStorage): Promise<void> {
  for (let round = 0; round < 2; round++) {
    const { bytes, leftovers: [leftovers = []], release } = await openSpoolFolder(storage, "spool", 1);
    release();
    const budget = DiskBudget.create(1 << 30, bytes);
    const { reader, writer } = await openPartition(storage, { leftovers, budget });
    for (const { position } of await readAll(reader)) reader.settle(position);
    await closePartition({ reader, writer });
    const left = [...storage.files.keys()].filter((path) => /\.(seg|body|part)$/.test(path));
    assertEquals([left, budget.bytesUsed], [[], 0]);
  }
}

const newKnowledge = (): Knowledge => ({
  acknowledged: new Set(),
  settled: new Set(),
  attempted: new Set(),
});

async function countCalls(): Promise<number> {
  const storage = new SimStorage({ random: chance(0), shortWrites: true });
  await runScript(storage, newKnowledge());
  return storage.calls;
}

for (const fault of ["power_loss_before", "power_loss_after"] satisfies SimFault[]) {
  Deno.test(`spool: no acknowledged record is lost by ${fault.replaceAll("_", " ")} any call`, async () => {
    const total = await countCalls();
    assert(total > 100);
    for (let index = 0; index < total; index++) {
      for (const seed of [0, index, index + 1000]) {
        const storage = new SimStorage({ random: chance(seed), shortWrites: true });
        storage.fault = (call) => call.index === index ? fault : null;
        const knowledge = newKnowledge();
        await runScript(storage, knowledge).catch(() => {});
        await verify(storage, knowledge);
      }
    }
  });
}

for (const fault of ["io", "no_space"] satisfies SimFault[]) {
  Deno.test(`spool: no acknowledged record is lost by ${fault} at any call`, async () => {
    const total = await countCalls();
    for (let index = 0; index < total; index++) {
      const storage = new SimStorage({ random: chance(index), shortWrites: true });
      storage.fault = (call) => call.index === index ? fault : null;
      const knowledge = newKnowledge();
      await runScript(storage, knowledge).catch(() => {});
      await verify(storage, knowledge);
    }
  });
}

Deno.test("spool: recovers from every truncation of a segment, and goes on behind it", async () => {
  const original = new SimStorage({});
  const first = await openPartition(original, { segmentBytesMax: 1 << 20 });
  for (let n = 0; n < 4; n++) await first.writer.append(numbered(n));
  await closePartition(first);
  const path = segmentPath(PARTITION, 1);
  const whole = original.files.get(path)!.content;
  for (let cut = 0; cut <= whole.length; cut++) {
    const storage = new SimStorage({});
    await storage.ensureFolder(PARTITION);
    const content = whole.slice(0, cut);
    storage.files.set(path, { content, durable: content, unsynced: [] });
    const budget = DiskBudget.create(1 << 20, cut);
    const partition = await openPartition(storage, { budget });
    await partition.writer.append(numbered(9));
    const records = await readAll(partition.reader);
    const survivors = Math.floor(cut / (whole.length / 4));
    assertEquals(records.map(numberOf), [9, ...[0, 1, 2, 3].slice(0, survivors)]);
    assertEquals(partition.losses.map(({ kind }) => kind), cut % (whole.length / 4) === 0 ? [] : ["torn"]);
    for (const { position } of records) partition.reader.settle(position);
    await closePartition(partition);
    assertEquals(storage.files.has(path), false);
    assertEquals(budget.bytesUsed, storage.files.get(segmentPath(PARTITION, 2))!.content.length);
  }
});

Deno.test("spool: a writer that died is followed by one that goes on, without the reader noticing", async () => {
  const storage = new SimStorage({});
  const control = new ControlBlock();
  const { reader, writer, budget } = await openPartition(storage, { control });
  await writer.append(numbered(0));
  assertEquals((await readAll(reader)).map(numberOf), [0]);
  const next = await openPartition(storage, { control, budget });
  await next.writer.append(numbered(1));
  await next.writer.append(numbered(2));
  assertEquals((await readAll(reader)).map((record) => [numberOf(record), record.redelivered]), [
    [1, false],
    [2, false],
  ]);
  assertEquals(control.waitingRecords, 3);
  await writer.close();
  await reader.close();
  await closePartition(next);
});
