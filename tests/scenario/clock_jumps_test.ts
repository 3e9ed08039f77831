/** A node whose wall clock is set while records wait: nothing is dropped as old, and nothing is dated anew. */
import { assertEquals } from "@std/assert";
import { type Clock, systemClock } from "../../src/core/clock.ts";
import { METRICS } from "../../src/telemetry/catalogue.ts";
import { startNode } from "../support/node_fixture.ts";
import { TEST_KEY } from "../support/node_process.ts";
import { ScriptedUpstream } from "../support/scripted_upstream.ts";
import { until } from "../support/until.ts";

const DAY_MS = 86_400_000;

/** The machine's clock, whose wall time can be set. */
class SettableClock implements Clock {
  readonly monotonic = systemClock.monotonic;
  readonly after = systemClock.after;
  readonly sleep = systemClock.sleep;
  offMs = 0;
  readonly now = (): number => systemClock.now() + this.offMs;
}

for (const days of [10, -10]) {
  Deno.test(`clock set by ${days} days: what waited arrives, dated as it was`, async () => {
    const clock = new SettableClock();
    await using upstream = ScriptedUpstream.start();
    await upstream.down();
    const config = {
      "http.retry_delay": "50ms",
      "http.outage_grace_period": "50ms",
      "http.max_retry_interval": "200ms",
    };
    await using node = await startNode({ upstream: upstream.url, clock, config });
    const sent = new Map<string, string>();
    const post = async (): Promise<void> => {
      const eventId = crypto.randomUUID().replaceAll("-", "");
      const sentAt = new Date(clock.now()).toISOString();
      sent.set(eventId, sentAt);
      const head = JSON.stringify({ event_id: eventId, sent_at: sentAt });
      const url = `${node.url}/api/1/envelope/?sentry_key=${TEST_KEY}`;
      const answer = await fetch(url, {
        method: "POST",
        body: `${head}\n{"type":"event"}\n{"message":"x"}\n`,
      });
      await answer.body?.cancel();
      assertEquals(answer.status, 200);
    };
    const { metrics } = node.node;
    for (let n = 0; n < 20; n++) await post();
    await until("it is known to be down", () => metrics.read(METRICS.upstreamOutage) === 1);
    clock.offMs = days * DAY_MS;
    for (let n = 0; n < 20; n++) await post();
    upstream.up();
    await until("all arrive", () => [...sent.keys()].every((eventId) => upstream.accepted(eventId)));
    assertEquals(metrics.read(METRICS.outcomes, "invalid", "timestamp", "error"), 0);
    for (const { body } of upstream.requests) {
      const { event_id: eventId, sent_at: sentAt } = JSON.parse(
        new TextDecoder().decode(body).split("\n")[0]!,
      );
      assertEquals(sentAt, sent.get(eventId));
    }
  });
}
