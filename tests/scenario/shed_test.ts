/** What clients are told while the spool sheds load: for which categories to wait, and how long. */
import { assert, assertEquals } from "@std/assert";
import { NodeProcess, TEST_KEY } from "../support/node_process.ts";
import { postEvent } from "../support/post_event.ts";
import { ScriptedUpstream } from "../support/scripted_upstream.ts";
import { until } from "../support/until.ts";

const BYTES_MAX = 1024 * 1024;
const LIMIT = /^(\d+):([a-z_;]+):organization:spool_pressure$/;
const CATEGORY = { replay_recording: "replay", transaction: "transaction" } as const;

/** Seconds to wait that the node answers an item of this type with; 0 when it is taken. */
async function waitOf(node: NodeProcess, type: keyof typeof CATEGORY): Promise<number> {
  const answer = await fetch(`${node.url}/api/1/envelope/?sentry_key=${TEST_KEY}`, {
    method: "POST",
    body: `{"event_id":"${"e".repeat(32)}"}\n{"type":"${type}"}\n{}`,
  });
  await answer.body?.cancel();
  if (answer.status === 200) return 0;
  assertEquals(answer.status, 429);
  const header = answer.headers.get("x-sentry-rate-limits") ?? "";
  const [, seconds, categories] = LIMIT.exec(header) ?? [];
  assert(categories?.split(";").includes(CATEGORY[type]), header);
  assertEquals(answer.headers.get("retry-after"), seconds);
  return Number(seconds);
}

/** Share of its bound that the spool fills. */
async function filled(node: NodeProcess): Promise<number> {
  const status = await (await fetch(`http://127.0.0.1:${node.adminPort}/status.json`)).json();
  return status.spool.bytes / BYTES_MAX;
}

Deno.test("a spool that sheds load tells for which categories to wait, and a time that follows the drain", async () => {
  await using upstream = ScriptedUpstream.start();
  upstream.behave({ status: 503 });
  await using node = await NodeProcess.start({
    upstream: upstream.url,
    config: {
      http: { retry_delay: "50ms", max_retry_interval: "100ms", outage_grace_period: "60s" },
      limits: { max_concurrent_requests: 1 },
      spool: { envelopes: { max_disk_size: BYTES_MAX }, segment_size: "64KiB" },
    },
  });
  while (await filled(node) < 0.94) assertEquals((await postEvent(node.url)).status, 200);
  // The next life knows nothing of how the spool was filled.
  await node.terminate();
  await node.startAgain();
  const replay = (): Promise<number> => waitOf(node, "replay_recording");
  assertEquals([await replay(), await waitOf(node, "transaction")], [300, 300]);
  assertEquals((await postEvent(node.url)).status, 200);

  upstream.behave({ delayMs: 20 });
  await until("some of it has left", async () => await filled(node) < 0.84);
  upstream.behave({ status: 503 });
  await until("the wait follows", async () => await replay() < 100);
  const seconds = await replay();
  assert(seconds >= 10, `${seconds}`);
  assertEquals(await waitOf(node, "transaction"), 0);
  // Now nothing leaves.
  await until("the wait grows", async () => await replay() > 2 * seconds);
});
