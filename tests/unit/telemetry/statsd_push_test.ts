import { assert, assertEquals } from "@std/assert";
import { fromUtf8 } from "../../../src/core/bytes.ts";
import { METRIC_LAYOUT, METRICS } from "../../../src/telemetry/catalogue.ts";
import { Metrics, MetricsReader } from "../../../src/telemetry/registry.ts";
import { pushStatsd, type StatsdSettings } from "../../../src/telemetry/statsd_push.ts";
import { ManualClock } from "../../support/manual_clock.ts";
import { until } from "../../support/until.ts";

function fixture(port: number, changed: Partial<StatsdSettings> = {}) {
  const clock = new ManualClock();
  const metrics = new Metrics(METRIC_LAYOUT);
  const reader = new MetricsReader(METRIC_LAYOUT);
  reader.include(metrics.buffer);
  const settings: { current: StatsdSettings } = {
    current: {
      statsd: { name: "127.0.0.1", port },
      statsdBufferSize: null,
      prefix: "pop",
      defaultTags: { region: "a,b|c" },
      hostnameTag: null,
      periodicSecs: 5,
      ...changed,
    },
  };
  const stop = new AbortController();
  const pushing = pushStatsd({ clock, metrics, reader, settings: () => settings.current }, stop.signal);
  const sent = (): number => reader.read(METRICS.statsdDatagrams, "sent");
  const failed = (): number => reader.read(METRICS.statsdDatagrams, "failed");
  return {
    clock,
    metrics,
    settings,
    sent,
    failed,
    async [Symbol.asyncDispose]() {
      stop.abort();
      await pushing;
    },
  };
}

/** Everything a socket has got when `isEnough` of it. */
async function received(socket: Deno.DatagramConn, isEnough: (text: string) => boolean): Promise<string> {
  let text = "";
  while (!isEnough(text)) text += `${fromUtf8((await socket.receive())[0])}\n`;
  return text;
}

Deno.test("pushStatsd: what happened since the last time goes out once in a period, tags without what separates", async () => {
  const socket = Deno.listenDatagram({ transport: "udp", hostname: "127.0.0.1", port: 0 });
  using _closing = { [Symbol.dispose]: () => socket.close() };
  await using push = fixture((socket.addr as Deno.NetAddr).port);
  push.metrics.add(METRICS.requests, 4, "envelope", "200");
  await push.clock.advance(4999);
  assertEquals(push.sent(), 0);
  await push.clock.advance(1);
  const text = await received(socket, (text) => text.includes("pop.requests:"));
  assert(text.includes("pop.requests:4|c|#route:envelope,status_code:200,region:a_b_c\n"), text);
  await until("something is sent", () => push.sent() > 0);
  assertEquals(push.failed(), 0);
});

Deno.test("pushStatsd: the machine's name is a tag where one is named, and settings are read each time", async () => {
  const socket = Deno.listenDatagram({ transport: "udp", hostname: "127.0.0.1", port: 0 });
  using _closing = { [Symbol.dispose]: () => socket.close() };
  await using push = fixture((socket.addr as Deno.NetAddr).port, { statsd: null, hostnameTag: "pod" });
  await push.clock.advance(20_000);
  assertEquals([push.sent(), push.failed()], [0, 0]);
  const statsd = { name: "127.0.0.1", port: (socket.addr as Deno.NetAddr).port };
  push.settings.current = { ...push.settings.current, statsd, prefix: "", periodicSecs: 1 };
  push.metrics.add(METRICS.requests, 1, "envelope", "200");
  await push.clock.advance(5000);
  const text = await received(socket, (text) => text.includes("requests:1|c"));
  assert(/^requests:1\|c\|#.*pod:[^,\s]+/m.test(text), text);
});

Deno.test("pushStatsd: what cannot be sent is counted, and the next is tried all the same", async () => {
  await using push = fixture(1, { statsd: { name: "no such host", port: 1 } });
  push.metrics.add(METRICS.requests, 1, "envelope", "200");
  await push.clock.advance(5000);
  await until("a failure is counted", () => push.failed() > 0);
  const before = push.failed();
  push.metrics.add(METRICS.requests, 1, "envelope", "200");
  await until("the next failure is counted", async () => {
    await push.clock.advance(5000);
    return push.failed() > before;
  });
  assertEquals(push.sent(), 0);
});
