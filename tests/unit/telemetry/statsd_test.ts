import { assert, assertEquals } from "@std/assert";
import { METRIC_LAYOUT, METRICS } from "../../../src/telemetry/catalogue.ts";
import { Metrics, MetricsReader } from "../../../src/telemetry/registry.ts";
import { datagrams, STATSD_METRICS, StatsdLines } from "../../../src/telemetry/statsd_lines.ts";

function fixture() {
  const metrics = new Metrics(METRIC_LAYOUT);
  const reader = new MetricsReader(METRIC_LAYOUT);
  reader.include(metrics.buffer);
  return { metrics, reader };
}

Deno.test("StatsdLines: what was added since the last time, with tags; nothing twice", () => {
  const { metrics, reader } = fixture();
  metrics.add(METRICS.requests, 7, "envelope", "200");
  const lines = new StatsdLines(reader);
  metrics.add(METRICS.requests, 3, "envelope", "200");
  metrics.add(METRICS.requests, 2, "store", "200");
  metrics.set(METRICS.spoolBytes, 4096);
  const first = [...lines.take("sentry.relay.", "pop:fra")];
  assert(
    first.includes("sentry.relay.requests:3|c|#route:envelope,status_code:200,pop:fra"),
    first.join("\n"),
  );
  assert(first.includes("sentry.relay.responses.status_codes:5|c|#status_code:200,pop:fra"));
  assert(first.includes("sentry.relay.buffer.disk_used:4096|g|#pop:fra"));
  const second = [...lines.take("sentry.relay.", "")];
  assertEquals(second.filter((line) => line.includes("|c")), []);
  assert(second.includes("sentry.relay.buffer.disk_used:4096|g"));
});

Deno.test("StatsdLines: times are told per bucket, with how many each stands for", () => {
  const { metrics, reader } = fixture();
  const lines = new StatsdLines(reader);
  for (let i = 0; i < 4; i++) metrics.observe(METRICS.answerTime, 0.007);
  metrics.observe(METRICS.answerTime, 100);
  const times = [...lines.take("", "")].filter((line) => line.startsWith("requests.duration"));
  assertEquals(times, ["requests.duration:7.5|ms|@0.25", "requests.duration:5000|ms"]);
});

Deno.test("STATSD_METRICS: each kind fits what is read, and no name occurs twice", () => {
  const names = STATSD_METRICS.map(({ name }) => name);
  assertEquals(new Set(names).size, names.length);
  for (const { kind, spec } of STATSD_METRICS) assertEquals(kind === "timer" ? "histogram" : kind, spec.kind);
});

Deno.test("datagrams: whole lines, none larger than the bound but a line that is", () => {
  const texts = [...datagrams(["aaaa", "bbbb", "c".repeat(20), "dd"], 9)].map((bytes) =>
    new TextDecoder().decode(bytes)
  );
  assertEquals(texts, ["aaaa\nbbbb", "c".repeat(20), "dd"]);
});
