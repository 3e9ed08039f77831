import { assertEquals, assertRejects } from "@std/assert";
import { DiskBudget } from "../../../src/spool/disk_budget.ts";
import { SpaceWatch } from "../../../src/spool/space_watch.ts";
import { encodeLargeBody, type LargeBody, largePath } from "../../../src/spool/large_body.ts";
import { segmentPath } from "../../../src/spool/segment_name.ts";
import { spoolBytes } from "../../../src/spool/spool_folder.ts";
import { SpoolError } from "../../../src/spool/spool_error.ts";
import { SimStorage } from "../../support/sim_storage.ts";
import { closePartition, numbered, openPartition, PARTITION, readAll } from "../../support/spool_fixture.ts";

const MIB = 1024 * 1024;

Deno.test("SpaceWatch: what is free above the bound is all that can be taken until the next look", async () => {
  const storage = new SimStorage({ capacity: 10_000 });
  const partition = await openPartition(storage);
  const { budget, writer, reader } = partition;
  const watch = new SpaceWatch({ storage, partitions: [PARTITION], budget, freeBytesMin: 8000 });
  await watch.look();
  assertEquals([watch.freeBytes, watch.isLow], [10_000, false]);
  await writer.append(numbered(1, 1500));
  await assertRejects(() => writer.append(numbered(2, 1500)), SpoolError, "bound");
  assertEquals(budget.bytesUsed, storage.bytes);

  // Somebody else takes what was left.
  storage.capacity = 7000 + storage.bytes;
  await watch.look();
  assertEquals([watch.isLow, storage.fault({} as never)], [true, null]);
  await assertRejects(() => writer.append(numbered(3, 10)), SpoolError, "bound");

  storage.capacity = 20_000;
  await watch.look();
  assertEquals(watch.isLow, false);
  await writer.append(numbered(4, 1500));
  assertEquals((await readAll(reader)).length, 2);
  await closePartition(partition);
});

Deno.test("SpaceWatch: without a bound the volume is only measured, and one that cannot be is no error", async () => {
  const storage = new SimStorage({ capacity: 100 });
  const budget = DiskBudget.create(MIB);
  const watch = new SpaceWatch({ storage, partitions: [PARTITION], budget, freeBytesMin: 0 });
  storage.fault = () => "io";
  await watch.look();
  assertEquals([watch.freeBytes, watch.isLow, budget.tryReserve(1000)], [null, false, true]);
  storage.fault = () => null;
  await watch.look();
  assertEquals([watch.freeBytes, watch.isLow], [100, false]);
});

Deno.test("SpaceWatch: large bodies deleted with their partition leave the budget once, also when their records end", async () => {
  const storage = new SimStorage({});
  const partition = await openPartition(storage);
  const { budget, writer, reader } = partition;
  const watch = new SpaceWatch({ storage, partitions: [PARTITION], budget, freeBytesMin: 0 });
  const kept: LargeBody[] = [];
  for (let number = 0; number < 3; number++) {
    const upload = await writer.openLarge();
    for (let piece = 0; piece < 4; piece++) await upload.write([new Uint8Array(MIB)]);
    const body = await upload.seal();
    kept.push(body);
    await writer.append({ ...numbered(number, 10), body: [encodeLargeBody(body)], isLarge: true });
    upload.keep();
  }
  const arriving = await writer.openLarge();
  await arriving.write([new Uint8Array(2 * MIB)]);
  assertEquals(budget.bytesUsed, storage.bytes);
  await storage.remove(largePath(PARTITION, kept[0]!.name));
  await storage.remove(largePath(PARTITION, kept[1]!.name));
  for (let look = 0; look < 100; look++) await watch.look();
  assertEquals(budget.bytesUsed, storage.bytes);
  // The records of those that are gone end all the same, and give nothing back twice.
  for (let record = await reader.next(); record; record = await reader.next()) reader.settle(record.position);
  await arriving.discard();
  await closePartition(partition);
  assertEquals(budget.bytesUsed, await spoolBytes(storage, [PARTITION]));
});

Deno.test("SpaceWatch: files deleted under the node leave the budget; what is being written stays", async () => {
  const storage = new SimStorage({});
  const partition = await openPartition(storage, { segmentBytesMax: 2 * MIB });
  const { budget, writer } = partition;
  const watch = new SpaceWatch({ storage, partitions: [PARTITION], budget, freeBytesMin: 0 });
  for (let number = 0; number < 6; number++) await writer.append(numbered(number, MIB));
  budget.tryReserve(1000);
  const used = budget.bytesUsed;
  const looks = async (count: number): Promise<void> => {
    for (let look = 0; look < count; look++) await watch.look();
  };
  await looks(100);
  assertEquals(budget.bytesUsed, used);
  for (const number of [1, 2]) await storage.remove(segmentPath(PARTITION, number));
  await looks(100);
  assertEquals(budget.bytesUsed, storage.bytes);
  await closePartition(partition);
});
