/** One project whose records the upstream fails on, beside one that it takes. */
import { assert, assertEquals } from "@std/assert";
import { METRICS } from "../../src/telemetry/catalogue.ts";
import { startNode } from "../support/node_fixture.ts";
import { postEvent } from "../support/post_event.ts";
import { ScriptedUpstream } from "../support/scripted_upstream.ts";
import { until } from "../support/until.ts";

const POISONED = { projectId: 66, key: "6".repeat(32) };
const MANY = 2000;
/** Records of a project that wait for another try before it is on hold, those under way, and as much again. */
const TRIES_BETWEEN_MAX = 400;

Deno.test("an upstream that answers 500 for one project of which thousands wait: no other waits for it", async () => {
  await using upstream = ScriptedUpstream.start({
    routes: /^\/api\/66\/envelope\/$/,
    respond: () => ({ status: 500 }),
  });
  await upstream.down();
  const config = {
    "http.retry_delay": 0.1,
    "http.max_retry_interval": 0.2,
    "http.outage_grace_period": 60,
    "logging.level": "off",
  };
  await using node = await startNode({ upstream: upstream.url, config });
  for (let sent = 0; sent < MANY; sent += 50) {
    const posted = await Promise.all(Array.from({ length: 50 }, () => postEvent(node.url, POISONED)));
    assertEquals(posted.map(({ status }) => status), posted.map(() => 200));
  }
  upstream.up();
  await upstream.until(() => upstream.others.length > 100);
  for (let count = 0; count < 20; count++) {
    const before = upstream.others.length;
    const event = await postEvent(node.url);
    await upstream.until(() => upstream.accepted(event.eventId));
    const tries = upstream.others.length - before;
    assert(tries < TRIES_BETWEEN_MAX, `${tries} tries of the poisoned project came before event ${count}`);
  }
  const { waiting } = node.node.status().spool;
  assert(waiting > MANY / 4, `only ${waiting} still waited`);
  // Each is tried three times and then kept as a dead letter.
  await until("all have come to their end", () => node.node.status().spool.waiting === 0, 60_000);
  assertEquals([node.node.metrics.read(METRICS.deadLetters), upstream.others.length], [MANY, 3 * MANY]);
});
