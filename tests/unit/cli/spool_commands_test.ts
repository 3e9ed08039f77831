import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { gzipSync } from "node:zlib";
import { utf8 } from "../../../src/core/bytes.ts";
import { encodeRequestMeta, type RequestMeta } from "../../../src/protocol/request_meta.ts";
import { DeadLetter } from "../../../src/spool/dead_letter.ts";
import { systemClock } from "../../../src/core/clock.ts";
import { runFakeCli } from "../../support/fake_system.ts";
import { SimStorage } from "../../support/sim_storage.ts";
import { closePartition, openPartition } from "../../support/spool_fixture.ts";

const NOW_MS = Date.UTC(2026, 5, 1);
const clock = { ...systemClock, now: () => NOW_MS, sleep: () => Promise.resolve() };
const EVENT = "c".repeat(32);
const ENVELOPE = `{"event_id":"${EVENT}"}\n{"type":"event","length":7}\n{"a":1}\n`;
const META: RequestMeta = {
  projectId: "42",
  key: "a".repeat(32),
  version: 7,
  client: "test/1",
  origin: null,
  remoteAddr: "127.0.0.1",
  forwardedFor: "127.0.0.1",
  userAgent: "evil\u001b[2Jagent",
  clientHints: null,
  noCache: false,
  contentEncoding: "",
  eventId: EVENT,
  quantities: [["error", 1]],
  passthrough: null,
};
const FILES = {
  "cfg/config.yml": "relay: {mode: proxy}\nspool: {envelopes: {path: spool}}\nadmin: {enabled: false}\n",
};

function record(ageMs: number, change: Partial<RequestMeta> = {}, body: Uint8Array = utf8(ENVELOPE)) {
  const meta = encodeRequestMeta({ ...META, ...change });
  return { receivedAtMs: NOW_MS - ageMs, projectHash: 1, categoryBits: [1, 0] as const, meta, body: [body] };
}

/** A stopped node: two records wait, two are dead, the second of them no envelope. */
async function stopped(): Promise<SimStorage> {
  const storage = new SimStorage({});
  const partition = await openPartition(storage);
  await partition.writer.append(record(90_000));
  await partition.writer.append(record(5000, { contentEncoding: "gzip", eventId: null }, gzipSync(ENVELOPE)));
  await closePartition(partition);
  const dead = await DeadLetter.open({ ...partition, storage, folder: "spool/p0", bytesMax: 1 << 20 });
  await dead.append(record(3 * 3_600_000), "the upstream answered 400\u001b[31m");
  await dead.append(record(1000, { passthrough: { path: "/x", contentType: null } }, utf8("raw")), "too bad");
  await dead.close();
  return storage;
}

function run(storage: SimStorage, line: string, answer?: boolean) {
  return runFakeCli([...line.split(" "), "-c", "cfg"], {
    files: FILES,
    storage,
    clock,
    ...answer === undefined ? {} : { answer },
  });
}

async function deadIds(storage: SimStorage): Promise<string[]> {
  const { out } = await run(storage, "spool ls --dead --json");
  return out.split("\n").slice(0, -1).map((line) => JSON.parse(line).id);
}

Deno.test("spool ls: segments with their bytes, records and ages, and dead letters by reason", async () => {
  const { code, out } = await run(await stopped(), "spool ls");
  assertEquals(code, 0);
  assertMatch(out, /^p0: \d+(\.\d)? \w+, 2 records waiting, 2 dead letters\n/);
  assertMatch(out, /p0\/1 .* 2 +0 +1m +5s\n/);
  assertMatch(out, /p0\/dead\/1 .* 2 +- +3h +1s\n/);
  assertStringIncludes(out, "dead 1: too bad\n");
  assert(!out.includes("\u001b"));
});

Deno.test("spool ls --json: the same for programs", async () => {
  const { out } = await run(await stopped(), "spool ls --json");
  const { path, partitions } = JSON.parse(out);
  assertEquals([path, partitions.length, partitions[0].partition], ["spool", 1, "p0"]);
  const [living, dead] = partitions[0].segments;
  assertEquals([living.id, living.dead, living.records, living.settled, living.damaged], [
    "p0/1",
    false,
    2,
    0,
    0,
  ]);
  assertEquals(living.oldest, new Date(NOW_MS - 90_000).toISOString());
  assertEquals([dead.id, dead.dead, dead.reasons["too bad"]], ["p0/dead/1", true, 1]);
});

Deno.test("spool ls --dead and --waiting: one line a record, safe for a terminal", async () => {
  const storage = await stopped();
  const dead = (await run(storage, "spool ls --dead")).out.split("\n");
  assertEquals(dead[0], "p0/dead/1/0  3h  project 42  error 1  the upstream answered 400 [31m");
  assertEquals(dead.length, 3);
  const waiting = (await run(storage, "spool ls --waiting")).out.split("\n");
  assertEquals(waiting[0], "p0/1/0  1m  project 42  error 1");
  assertEquals((await run(storage, "spool ls --dead --waiting")).code, 64);
});

Deno.test("spool show: meta and item headers of a record; --body its bytes as they were received", async () => {
  const storage = await stopped();
  const { code, out } = await run(storage, "spool show p0/1/0");
  assertEquals(code, 0);
  for (const part of ["waiting", "(1m ago)", "projectId", "42", "evil [2Jagent", `{"event_id":"${EVENT}"}`]) {
    assertStringIncludes(out, part);
  }
  assertStringIncludes(out, '{"type":"event","length":7}  7 B\n');
  assert(!out.includes("\u001b"));
  assertEquals((await run(storage, "spool show p0/1/0 --body")).outBytes, [utf8(ENVELOPE)]);
  assertStringIncludes((await run(storage, "spool show p0/dead/1/0")).out, "dead: the upstream answered 400");
});

