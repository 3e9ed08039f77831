/** Metrics for those who run Relays: statsd over a real socket, and what an autoscaler asks for. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { METRICS } from "../../src/telemetry/catalogue.ts";
import { startNode } from "../support/node_fixture.ts";
import { postEvent } from "../support/post_event.ts";
import { ScriptedUpstream } from "../support/scripted_upstream.ts";
import { until } from "../support/until.ts";

Deno.test("metrics.statsd: pushed under Relay's names, within the datagram's bound; a receiver that is gone harms nothing", async () => {
  const receiver = Deno.listenDatagram({ transport: "udp", hostname: "127.0.0.1", port: 0 });
  const { port } = receiver.addr as Deno.NetAddr;
  const received: string[] = [];
  const reading = (async () => {
    for await (const [bytes] of receiver) received.push(new TextDecoder().decode(bytes));
  })();
  await using upstream = ScriptedUpstream.start();
  await using node = await startNode({
    upstream: upstream.url,
    config: {
      "metrics.statsd": `127.0.0.1:${port}`,
      "metrics.prefix": "pop",
      "metrics.periodic_secs": 1,
      "metrics.statsd_buffer_size": 200,
      "metrics.default_tags": { pop: "fra" },
      "metrics.hostname_tag": "host",
      "logging.level": "off",
    },
  });
  const { eventId } = await postEvent(node.url);
  await upstream.until(() => upstream.accepted(eventId));
  const has = (pattern: RegExp): boolean =>
    received.some((text) => text.split("\n").some((l) => pattern.test(l)));
  await until("it is pushed", () => has(/^pop\.event\.accepted:1\|c\|#pop:fra,host:[^,]+$/));
  await until(
    "the delivery, too",
    () => has(/^pop\.upstream\.requests:1\|c\|#result:success,route:envelope,pop:fra/),
  );
  await until("times, too", () => has(/^pop\.requests\.duration:[\d.]+\|ms\|/));
  assert(received.every((text) => text.length <= 200), "a datagram is too large");
  receiver.close();
  await reading;
  assertEquals((await postEvent(node.url)).status, 200);
  assert(node.node.metrics.read(METRICS.statsdDatagrams, "sent") > 0);
});

Deno.test("GET /api/relay/autoscaling/: Relay's figures, by the listener that serves health", async () => {
  await using upstream = ScriptedUpstream.start();
  await upstream.down();
  await using node = await startNode({ upstream: upstream.url, config: { "logging.level": "off" } });
  await postEvent(node.url);
  let text = "";
  await until("the record is counted", async () => {
    const answer = await fetch(`${node.url}/api/relay/autoscaling/`);
    assertEquals(answer.headers.get("content-type"), "text/plain; charset=utf-8");
    text = await answer.text();
    return text.includes("relay_spool_item_count 1\n");
  });
  assertMatch(text, /^relay_memory_usage 0(\.\d+)?$/m);
  assertMatch(text, /^relay_up 1$/m);
  assertMatch(text, /^relay_spool_total_size [1-9]\d*$/m);
  upstream.up();
});
