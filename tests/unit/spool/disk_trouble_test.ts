/** What the spool does when the disk under it misbehaves, and that it goes on when that ends. */
import { assertEquals, assertRejects } from "@std/assert";
import { diskStorage } from "../../../src/spool/disk_storage.ts";
import { SpoolError } from "../../../src/spool/spool_error.ts";
import { SimStorage } from "../../support/sim_storage.ts";
import { closePartition, numbered, numberOf, openPartition, readAll } from "../../support/spool_fixture.ts";

for (const call of ["open", "write", "sync"]) {
  Deno.test(`PartitionWriter: after a failing ${call} it finds out by itself when the disk is well again`, async () => {
    const storage = new SimStorage({});
    const partition = await openPartition(storage);
    const { writer, control, clock } = partition;
    storage.fault = ({ name }) => name === call ? "io" : null;
    await assertRejects(() => writer.append(numbered(0)), SpoolError);
    await clock.advance(5000);
    assertEquals(control.unhealthy, true);
    storage.fault = () => null;
    await clock.advance(1000);
    assertEquals([control.unhealthy, storage.bytes, clock.pending], [false, 0, 0]);
    await writer.append(numbered(1));
    assertEquals((await readAll(partition.reader)).map(numberOf), [1]);
    await closePartition(partition);
  });
}

Deno.test("PartitionWriter: a folder deleted under it is noticed before an answer, and made again", async () => {
  const root = await Deno.makeTempDir({ prefix: "landfall-test-" });
  const folder = `${root}/spool/p0`;
  try {
    const partition = await openPartition(diskStorage, { folder });
    const { writer, reader, control } = partition;
    await writer.append(numbered(0));
    await Deno.remove(`${root}/spool`, { recursive: true });
    const error = await assertRejects(() => writer.append(numbered(1)), SpoolError);
    assertEquals([error.kind, control.unhealthy], ["io_error", true]);
    await writer.append(numbered(2));
    assertEquals(control.unhealthy, false);
    const found = await readAll(reader);
    assertEquals(found.map(numberOf).at(-1), 2);
    for (const { position } of found) reader.settle(position);
    await reader.checkpoint();
    await closePartition(partition);
  } finally {
    await Deno.remove(root, { recursive: true });
  }
});

for (const jumpMs of [86_400_000, -86_400_000]) {
  Deno.test(`Partition: a wall clock that jumps by ${jumpMs / 3_600_000} hours neither stops nor drops anything`, async () => {
    const partition = await openPartition(new SimStorage({}));
    const { writer, reader, clock, losses } = partition;
    await writer.append(numbered(0));
    clock.jump(jumpMs);
    await writer.append({ ...numbered(1) });
    assertEquals((await readAll(reader)).map(numberOf), [0, 1]);
    clock.jump(-jumpMs);
    await writer.append(numbered(2));
    assertEquals([(await readAll(reader)).map(numberOf), losses.length], [[2], 0]);
    await closePartition(partition);
  });
}