Deno.test("spool show: an id that names nothing is a failure, none at all a wrong command line", async () => {
  const storage = await stopped();
  const { code, err } = await run(storage, "spool show p0/1/7");
  assertEquals([code, err], [1, "landfall: there is no whole record at p0/1/7\n"]);
  assertEquals((await run(storage, "spool show")).code, 64);
});

Deno.test("spool verify: exits with 0 when all is whole, and with 1 naming what is not", async () => {
  const storage = await stopped();
  const whole = await run(storage, "spool verify");
  assertEquals([whole.code, whole.out], [0, "2 segments, 4 records: all whole\n"]);
  storage.files.get("spool/p0/dead/000000000001.seg")!.content[80]! ^= 4;
  const damaged = await run(storage, "spool verify");
  assertEquals(damaged.code, 1);
  assertMatch(damaged.out, /^p0\/dead\/1: bytes 0 to \d+ are damaged\n2 segments, 3 records: 1 fault\n$/);
  const checkpoint = { content: utf8("{}"), durable: utf8("{}"), unsynced: [] };
  storage.files.set("spool/p0/checkpoint", checkpoint);
  assertMatch((await run(storage, "spool verify")).out, /^p0: the checkpoint is damaged/);
});

Deno.test("spool export: what waits, decoded, in files named after record and event", async () => {
  const { code, out, written } = await run(await stopped(), "spool export --to out");
  assertEquals([code, out], [0, "Wrote 2 files to out\n"]);
  const names = Object.keys(written);
  assertEquals(names[0], `out/p0-1-0.${EVENT}.envelope`);
  assertMatch(names[1]!, /^out\/p0-1-\d+\.envelope$/);
  assertEquals(Object.values(written), [ENVELOPE, ENVELOPE]);
});

Deno.test("spool export --dead and by id: bodies that are no envelopes are not called so", async () => {
  const storage = await stopped();
  const [first, second] = await deadIds(storage);
  const dead = await run(storage, "spool export --dead");
  const byId = await run(storage, `spool export ${first} ${second}`);
  assertEquals(dead.written, byId.written);
  assertEquals(Object.entries(dead.written), [
    [`./p0-dead-1-0.${EVENT}.envelope`, ENVELOPE],
    [`./${second!.replaceAll("/", "-")}.${EVENT}.body`, "raw"],
  ]);
  assertEquals((await run(storage, "spool export p0/dead/1/3")).code, 1);
});

Deno.test("spool export: never overwrites, and says so", async () => {
  const storage = await stopped();
  const path = `./p0-1-0.${EVENT}.envelope`;
  const files = { ...FILES, [path]: "mine" };
  const { code, err, out } = await runFakeCli(["spool", "export", "-c", "cfg"], { files, storage, clock });
  assertEquals([code, err], [1, `landfall: ${path} exists already and was left alone\n`]);
  assertEquals(out, "Wrote 1 file to .\n");
});

Deno.test("spool requeue: on a stopped node the dead letters wait again", async () => {
  const storage = await stopped();
  const { code, out } = await run(storage, "spool requeue");
  assertEquals(code, 0);
  assertMatch(out, /^Requeued 2 records \(.*\), sent at the next start\n$/);
  assertEquals(await deadIds(storage), []);
  assertMatch((await run(storage, "spool ls")).out, /4 records waiting, 0 dead letters/);
  assertEquals((await run(storage, "spool requeue")).out, "There are no dead letters\n");
});

Deno.test("spool purge: asks, does nothing without a yes, refuses when nobody can be asked", async () => {
  const storage = await stopped();
  const refused = await run(storage, "spool purge");
  assertEquals(refused.code, 1);
  assertStringIncludes(refused.err, "--yes");
  const no = await run(storage, "spool purge", false);
  assertMatch(no.questions[0]!, /^Delete 2 records \(.* B\)\?$/);
  assertEquals([no.code, no.out, (await deadIds(storage)).length], [0, "Nothing was deleted\n", 2]);
  const yes = await run(storage, "spool purge", true);
  assertEquals([yes.code, await deadIds(storage)], [0, []]);
  assertMatch((await run(storage, "spool ls")).out, /2 records waiting/);
});

Deno.test("spool purge --all --yes: deletes what waits as well, without a question", async () => {
  const storage = await stopped();
  const { code, questions } = await run(storage, "spool purge --all --yes");
  assertEquals([code, questions], [0, []]);
  assertMatch((await run(storage, "spool ls")).out, /^p0: 0 B, 0 records waiting, 0 dead letters/);
  assertEquals((await run(storage, "spool purge --all --yes")).out, "The spool is empty\n");
});

Deno.test("spool: while a node holds the lock reading works, changing goes to the node alone", async () => {
  const storage = await stopped();
  await storage.lock("spool/lock");
  for (const line of ["spool ls", "spool verify", "spool show p0/1/0", "spool export"]) {
    assertEquals((await run(storage, line)).code, 0, line);
  }
  for (const line of ["spool requeue", "spool purge --yes", "spool purge --all --yes"]) {
    const { code, err } = await run(storage, line);
    assertEquals(code, 1);
    assertStringIncludes(err, "in use by process 1, whose admin listener is off");
  }
  assertEquals((await deadIds(storage)).length, 2);
});

Deno.test("spool: no spool is a failure that names the place, and makes none", async () => {
  const storage = new SimStorage({});
  for (const command of ["ls", "show p0/1/0", "verify", "export", "requeue", "purge --yes"]) {
    const { code, err } = await run(storage, `spool ${command}`);
    assertEquals([code, err], [1, "landfall: there is no spool at spool\n"]);
  }
  assertEquals([storage.files.size, storage.folders.size], [0, 0]);
});
