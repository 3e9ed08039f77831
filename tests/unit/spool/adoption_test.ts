import { assert, assertEquals, assertRejects } from "@std/assert";
import { adoptOrphans } from "../../../src/spool/adoption.ts";
import { DeadLetter } from "../../../src/spool/dead_letter.ts";
import { openSpoolFolder, SpoolLockedError, SpoolPathError } from "../../../src/spool/spool_folder.ts";
import { type SimFault, SimStorage } from "../../support/sim_storage.ts";
import {
  closePartition,
  deadRecords,
  numbered,
  numberOf,
  openPartition,
  type Partition,
  readAll,
} from "../../support/spool_fixture.ts";

const FOLDERS = ["spool/p0", "spool/p1", "spool/p2", "spool/p3"];

async function openDead(storage: SimStorage, folder: string, { budget, clock, metrics }: Partition) {
  return await DeadLetter.open({ storage, folder, budget, clock, metrics, bytesMax: 1 << 20 });
}

/** Four partitions with two segments each, of which some records are settled, and a dead letter. */
async function fourLanes(): Promise<{ storage: SimStorage; waiting: Set<number>; dead: Set<number> }> {
  const storage = new SimStorage({});
  const waiting = new Set<number>();
  const dead = new Set<number>();
  for (const [lane, folder] of FOLDERS.entries()) {
    const partition = await openPartition(storage, { folder, segmentBytesMax: 400 });
    for (let n = 0; n < 5; n++) await partition.writer.append(numbered(10 * lane + n));
    for (const record of await readAll(partition.reader)) {
      const number = numberOf(record);
      if (number % 5 === 2) partition.reader.settle(record.position);
      else waiting.add(number);
    }
    const letter = await openDead(storage, folder, partition);
    await letter.append(numbered(500 + lane), "refused");
    dead.add(500 + lane);
    await letter.close();
    await closePartition(partition);
  }
  return { storage, waiting, dead };
}

/** All that waits in the partitions given, each with everything in its dead letter. */
async function contents(storage: SimStorage, folders: readonly string[]) {
  const waiting: number[] = [];
  const dead: number[] = [];
  for (const folder of folders) {
    const partition = await openPartition(storage, { folder, segmentBytesMax: 400 });
    waiting.push(...(await readAll(partition.reader)).map(numberOf));
    dead.push(...(await deadRecords(storage, folder)).map(([number]) => number));
    await closePartition(partition);
  }
  return { waiting, dead };
}

Deno.test("openSpoolFolder: adopts the partitions of lanes that are gone, once each, settled ones excepted", async () => {
  const { storage, waiting, dead } = await fourLanes();
  const folder = await openSpoolFolder(storage, "spool", 2);
  assertEquals(folder.partitions, ["spool/p0", "spool/p1"]);
  assertEquals([...storage.folders].filter((path) => /p[23]/.test(path)), []);
  const inSegments = [...storage.files].filter(([path]) => path.endsWith(".seg"));
  assertEquals(folder.bytes, inSegments.reduce((sum, [, { content }]) => sum + content.length, 0));
  const segments = folder.partitions.map((path) =>
    inSegments.filter(([file]) => file.startsWith(`${path}/0`)).length
  );
  assert(Math.abs(segments[0]! - segments[1]!) <= 1);
  const found = await contents(storage, folder.partitions);
  assertEquals(found.waiting.toSorted((a, b) => a - b), [...waiting]);
  assertEquals(found.dead.toSorted((a, b) => a - b), [...dead]);
});

for (const fault of ["power_loss_before", "power_loss_after", "io"] satisfies SimFault[]) {
  Deno.test(`adoptOrphans: loses and doubles nothing with ${fault.replaceAll("_", " ")} at any call`, async () => {
    for (let index = 0, total = Infinity; index < total; index++) {
      const { storage, waiting, dead } = await fourLanes();
      storage.crash();
      storage.fault = (call) => call.index === index ? fault : null;
      const isHit = await adoptOrphans(storage, FOLDERS.slice(2), FOLDERS.slice(0, 2))
        .then(() => false, () => true);
      if (!isHit) total = index;
      storage.fault = () => null;
      storage.crash();
      const { partitions } = await openSpoolFolder(storage, "spool", 2);
      const found = await contents(storage, partitions);
      assertEquals(found.waiting.toSorted((a, b) => a - b), [...waiting]);
      assertEquals(found.dead.toSorted((a, b) => a - b), [...dead]);
      assert(index < 200);
    }
  });
}

Deno.test("adoptOrphans: after a crash half way, more lanes may use the folders as they are", async () => {
  for (let index = 0; index < 40; index++) {
    const { storage, waiting } = await fourLanes();
    storage.crash();
    storage.fault = (call) => call.index === index ? "power_loss_after" : null;
    await adoptOrphans(storage, FOLDERS.slice(2), FOLDERS.slice(0, 2)).catch(() => {});
    storage.fault = () => null;
    storage.crash();
    const { partitions } = await openSpoolFolder(storage, "spool", 4);
    for (const [lane, folder] of partitions.entries()) {
      const partition = await openPartition(storage, { folder, segmentBytesMax: 400 });
      await partition.writer.append(numbered(900 + lane));
      await closePartition(partition);
    }
    const { waiting: found } = await contents(storage, partitions);
    assertEquals(found.toSorted((a, b) => a - b), [...waiting, 900, 901, 902, 903]);
  }
});

Deno.test("adoptOrphans: keeps a folder in which something foreign is left", async () => {
  const { storage } = await fourLanes();
  const file = { content: new Uint8Array(3), durable: new Uint8Array(3), unsynced: [] };
  storage.files.set("spool/p3/notes.txt", file);
  await openSpoolFolder(storage, "spool", 3);
  assertEquals([...storage.files.keys()].filter((path) => path.startsWith("spool/p3")), [
    "spool/p3/notes.txt",
  ]);
});

Deno.test("openSpoolFolder: a second one is told who has the folder, and gets it when it is released", async () => {
  const storage = new SimStorage({});
  const folder = await openSpoolFolder(storage, "spool", 1);
  const error = await assertRejects(() => openSpoolFolder(storage, "spool", 1), SpoolLockedError);
  assertEquals([error.path, error.holder], ["spool", "process 1"]);
  folder.release();
  (await openSpoolFolder(storage, "spool", 1)).release();
});

Deno.test("openSpoolFolder: gives the lock back when the folder cannot be used", async () => {
  const storage = new SimStorage({});
  storage.fault = ({ name }) => name === "list" ? "io" : null;
  await assertRejects(() => openSpoolFolder(storage, "spool", 1), SpoolPathError);
  storage.fault = () => null;
  (await openSpoolFolder(storage, "spool", 1)).release();
});
