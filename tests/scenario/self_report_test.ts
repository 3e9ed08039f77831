/** A node that reports its own errors to a Sentry, which is not its upstream. */
import { assert, assertEquals } from "@std/assert";
import { fromUtf8 } from "../../src/core/bytes.ts";
import { configureLogging } from "../../src/telemetry/log.ts";
import { METRICS } from "../../src/telemetry/catalogue.ts";
import { type NodeFixture, startNode } from "../support/node_fixture.ts";
import { postEvent } from "../support/post_event.ts";
import { ScriptedUpstream } from "../support/scripted_upstream.ts";
import { until } from "../support/until.ts";

const KEY = "0123456789abcdef0123456789abcdef";

const start = (upstream: ScriptedUpstream, sentry: ScriptedUpstream): Promise<NodeFixture> =>
  startNode({
    upstream: upstream.url,
    config: {
      "sentry.enabled": true,
      "sentry.dsn": `http://${KEY}@127.0.0.1:${sentry.port}/42`,
      "sentry.server_name": "pop1",
    },
  });

const reports = ({ node }: NodeFixture): Record<string, number> =>
  Object.fromEntries(
    [...node.metrics.series(METRICS.selfReports)].map(({ labels, values }) => [labels.result, values[0]!]),
  );

Deno.test("self-report: the death of a half arrives as an event at a Sentry of its own, and nothing of it at the upstream", async () => {
  await using upstream = ScriptedUpstream.start();
  await using sentry = ScriptedUpstream.start();
  configureLogging({ level: "error", format: "json" });
  try {
    await using node = await start(upstream, sentry);
    node.die("forward");
    await sentry.until(() => sentry.requests.length > 0);
    const { path, envelope, eventId, items } = sentry.requests[0]!;
    assertEquals([path, items.length, items[0]!.headers.type], ["/api/42/envelope/", 1, "event"]);
    const event = JSON.parse(fromUtf8(items[0]!.payload));
    assertEquals([event.event_id, envelope.event_id], [eventId, eventId]);
    assertEquals([event.level, event.logger, event.server_name], ["error", "landfall.lane", "pop1"]);
    assertEquals(event.message.formatted, "the forward half died: killed by a test");
    assertEquals(event.extra.kind, "forward");
    await until("it is counted", () => reports(node).sent === 1);
    assertEquals(upstream.requests.length, 0);
  } finally {
    configureLogging({ level: "off", format: "json" });
  }
});

Deno.test("self-report: a Sentry that is down harms nothing, and holds up no end", async () => {
  await using upstream = ScriptedUpstream.start();
  await using sentry = ScriptedUpstream.start();
  await sentry.down();
  configureLogging({ level: "error", format: "json" });
  try {
    await using node = await start(upstream, sentry);
    node.die("forward");
    await until("the failure is counted", () => reports(node).unreachable === 1);
    const { eventId, status } = await postEvent(node.url);
    assertEquals(status, 200);
    await upstream.until(() => upstream.accepted(eventId));
    assert(!("sent" in reports(node)) || reports(node).sent === 0);
  } finally {
    configureLogging({ level: "off", format: "json" });
  }
});
