import { assertEquals } from "@std/assert";
import { encodeLargeBody } from "../../../src/spool/large_body.ts";
import { ControlBlock } from "../../../src/spool/control_block.ts";
import { LaneProjectBytes, ProjectBytes } from "../../../src/spool/project_bytes.ts";
import { recordBytes, type SpoolRecord } from "../../../src/spool/record.ts";
import { ManualClock } from "../../support/manual_clock.ts";
import { SimStorage } from "../../support/sim_storage.ts";
import { closePartition, numbered, openPartition, readAll } from "../../support/spool_fixture.ts";

const ofProject = (projectHash: number, number: number): SpoolRecord => ({
  ...numbered(number),
  projectHash,
});
const BYTES = recordBytes(numbered(10));

/** A partition of lane 0 whose projects are counted. */
async function open(storage: SimStorage, bytes: ProjectBytes, control = new ControlBlock()) {
  const lane = new LaneProjectBytes(bytes, 0, control, new ManualClock());
  return await openPartition(storage, { control, projects: { writer: bytes, reader: lane } });
}

Deno.test("ProjectBytes: what is appended counts until it is settled, each project for itself", async () => {
  const bytes = ProjectBytes.create(2);
  const partition = await open(new SimStorage({}), bytes);
  for (const number of [10, 11, 12]) await partition.writer.append(ofProject(1, number));
  await partition.writer.append(ofProject(2, 20));
  assertEquals([bytes.of(1), bytes.of(2), bytes.of(3)], [3 * BYTES, BYTES, 0]);
  for (const { position } of await readAll(partition.reader)) partition.reader.settle(position);
  assertEquals([bytes.of(1), bytes.of(2)], [0, 0]);
  await closePartition(partition);
});

Deno.test("ProjectBytes: what the disk refuses does not count", async () => {
  const storage = new SimStorage({});
  const bytes = ProjectBytes.create(1);
  const partition = await open(storage, bytes);
  storage.fault = ({ name }) => name === "sync" ? "io" : null;
  const isRefused = await partition.writer.append(ofProject(1, 10)).then(() => false, () => true);
  assertEquals([isRefused, bytes.of(1)], [true, 0]);
  storage.fault = () => null;
  await closePartition(partition);
});

Deno.test("ProjectBytes: after a restart what waited counts once it is read, and a reader that starts over counts anew", async () => {
  const storage = new SimStorage({});
  const first = await open(storage, ProjectBytes.create(1));
  for (const number of [10, 11, 12]) await first.writer.append(ofProject(1, number));
  await closePartition(first);

  const bytes = ProjectBytes.create(1);
  const control = new ControlBlock();
  const second = await open(storage, bytes, control);
  assertEquals(bytes.of(1), 0);
  await second.writer.append(ofProject(1, 13));
  const records = await readAll(second.reader);
  assertEquals([records.length, bytes.of(1)], [4, 4 * BYTES]);
  second.reader.settle(records.at(-1)!.position);
  assertEquals(bytes.of(1), 3 * BYTES);
  new LaneProjectBytes(bytes, 0, control, new ManualClock());
  assertEquals(bytes.of(1), BYTES);
  await closePartition(second);
});

Deno.test("ProjectBytes: the file of a large body counts with its record, and lanes add up", async () => {
  const bytes = ProjectBytes.create(2);
  const partition = await open(new SimStorage({}), bytes);
  const large = { name: "0".repeat(32), bytes: 1_000_000, crc: 1 };
  const record = { ...ofProject(1, 10), body: [encodeLargeBody(large)], isLarge: true };
  await partition.writer.append(record);
  assertEquals(bytes.of(1), recordBytes(record) + large.bytes);
  new ProjectBytes(bytes.buffer).addEarlier(1, 1, 500, 0);
  assertEquals(bytes.of(1), recordBytes(record) + large.bytes + 500);
  const [found] = await readAll(partition.reader);
  partition.reader.settle(found!.position);
  assertEquals(bytes.of(1), 500);
  await closePartition(partition);
});
