import { assert, assertEquals, assertRejects } from "@std/assert";
import { ControlBlock } from "../../../src/spool/control_block.ts";
import { writeCheckpoint } from "../../../src/spool/checkpoint.ts";
import { DiskBudget } from "../../../src/spool/disk_budget.ts";
import { recordBytes } from "../../../src/spool/record.ts";
import { segmentPath } from "../../../src/spool/segment_name.ts";
import { SpoolError } from "../../../src/spool/spool_error.ts";
import { METRICS } from "../../../src/telemetry/catalogue.ts";
import { type SimCall, SimStorage } from "../../support/sim_storage.ts";
import {
  closePartition,
  numbered,
  numberOf,
  openPartition,
  PARTITION,
  readAll,
} from "../../support/spool_fixture.ts";

const range = (from: number, to: number): number[] => Array.from({ length: to - from }, (_, i) => from + i);

/** Names of the calls a storage gets, filled as they come. */
function calls(storage: SimStorage): string[] {
  const names: string[] = [];
  storage.fault = ({ name }: SimCall) => {
    names.push(name);
    return null;
  };
  return names;
}

Deno.test("PartitionWriter.append: all that wait share one write and one sync", async () => {
  const storage = new SimStorage({});
  const partition = await openPartition(storage, { segmentBytesMax: 1 << 20 });
  const names = calls(storage);
  await Promise.all(range(0, 64).map((n) => partition.writer.append(numbered(n))));
  assertEquals(names, ["open", "write", "sync"]);
  assertEquals(partition.metrics.read(METRICS.spoolCommits), 1);
  assertEquals(partition.metrics.read(METRICS.spoolAppended), 64);
  await closePartition(partition);
});

Deno.test("PartitionWriter.append: what comes during a sync is in the next commit", async () => {
  const storage = new SimStorage({});
  const partition = await openPartition(storage, { segmentBytesMax: 1 << 20 });
  const first = partition.writer.append(numbered(0));
  await Promise.resolve();
  await Promise.resolve();
  const later = range(1, 5).map((n) => partition.writer.append(numbered(n)));
  await first;
  assertEquals(partition.control.position().sequence, 1);
  await Promise.all(later);
  assertEquals(partition.metrics.read(METRICS.spoolCommits), 2);
  assertEquals((await readAll(partition.reader)).map(numberOf), range(0, 5));
  await closePartition(partition);
});

Deno.test("PartitionWriter.append: segments end before they exceed their size, but take any single record", async () => {
  const storage = new SimStorage({});
  const partition = await openPartition(storage, { segmentBytesMax: 500 });
  await Promise.all(range(0, 20).map((n) => partition.writer.append(numbered(n, n === 10 ? 3000 : 60))));
  const sizes = [...storage.files.values()].map(({ content }) => content.length);
  assertEquals(sizes.filter((size) => size > 500), [recordBytes(numbered(10, 3000))]);
  assertEquals((await readAll(partition.reader)).map(numberOf), range(0, 20));
  await closePartition(partition);
});

Deno.test("PartitionWriter.append: large bodies and short writes arrive whole and in order", async () => {
  let seed = 1;
  const random = (): number => (seed = seed * 48271 % 2147483647) / 2147483647;
  const storage = new SimStorage({ shortWrites: true, random });
  const partition = await openPartition(storage, { segmentBytesMax: 1 << 20 });
  const sizes = [10, 300_000, 0, 70_000, 65_536, 5];
  await Promise.all(sizes.map((size, n) => partition.writer.append(numbered(n, size))));
  assertEquals((await readAll(partition.reader)).map(numberOf), range(0, 6));
  await closePartition(partition);
});

Deno.test("PartitionWriter.append: beyond the bound it refuses before it writes, and takes more once there is room", async () => {
  const storage = new SimStorage({});
  const bytes = recordBytes(numbered(1));
  const partition = await openPartition(storage, {
    budget: DiskBudget.create(2 * bytes + 1),
    segmentBytesMax: bytes,
  });
  const { writer, reader, budget, metrics } = partition;
  await writer.append(numbered(1));
  await writer.append(numbered(2));
  const error = await assertRejects(() => writer.append(numbered(3)), SpoolError);
  assertEquals([error.kind, error.isFull, storage.bytes], ["full", true, 2 * bytes]);
  assertEquals(metrics.read(METRICS.spoolRefused, "full"), 1);
  for (const { position } of await readAll(reader)) reader.settle(position);
  await reader.checkpoint();
  assertEquals(budget.bytesUsed, bytes); // the segment being written is not deleted
  await writer.append(numbered(4));
  assertEquals((await readAll(reader)).map(numberOf), [4]);
  await closePartition(partition);
});

