/** Other numbers of lanes over restarts: everything on disk goes with its partition. */
import { assertEquals } from "@std/assert";
import { LargeEnvelope, postLarge } from "../support/large_post.ts";
import { runCommand } from "../support/node_command.ts";
import { NodeProcess } from "../support/node_process.ts";
import { postEvent } from "../support/post_event.ts";
import { ScriptedUpstream } from "../support/scripted_upstream.ts";
import { until } from "../support/until.ts";

const LIMITED = { key: "c".repeat(32) };
const LARGE_BYTES = 2 * 1024 * 1024;

Deno.test("three lanes, one, two: records, large bodies, dead letters and limits are kept", async () => {
  await using upstream = ScriptedUpstream.start();
  const http = { encoding: "identity", retry_delay: "100ms", max_retry_interval: "500ms" };
  await using node = await NodeProcess.start({ upstream: upstream.url, config: { lanes: 3, http } });
  const spool = (...args: string[]) => runCommand(["spool", ...args, "-c", node.folder]);
  const deadLetters = async (): Promise<number> =>
    (await spool("ls", "--dead", "--json")).stdout.split("\n").length - 1;
  const restart = async (lanes: number): Promise<void> => {
    assertEquals(await node.terminate(), 0);
    const path = `${node.folder}/config.yml`;
    const config = JSON.parse(await Deno.readTextFile(path));
    await Deno.writeTextFile(path, JSON.stringify({ ...config, lanes }));
    await node.startAgain();
  };

  upstream.script({ status: 429, headers: { "X-Sentry-Rate-Limits": "600:error:key:quota_hit" } });
  await until("a limit is known", async () => (await postEvent(node.url, LIMITED)).status === 429);
  upstream.behave({ status: 400 });
  const dead = await Promise.all(Array.from({ length: 12 }, () => postEvent(node.url)));
  await until("all are dead", async () => await deadLetters() === dead.length);
  await upstream.down();
  const events = await Promise.all(Array.from({ length: 30 }, () => postEvent(node.url)));
  const large = Array.from({ length: 6 }, (_, n) => new LargeEnvelope(n + 1, LARGE_BYTES));
  assertEquals(
    await Promise.all(large.map((each) => postLarge(node.port, each))),
    large.map(() => 200),
  );

  await restart(1);
  const folders = [...Deno.readDirSync(`${node.folder}/spool`)].filter(({ isDirectory }) => isDirectory);
  assertEquals([folders.map(({ name }) => name), await deadLetters()], [["p0"], dead.length]);
  assertEquals((await spool("verify")).code, 0);
  assertEquals((await postEvent(node.url, LIMITED)).status, 429);

  await restart(2);
  upstream.behave({});
  upstream.up();
  assertEquals((await spool("requeue")).code, 0);
  const ids = [
    ...[...dead, ...events].map(({ eventId }) => eventId),
    ...large.map(({ seed }) => seed.toString(16).padStart(32, "0")),
  ];
  await until("everything arrives", () => ids.every((id) => upstream.accepted(id)));
  const arrived = upstream.byEventId();
  for (const [index, { bytes }] of large.entries()) {
    const calls = arrived.get(ids[dead.length + events.length + index]!)!;
    assertEquals(calls.map(({ body }) => body.length), [bytes]);
  }
  assertEquals((await postEvent(node.url, LIMITED)).status, 429);
  assertEquals(await node.terminate(), 0);
});
