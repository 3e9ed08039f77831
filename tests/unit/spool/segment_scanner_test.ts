import { assert, assertEquals } from "@std/assert";
import { encodeHeader, FLAG_HOLE, HEADER_BYTES, recordBytes } from "../../../src/spool/record.ts";
import { segmentPath } from "../../../src/spool/segment_name.ts";
import { SegmentScanner } from "../../../src/spool/segment_scanner.ts";
import { SimStorage } from "../../support/sim_storage.ts";
import { closePartition, numbered, numberOf, openPartition, PARTITION } from "../../support/spool_fixture.ts";

const SIZES = [0, 1, 40, 700, 3, 0, 120];

/** A storage with one segment that holds a record of each size, and where its records start. */
async function oneSegment(
  sizes: readonly number[] = SIZES,
): Promise<{ storage: SimStorage; bytes: Uint8Array; starts: number[] }> {
  const storage = new SimStorage({});
  const partition = await openPartition(storage, { segmentBytesMax: 1 << 20 });
  const records = sizes.map((size, i) => numbered(i, size));
  await Promise.all(records.map((record) => partition.writer.append(record)));
  await closePartition(partition);
  let end = 0;
  const starts = records.map((record) => (end += recordBytes(record)) - recordBytes(record));
  return { storage, bytes: storage.files.get(segmentPath(PARTITION, 1))!.content, starts };
}

/** What a scan finds: the numbers of the records, and the gaps. */
async function scan(
  storage: SimStorage,
  bytes: Uint8Array,
  chunkBytes = 200,
): Promise<{ numbers: number[]; gaps: { from: number; to: number; isCut: boolean }[] }> {
  storage.files.set("segment", { content: bytes, durable: bytes, unsynced: [] });
  const file = await storage.open("segment", "read");
  const scanner = new SegmentScanner(file, 0, chunkBytes);
  const numbers: number[] = [];
  const gaps: { from: number; to: number; isCut: boolean }[] = [];
  for (;;) {
    const step = await scanner.next(bytes.length);
    if (step.kind === "end") return { numbers, gaps };
    if (step.kind === "gap") gaps.push({ from: step.from, to: step.to, isCut: step.isCut });
    else {
      const { receivedAtMs } = step.header;
      numbers.push(numberOf({ meta: step.meta, body: step.body, receivedAtMs }));
    }
  }
}

Deno.test("SegmentScanner: finds all records whatever the size of its chunks", async () => {
  const { storage, bytes } = await oneSegment();
  for (const chunkBytes of [1, 63, 64, 65, 100, 1000, 1 << 20]) {
    assertEquals(await scan(storage, bytes, chunkBytes), { numbers: [0, 1, 2, 3, 4, 5, 6], gaps: [] });
  }
});

Deno.test("SegmentScanner: after every truncation the whole records are there and the rest is one cut gap", async () => {
  const { storage, bytes, starts } = await oneSegment();
  const boundaries = [...starts, bytes.length];
  for (let cut = 0; cut <= bytes.length; cut++) {
    const { numbers, gaps } = await scan(storage, bytes.subarray(0, cut));
    const whole = boundaries.filter((start) => start <= cut).length - 1;
    assertEquals(numbers.length, whole);
    const from = boundaries[whole]!;
    assertEquals(gaps, from === cut ? [] : [{ from, to: cut, isCut: true }]);
  }
});

Deno.test("SegmentScanner: a flipped byte at any position costs only its own record", async () => {
  const { storage, bytes, starts } = await oneSegment();
  for (let at = 0; at < bytes.length; at++) {
    const damaged = bytes.slice();
    damaged[at] = damaged[at]! ^ 0x10;
    const victim = starts.findLastIndex((start) => start <= at);
    const { numbers, gaps } = await scan(storage, damaged);
    assertEquals(numbers, [0, 1, 2, 3, 4, 5, 6].filter((number) => number !== victim));
    assertEquals(gaps.map(({ from, to }) => [from, to]), [[
      starts[victim]!,
      starts[victim + 1] ?? bytes.length,
    ]]);
  }
});

Deno.test("SegmentScanner: zeros behind the last record, as a power loss leaves them, are one cut gap", async () => {
  const { storage, bytes } = await oneSegment();
  const longer = new Uint8Array(bytes.length + 5000);
  longer.set(bytes);
  assertEquals(await scan(storage, longer), {
    numbers: [0, 1, 2, 3, 4, 5, 6],
    gaps: [{ from: bytes.length, to: longer.length, isCut: true }],
  });
});

Deno.test("SegmentScanner: a body that imitates a header cannot hide the records behind it", async () => {
  const { bytes, storage } = await oneSegment([5000]);
  const forged = bytes.slice(0, 100);
  const record = { ...numbered(1, 0), body: [forged] };
  const partition = await openPartition(storage, { segmentBytesMax: 1 << 20 });
  for (const each of [record, numbered(2), numbered(3)]) await partition.writer.append(each);
  await partition.writer.append(numbered(4, 6000));
  await closePartition(partition);
  const segment = storage.files.get(segmentPath(PARTITION, 2))!.content.slice();
  segment[9] = segment[9]! ^ 1;
  const { numbers, gaps } = await scan(storage, segment);
  assertEquals(numbers, [2, 3, 4]);
  assertEquals(gaps, [{ from: 0, to: recordBytes(record), isCut: false }]);
});

Deno.test("SegmentScanner: records that were handed out stay as they were while reading goes on", async () => {
  const { storage, bytes } = await oneSegment([10, 20, 30, 900, 40]);
  storage.files.set("segment", { content: bytes, durable: bytes, unsynced: [] });
  const scanner = new SegmentScanner(await storage.open("segment", "read"), 0, 150);
  const held = [];
  for (;;) {
    const step = await scanner.next(bytes.length);
    if (step.kind === "end") break;
    assert(step.kind === "record");
    held.push({ ...step.header, meta: step.meta, body: step.body });
  }
  assertEquals(held.map(numberOf), [0, 1, 2, 3, 4]);
});

Deno.test("SegmentScanner: a hole is passed over, and one that a client made up in a body is not believed", async () => {
  const { storage, bytes, starts } = await oneSegment();
  const hole = (into: Uint8Array, from: number, to: number): void =>
    encodeHeader(into, new DataView(into.buffer), from, {
      ...{ metaBytes: 0, bodyBytes: to - from - HEADER_BYTES, payloadCrc: 0, flags: FLAG_HOLE },
      ...{ receivedAtMs: 0, sequence: 0, projectHash: 0, categoryLow: 0, categoryHigh: 0 },
    });
  const made = bytes.slice();
  made.fill(0, starts[1]!, starts[4]);
  hole(made, starts[1]!, starts[4]!);
  for (const chunkBytes of [1, 64, 200, 1 << 20]) {
    assertEquals(await scan(storage, made, chunkBytes), {
      numbers: [0, 4, 5, 6],
      gaps: [{ from: starts[1]!, to: starts[4]!, isCut: false }],
    });
  }
  // In the body of a record whose own header is damaged, with a length that would swallow all that follows.
  const forged = bytes.slice();
  hole(forged, starts[3]! + HEADER_BYTES + 100, bytes.length);
  forged[starts[3]! + 9]! ^= 1;
  for (const chunkBytes of [1, 64, 200, 1 << 20]) {
    assertEquals(await scan(storage, forged, chunkBytes), {
      numbers: [0, 1, 2, 4, 5, 6],
      gaps: [{ from: starts[3]!, to: starts[4]!, isCut: false }],
    });
  }
});
