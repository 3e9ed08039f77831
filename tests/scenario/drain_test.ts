/** How a node ends: what was begun is finished, what was acknowledged is kept, and it does not take longer than it may. */
import { assert, assertEquals, assertNotEquals } from "@std/assert";
import { NodeProcess } from "../support/node_process.ts";
import { RawUpstream } from "../support/raw_upstream.ts";
import { ScriptedUpstream } from "../support/scripted_upstream.ts";
import { postEvent } from "../support/post_event.ts";
import { SlowPost } from "../support/slow_post.ts";
import { until } from "../support/until.ts";

const EXPOSURES = ["internet", "load_balancer"] as const;

for (const exposure of EXPOSURES) {
  Deno.test(`SIGTERM with exposure ${exposure}: a body in flight is finished and answered, then the node ends with 0`, async () => {
    await using upstream = ScriptedUpstream.start();
    await using node = await NodeProcess.start({
      upstream: upstream.url,
      config: { listener: { exposure } },
    });
    using slow = await SlowPost.begin(node);

    node.signal("SIGTERM");
    await until("the node is not ready", async () => await node.readiness() !== 200);
    const answer = await slow.finish();

    assertEquals([answer.status, answer.body], [200, JSON.stringify({ id: slow.eventId })]);
    assertEquals(await node.exited(), 0);
    await arrivesNowOrAfterRestart(node, upstream, slow.eventId);
  });
}

Deno.test("drain_delay: the node is not ready at once but goes on accepting until the delay is over", async () => {
  await using upstream = ScriptedUpstream.start();
  const config = { listener: { drain_delay: "2s" } };
  await using node = await NodeProcess.start({ upstream: upstream.url, config });

  node.signal("SIGTERM");
  await until("the ready route says 503", async () => await node.readiness() === 503);
  const { status } = await postEvent(node.url);

  assertEquals(status, 200);
  assertEquals(await node.exited(), 0);
});

Deno.test("what the upstream did not take before the end goes out at the next start", async () => {
  await using upstream = ScriptedUpstream.start();
  const config = { http: { retry_delay: 1, outage_grace_period: 1, max_retry_interval: 1 } };
  await using node = await NodeProcess.start({ upstream: upstream.url, config });
  upstream.down();
  const sent = await Promise.all(Array.from({ length: 20 }, () => postEvent(node.url)));
  assertEquals(sent.map(({ status }) => status), sent.map(() => 200));

  assertEquals(await node.terminate(), 0);
  upstream.up();
  await node.startAgain();

  await until("all events arrive", () => sent.every(({ eventId }) => upstream.accepted(eventId)));
});

Deno.test("a body that never ends holds the node up no longer than limits.shutdown_timeout", async () => {
  await using upstream = ScriptedUpstream.start();
  await using node = await NodeProcess.start({
    upstream: upstream.url,
    config: { limits: { shutdown_timeout: 2 } },
  });
  using _slow = await SlowPost.begin(node);

  const started = performance.now();
  assertEquals(await node.terminate(), 0);

  assert(performance.now() - started < 15_000, "the node ended soon after its timeout");
});

Deno.test("a second SIGTERM ends the node now", async () => {
  await using upstream = ScriptedUpstream.start();
  await using node = await NodeProcess.start({
    upstream: upstream.url,
    config: { limits: { shutdown_timeout: 300 } },
  });
  using _slow = await SlowPost.begin(node);

  node.signal("SIGTERM");
  await until("the node is not ready", async () => await node.readiness() !== 200);
  node.signal("SIGTERM");

  assertNotEquals(await node.exited(), 0);
});

for (const exposure of EXPOSURES) {
  Deno.test(`SIGTERM with exposure ${exposure}: a request that the upstream never answers ends with the grace period, quietly`, async () => {
    await using upstream = new RawUpstream((call) => call.gone());
    await using node = await NodeProcess.start({
      upstream: upstream.url,
      config: { limits: { shutdown_timeout: 1 }, listener: { exposure } },
    });
    const asked = fetch(`${node.url}/api/0/organizations/`).then((answer) => answer.body?.cancel(), () => {});
    await until("it is passed on", () => upstream.calls.length === 1);
    assertEquals(await node.terminate(), 0);
    await asked;
    assertEquals(node.stderr.match(/BadResource|[Uu]ncaught|restarted/), null);
  });
}

async function arrivesNowOrAfterRestart(
  node: NodeProcess,
  upstream: ScriptedUpstream,
  eventId: string,
): Promise<void> {
  if (!upstream.accepted(eventId)) await node.startAgain();
  await until("the event arrives", () => upstream.accepted(eventId));
}