Deno.test("PartitionWriter.append: on a full volume it says so, keeps what it has, and recovers by itself", async () => {
  const bytes = recordBytes(numbered(1));
  const storage = new SimStorage({ capacity: 3 * bytes + 20 });
  const partition = await openPartition(storage, { segmentBytesMax: 2 * bytes });
  const { writer, reader, control, budget, metrics } = partition;
  for (const n of range(0, 3)) await writer.append(numbered(n));
  for (const n of range(3, 6)) {
    const error = await assertRejects(() => writer.append(numbered(n)), SpoolError);
    assertEquals([error.kind, error.isFull], ["no_space", true]);
  }
  assertEquals([control.unhealthy, metrics.read(METRICS.spoolUnhealthy)], [true, 1]);
  assertEquals([storage.bytes, budget.bytesUsed], [3 * bytes, 3 * bytes]);
  assertEquals([...storage.files.keys()].length, 2);
  storage.capacity = Infinity;
  await writer.append(numbered(9));
  assertEquals([control.unhealthy, metrics.read(METRICS.spoolUnhealthy)], [false, 0]);
  assertEquals((await readAll(reader)).map(numberOf), [0, 1, 2, 9]);
  await closePartition(partition);
});

for (const broken of ["write", "sync", "open"]) {
  Deno.test(`PartitionWriter.append: after a failed ${broken} the commit is refused and a new segment begun`, async () => {
    const storage = new SimStorage({});
    const partition = await openPartition(storage);
    const { writer, reader, control, budget } = partition;
    if (broken !== "open") await writer.append(numbered(0));
    let failures = 1;
    storage.fault = ({ name }) => name === broken && failures-- > 0 ? "io" : null;
    const refused = await Promise.allSettled([writer.append(numbered(1)), writer.append(numbered(2))]);
    assertEquals(refused.map(({ status }) => status), ["rejected", "rejected"]);
    assert(control.unhealthy);
    const before = control.position().segment;
    await writer.append(numbered(3));
    assertEquals(control.position().segment > before, true);
    storage.crash();
    const expected = broken === "open" ? [3] : [0, 3];
    const reopened = await openPartition(storage, { control, budget });
    assertEquals((await readAll(reopened.reader)).map(numberOf), expected);
    assertEquals(budget.bytesUsed, storage.bytes);
    await closePartition(reopened);
    await assertRejects(() => reader.close().then(() => writer.append(numbered(4))));
  });
}

Deno.test("PartitionWriter.close: keeps what was appended and refuses the rest", async () => {
  const storage = new SimStorage({});
  const { writer, reader, budget } = await openPartition(storage);
  const pending = writer.append(numbered(1));
  const closing = writer.close();
  const used = budget.bytesUsed;
  const error = await assertRejects(() => writer.append(numbered(2)), SpoolError);
  assertEquals([error.kind, error.isFull, budget.bytesUsed], ["closed", false, used]);
  await pending;
  await closing;
  assertEquals((await readAll(reader)).map(numberOf), [1]);
  await reader.close();
});

Deno.test("PartitionWriter.open: never gives away a number that a file, the checkpoint or the control block has", async () => {
  const storage = new SimStorage({});
  await storage.ensureFolder(PARTITION);
  const control = new ControlBlock();
  const first = async (): Promise<number> => {
    const partition = await openPartition(storage, { control });
    await partition.writer.append(numbered(1));
    await partition.writer.close();
    return control.position().segment;
  };
  assertEquals(await first(), 1);
  storage.files.set(segmentPath(PARTITION, 41), storage.files.get(segmentPath(PARTITION, 1))!);
  assertEquals(await first(), 42);
  await writeCheckpoint(storage, PARTITION, { highest: 60, segments: new Map() });
  assertEquals(await first(), 61);
  storage.files.clear();
  assertEquals(await first(), 62);
});
