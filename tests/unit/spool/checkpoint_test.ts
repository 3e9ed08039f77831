import { assertEquals, assertRejects } from "@std/assert";
import { readCheckpoint, removeCheckpoint, writeCheckpoint } from "../../../src/spool/checkpoint.ts";
import { StorageError } from "../../../src/spool/storage.ts";
import { SimStorage } from "../../support/sim_storage.ts";

const segments = new Map<number, number[]>([[3, [0, 100, 200, 300]], [7, [0, 5]]]);
const empty = { highest: 0, segments: new Map() };

async function written(): Promise<SimStorage> {
  const storage = new SimStorage({});
  await storage.ensureFolder("p0");
  await writeCheckpoint(storage, "p0", { highest: 9, segments });
  return storage;
}

Deno.test("readCheckpoint: gives back what was written", async () => {
  const storage = await written();
  assertEquals(await readCheckpoint(storage, "p0"), { highest: 9, segments, state: "read" });
});

Deno.test("readCheckpoint: a missing one is empty", async () => {
  const storage = new SimStorage({});
  await storage.ensureFolder("p0");
  assertEquals(await readCheckpoint(storage, "p0"), { ...empty, state: "missing" });
});

Deno.test("readCheckpoint: cut anywhere or with any byte changed it is damaged, never wrong", async () => {
  const storage = await written();
  const file = storage.files.get("p0/checkpoint")!;
  const whole = file.content;
  for (let cut = 0; cut < whole.length; cut++) {
    file.content = whole.slice(0, cut);
    assertEquals(await readCheckpoint(storage, "p0"), { ...empty, state: "damaged" });
    file.content = whole.slice();
    file.content[cut] = file.content[cut]! ^ 4;
    assertEquals(await readCheckpoint(storage, "p0"), { ...empty, state: "damaged" });
  }
});

Deno.test("readCheckpoint: a disk that fails is an error, because nothing is known then", async () => {
  const storage = await written();
  storage.fault = () => "io";
  await assertRejects(() => readCheckpoint(storage, "p0"), StorageError);
});

Deno.test("removeCheckpoint: takes a leftover of a replacement along", async () => {
  const storage = await written();
  storage.files.set("p0/checkpoint.tmp", storage.files.get("p0/checkpoint")!);
  await removeCheckpoint(storage, "p0");
  assertEquals([...storage.files.keys()], []);
});
