import { assert, assertEquals } from "@std/assert";
import { recordBytes, type SpoolRecord } from "../../../src/spool/record.ts";
import { SegmentLedger } from "../../../src/spool/segment_ledger.ts";
import { SegmentWalk, type SpoolLoss } from "../../../src/spool/segment_walk.ts";
import { StretchCursor } from "../../../src/spool/stretch_cursor.ts";
import { SimStorage } from "../../support/sim_storage.ts";
import {
  closePartition,
  numbered,
  numberOf,
  openPartition,
  PARTITION,
  readAll,
} from "../../support/spool_fixture.ts";

const range = (from: number, to: number): number[] => Array.from({ length: to - from }, (_, i) => from + i);

/** How often the storage is asked for each call from now on. */
function counted(storage: SimStorage): Map<string, number> {
  const counts = new Map<string, number>();
  storage.fault = ({ name, path }) => {
    if (path.endsWith(".seg")) counts.set(name, (counts.get(name) ?? 0) + 1);
    return null;
  };
  return counts;
}

Deno.test("StretchCursor: projects released together share what is read, whatever lies between them", async () => {
  const storage = new SimStorage({});
  const partition = await openPartition(storage, { segmentBytesMax: 1 << 20, chunkBytes: 1 << 14 });
  const { reader, writer } = partition;
  const projects = 20;
  const ofProject = (n: number): SpoolRecord => ({ ...numbered(n), projectHash: n % projects });
  const bytes = recordBytes(numbered(1));
  for (let project = 0; project < projects; project++) if (project % 2 === 0) reader.hold(project);
  await Promise.all(range(0, 2000).map((n) => writer.append(ofProject(n))));
  for (const record of await readAll(reader)) reader.settle(record.position);
  assertEquals([reader.held.projects, reader.held.records], [10, 1000]);
  const counts = counted(storage);
  for (let project = 0; project < projects; project += 2) reader.release(project);
  const released = await readAll(reader);
  assertEquals(
    released.map(numberOf).sort((a, b) => a - b),
    range(0, 2000).filter((n) => n % 2 === 0),
  );
  assertEquals(counts.get("open"), 1);
  const reads = Math.ceil(2000 * bytes / (1 << 14));
  assert(counts.get("read")! <= 2 * reads + 2, `${counts.get("read")} reads of ${reads} chunks`);
  for (const { body } of released) assert(body.buffer.byteLength <= 2 * bytes, "holds on to a chunk");
  await closePartition(partition);
});

Deno.test("StretchCursor: what is read ahead ends where the writer is", async () => {
  const storage = new SimStorage({});
  const { reader, writer, control, budget, clock, metrics } = await openPartition(storage, {
    segmentBytesMax: 1 << 20,
  });
  const options = { storage, folder: PARTITION, control, budget, clock, metrics };
  const ledger = new SegmentLedger(
    { ...options, checkpointIntervalMs: 100 },
    { highest: 0, segments: new Map() },
    [],
  );
  const losses: SpoolLoss[] = [];
  const onLoss = (loss: SpoolLoss): number => losses.push(loss);
  const cursor = new StretchCursor(() =>
    new SegmentWalk({ ...options, ledger, onLoss, chunkBytes: 1 << 14 })
  );
  const bytes = recordBytes(numbered(1));
  for (let number = 0; number < 10; number++) {
    await writer.append(numbered(number));
    if (number % 2 === 1) continue;
    const from = number * bytes;
    cursor.open({ segment: 1, from, to: from + bytes, records: 1, oldestMs: 0 });
    const { header, meta, body } = (await cursor.next())!;
    assertEquals(numberOf({ receivedAtMs: header.receivedAtMs, meta, body }), number);
  }
  assertEquals(losses, []);
  cursor.close();
  await closePartition({ reader, writer });
});
