/** One project that fills its share of the spool, beside one that does not. */
import { assert, assertEquals } from "@std/assert";
import { startNode } from "../support/node_fixture.ts";
import { postEvent } from "../support/post_event.ts";
import { ScriptedUpstream } from "../support/scripted_upstream.ts";
import { until } from "../support/until.ts";

const NOISY = { key: "a".repeat(32) };
const QUIET = { key: "b".repeat(32) };
const CONFIG = {
  "spool.envelopes.max_disk_size": "1MiB",
  "spool.project_share": 0.1,
  "http.retry_delay": "100ms",
  "http.max_retry_interval": "200ms",
};

Deno.test("spool.project_share: the noisy project is refused, the quiet one is not, and both are taken once it drains", async () => {
  await using upstream = ScriptedUpstream.start();
  await upstream.down();
  await using node = await startNode({ upstream: upstream.url, config: CONFIG });
  let answer = await postEvent(node.url, NOISY);
  let taken = 0;
  for (; answer.status === 200 && taken < 200; taken++) answer = await postEvent(node.url, NOISY);
  assertEquals(answer.status, 429);
  assert(taken > 50 && taken < 110, `${taken} events of a kilobyte in a tenth of a megabyte`);
  const limits = answer.headers.get("x-sentry-rate-limits") ?? "";
  assert(/\d+::project:project_share/.test(limits), limits);
  for (let sent = 0; sent < 20; sent++) assertEquals((await postEvent(node.url, QUIET)).status, 200);
  assertEquals((await postEvent(node.url, NOISY)).status, 429);

  await upstream.up();
  await until("the backlog is gone", () => node.node.status().spool.waiting === 0);
  assertEquals((await postEvent(node.url, NOISY)).status, 200);
  await until("the last one is sent", () => node.node.status().spool.waiting === 0);
});
