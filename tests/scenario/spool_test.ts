/** `landfall spool` beside a running node and on a stopped one: real processes, real files. */
import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { parseEnvelope } from "../../src/protocol/envelope.ts";
import { extendCrc32 } from "../../src/spool/crc32.ts";
import { LargeEnvelope, postLarge } from "../support/large_post.ts";
import { runCommand } from "../support/node_command.ts";
import { NodeProcess } from "../support/node_process.ts";
import { postEvent } from "../support/post_event.ts";
import { ScriptedUpstream } from "../support/scripted_upstream.ts";
import { pause, until } from "../support/until.ts";

const REJECT = { status: 400, body: '{"detail":"bad"}' };

/** A node with `count` dead letters, and their event ids. */
async function nodeWithDeadLetters(upstream: ScriptedUpstream, count: number, config = {}) {
  const node = await NodeProcess.start({ upstream: upstream.url, config });
  upstream.behave(REJECT);
  const events = await Promise.all(Array.from({ length: count }, () => postEvent(node.url)));
  assertEquals(events.map(({ status }) => status), events.map(() => 200));
  const spool = (...args: string[]) => runCommand(["spool", ...args, "-c", node.folder]);
  await until("all are dead", async () => (await deadLetters(spool)).length === count);
  return { node, spool, eventIds: events.map(({ eventId }) => eventId).sort() };
}

type Spool = (...args: string[]) => Promise<{ code: number; stdout: string; stderr: string }>;

async function deadLetters(spool: Spool): Promise<{ id: string; eventId: string; reason: string }[]> {
  const { code, stdout, stderr } = await spool("ls", "--dead", "--json");
  assertEquals([code, stderr], [0, ""]);
  return stdout.split("\n").slice(0, -1).map((line) => JSON.parse(line));
}

Deno.test("spool: dead letters of a running node are listed, shown, checked, exported, and sent once it helps", async () => {
  await using upstream = ScriptedUpstream.start();
  // Older than the age at which a record is dropped: who asks for it gets it sent all the same.
  const config = { lanes: 2, spool: { envelopes: { max_envelope_delay_secs: 1 } } };
  const startedMs = performance.now();
  const { node, spool, eventIds } = await nodeWithDeadLetters(upstream, 7, config);
  await using _ = node;
  const dead = await deadLetters(spool);
  assertEquals(dead.map(({ eventId }) => eventId).sort(), eventIds);
  assertStringIncludes(dead[0]!.reason, "400");
  assertStringIncludes((await spool("ls")).stdout, "dead letters\n");
  assertStringIncludes((await spool("show", dead[0]!.id)).stdout, dead[0]!.eventId);
  const verified = await spool("verify");
  assertEquals([verified.code, verified.stdout.includes("all whole")], [0, true]);

  const exported = await spool("export", "--dead", "--to", `${node.folder}/out`);
  assertEquals([exported.code, exported.stdout], [0, `Wrote 7 files to ${node.folder}/out\n`]);
  const found: (string | null)[] = [];
  for await (const { name } of Deno.readDir(`${node.folder}/out`)) {
    assertMatch(name, /^p\d-dead-1-\d+\.[0-9a-f]{32}\.envelope$/);
    found.push(parseEnvelope(await Deno.readFile(`${node.folder}/out/${name}`)).eventId);
  }
  assertEquals(found.sort(), eventIds);
  assertEquals((await spool("export", "--dead", "--to", `${node.folder}/out`)).code, 1);

  await until("the records are too old", () => performance.now() - startedMs > 1500);
  upstream.behave({});
  const requeued = await spool("requeue");
  assertEquals([requeued.code, requeued.stderr], [0, ""]);
  assertMatch(requeued.stdout, /^Requeued 7 records \(.*\), being sent\n$/);
  await upstream.until(() => eventIds.every((id) => upstream.accepted(id)));
  assertEquals(await deadLetters(spool), []);
  assertEquals((await spool("requeue")).stdout, "There are no dead letters\n");
  assertEquals(await node.terminate(), 0);
  const sent = [...upstream.byEventId().values()].map((calls) => calls.length);
  assertEquals(sent, eventIds.map(() => 2));
});

Deno.test("spool requeue: on a stopped node the dead letters go out at the next start", async () => {
  await using upstream = ScriptedUpstream.start();
  const { node, spool, eventIds } = await nodeWithDeadLetters(upstream, 3);
  await using _ = node;
  await node.terminate();
  const { code, stdout } = await spool("requeue");
  assertEquals(code, 0);
  assertMatch(stdout, /^Requeued 3 records \(.*\), sent at the next start\n$/);
  upstream.behave({});
  await node.startAgain();
  await upstream.until(() => eventIds.every((id) => upstream.accepted(id)));
  assertEquals(await deadLetters(spool), []);
});

Deno.test("spool purge: refuses without a terminal and without --yes, and deletes with it, running or stopped", async () => {
  await using upstream = ScriptedUpstream.start();
  const { node, spool } = await nodeWithDeadLetters(upstream, 2);
  await using _ = node;
  const refused = await spool("purge");
  assertEquals(refused.code, 1);
  assertMatch(refused.stderr, /Delete 2 records .*--yes/);
  assertEquals((await deadLetters(spool)).length, 2);
  const all = await spool("purge", "--all", "--yes");
  assertEquals([all.code, all.stderr], [
    1,
    "landfall: what waits can only be deleted while the node is stopped\n",
  ]);
  assertEquals((await spool("purge", "--yes")).code, 0);
  assertEquals(await deadLetters(spool), []);
  await postEvent(node.url);
  await until("the next one is dead", async () => (await deadLetters(spool)).length === 1);
  await node.terminate();
  assertEquals((await spool("purge", "--yes")).code, 0);
  assertEquals(await deadLetters(spool), []);
});

