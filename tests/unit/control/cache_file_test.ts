import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { fromUtf8, utf8 } from "../../../src/core/bytes.ts";
import { CacheWriter, readCacheFile, renderCacheFile } from "../../../src/control/cache_file.ts";
import { StorageError } from "../../../src/spool/storage.ts";
import { ManualClock } from "../../support/manual_clock.ts";
import { SimStorage } from "../../support/sim_storage.ts";

const OWNER = { upstream: "https://sentry.example/", relayId: "me" };
const PATH = "spool/projects.cache";
const CONTENT = {
  projects: [
    { key: "a".repeat(32), text: `{"projectId":1,"config":{"allowedDomains":["ä*"]}}` },
    { key: "b".repeat(32), text: null },
  ],
  global: { options: { x: 1 } },
};
const READ = [{ key: "a".repeat(32), raw: JSON.parse(CONTENT.projects[0]!.text!) }, {
  key: "b".repeat(32),
  raw: null,
}];

async function stored(bytes: Uint8Array | null): Promise<SimStorage> {
  const storage = new SimStorage({});
  await storage.ensureFolder("spool");
  if (bytes) await storage.replaceFile(PATH, bytes);
  return storage;
}

Deno.test("cache file: what was written is read again", async () => {
  const storage = await stored(await renderCacheFile(OWNER, CONTENT));
  assertEquals(await readCacheFile(storage, PATH, OWNER), {
    projects: READ,
    global: CONTENT.global,
    damaged: 0,
  });
});

Deno.test("cache file: none is no problem", async () => {
  assertEquals(await readCacheFile(await stored(null), PATH, OWNER), {
    projects: [],
    global: null,
    damaged: 0,
  });
});

for (const other of [{ upstream: "https://other.example/" }, { relayId: "somebody" }]) {
  Deno.test(`cache file: that of ${Object.keys(other)[0]} ${Object.values(other)[0]} is not used`, async () => {
    const storage = await stored(await renderCacheFile({ ...OWNER, ...other }, CONTENT));
    assertEquals((await readCacheFile(storage, PATH, OWNER)).projects, []);
  });
}

Deno.test("cache file: a damaged line costs one project", async () => {
  const text = fromUtf8(await renderCacheFile(OWNER, CONTENT)).replace(`"projectId":1`, `"projectId":2`);
  const { projects, global, damaged } = await readCacheFile(await stored(utf8(text)), PATH, OWNER);
  assertEquals([projects, global, damaged], [READ.slice(1), CONTENT.global, 1]);
});

Deno.test("cache file: whatever is damaged, what is read is what was written", async () => {
  const bytes = await renderCacheFile(OWNER, CONTENT);
  const texts = READ.map((project) => JSON.stringify(project));
  await fc.assert(
    fc.asyncProperty(
      fc.nat(bytes.length - 1),
      fc.integer({ min: 1, max: 255 }),
      fc.boolean(),
      async (at, xor, isCut) => {
        const damaged = isCut
          ? bytes.slice(0, at)
          : bytes.map((byte, index) => index === at ? byte ^ xor : byte);
        const { projects } = await readCacheFile(await stored(damaged), PATH, OWNER);
        for (const project of projects) assert(texts.includes(JSON.stringify(project)));
      },
    ),
    { numRuns: 100 },
  );
});

Deno.test("CacheWriter: writes only what has changed, and not too often", async () => {
  const clock = new ManualClock();
  let writes = 0;
  let isFull = true;
  const storage = {
    replaceFile(): Promise<void> {
      writes++;
      return isFull ? Promise.reject(new StorageError("no_space", "full")) : Promise.resolve();
    },
  } as unknown as SimStorage;
  const writer = new CacheWriter({
    storage,
    clock,
    path: PATH,
    render: () => Promise.resolve(new Uint8Array(1)),
  });
  writer.tick();
  await clock.advance(0);
  assertEquals(writes, 0);
  writer.changed();
  writer.tick();
  writer.tick();
  await clock.advance(0);
  assertEquals(writes, 1);
  isFull = false;
  writer.tick();
  await clock.advance(999);
  writer.tick();
  assertEquals(writes, 1, "not before the pause is over");
  await clock.advance(1);
  writer.tick();
  await clock.advance(0);
  assertEquals(writes, 2, "what could not be written is written later");
  await writer.close();
  assertEquals(writes, 2);
  writer.changed();
  await writer.close();
  assertEquals(writes, 3);
});