Deno.test("spool verify: finds a flipped bit, and exits with 1", async () => {
  await using upstream = ScriptedUpstream.start();
  const { node, spool } = await nodeWithDeadLetters(upstream, 2);
  await using _ = node;
  const path = `${node.folder}/spool/p0/dead/000000000001.seg`;
  const bytes = await Deno.readFile(path);
  bytes[200]! ^= 1;
  await Deno.writeFile(path, bytes);
  const { code, stdout } = await spool("verify");
  assertEquals(code, 1);
  assertMatch(stdout, /^p0\/dead\/1: bytes 0 to \d+ are damaged\n.*: 1 fault\n$/);
});

Deno.test("spool requeue, verify: beside a node under load nothing is lost and nothing looks damaged", async () => {
  await using upstream = ScriptedUpstream.start();
  const { node, spool, eventIds } = await nodeWithDeadLetters(upstream, 50);
  await using _ = node;
  upstream.behave({});
  let isLoaded = true;
  const posted: string[] = [];
  const load = Promise.all(Array.from({ length: 4 }, async () => {
    while (isLoaded) posted.push((await postEvent(node.url)).eventId);
  }));
  for (let round = 0; round < 3; round++) {
    const { code, stdout } = await spool("verify");
    assertEquals([code, stdout.includes("all whole")], [0, true], stdout);
    assertEquals((await spool("requeue")).code, 0);
  }
  isLoaded = false;
  await load;
  await upstream.until(() => [...eventIds, ...posted].every((id) => upstream.accepted(id)));
});

Deno.test("spool: large dead letters of a node under load are shown, checked, exported byte for byte, sent, and deleted", async () => {
  await using upstream = ScriptedUpstream.start();
  const config = { http: { encoding: "identity" } };
  const { node, spool } = await nodeWithDeadLetters(upstream, 0, config);
  await using _ = node;
  const large = [1, 2].map((n) => new LargeEnvelope(n, 3 * 1024 * 1024));
  const ids = large.map(({ seed }) => seed.toString(16).padStart(32, "0"));
  for (const each of large) assertEquals(await postLarge(node.port, each), 200);
  await until("both are dead", async () => (await deadLetters(spool)).length === 2);
  upstream.behave({});
  let isLoaded = true;
  const posted: string[] = [];
  const load = Promise.all(Array.from({ length: 2 }, async () => {
    while (isLoaded) posted.push((await postEvent(node.url)).eventId);
  }));
  const dead = await deadLetters(spool);
  assertEquals(dead.map(({ eventId }) => eventId).sort(), ids);
  for (const { id, eventId } of dead) assertStringIncludes((await spool("show", id)).stdout, eventId);
  const verified = await spool("verify");
  assertEquals([verified.code, verified.stdout.includes("all whole")], [0, true], verified.stdout);
  assertEquals((await spool("export", "--dead", "--to", `${node.folder}/out`)).code, 0);
  for await (const { name } of Deno.readDir(`${node.folder}/out`)) {
    const bytes = await Deno.readFile(`${node.folder}/out/${name}`);
    const original = large[ids.indexOf(name.split(".")[1]!)]!;
    assertEquals([bytes.length, extendCrc32(0, bytes)], [original.bytes, original.crc]);
  }
  assertEquals((await spool("requeue")).code, 0);
  await upstream.until(() => ids.every((id) => upstream.accepted(id)));
  isLoaded = false;
  await load;
  await upstream.until(() => posted.every((id) => upstream.accepted(id)));
  assertEquals(await deadLetters(spool), []);

  upstream.behave(REJECT);
  assertEquals(await postLarge(node.port, new LargeEnvelope(3, 3 * 1024 * 1024)), 200);
  await until("it is dead", async () => (await deadLetters(spool)).length === 1);
  assertEquals((await spool("purge")).code, 1);
  assertEquals((await deadLetters(spool)).length, 1);
  assertEquals((await spool("purge", "--yes")).code, 0);
  const bodies = [...Deno.readDirSync(`${node.folder}/spool/p0/dead/large`)].map(({ name }) => name);
  assertEquals([bodies, await deadLetters(spool)], [[], []]);
});

Deno.test("spool requeue: a node that is killed meanwhile loses none of the dead letters", async () => {
  await using upstream = ScriptedUpstream.start();
  // Small, so that there are several segments to go through.
  const config = { spool: { dead_letter_size: "256KiB" }, logging: { level: "off" } };
  const { node, spool, eventIds } = await nodeWithDeadLetters(upstream, 100, config);
  await using _ = node;
  await upstream.down();
  for (const delayMs of [0, 3, 8]) {
    const headers = { "X-Landfall-Admin": "1" };
    const request = fetch(`http://127.0.0.1:${node.adminPort}/spool/requeue`, { method: "POST", headers });
    await Promise.race([pause(delayMs), request.catch(() => {})]);
    await node.kill();
    await request.then((answer) => answer.body?.cancel()).catch(() => {});
    await node.startAgain();
  }
  assertEquals((await spool("requeue")).code, 0);
  upstream.behave({});
  upstream.up();
  await upstream.until(() => eventIds.every((id) => upstream.accepted(id)), 30_000);
  assertEquals((await spool("verify")).code, 0);
});
