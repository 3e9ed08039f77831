import { assertEquals, assertStringIncludes } from "@std/assert";
import { METRIC_LAYOUT, METRICS } from "../../../src/telemetry/catalogue.ts";
import { renderExposition } from "../../../src/telemetry/exposition.ts";
import { MetricLayout, Metrics, type MetricSpec, MetricsReader } from "../../../src/telemetry/registry.ts";

const requests: MetricSpec = {
  kind: "counter",
  name: "t_requests_total",
  help: "Requests.",
  labels: { route: ["a", "b", "other"], status: ["200", "other"] },
};
const seconds: MetricSpec = {
  kind: "histogram",
  name: "t_seconds",
  help: "Time.",
  labels: {},
  buckets: [0.1, 1],
};
const depth: MetricSpec = { kind: "gauge", name: "t_depth", help: "Depth.", labels: {} };

Deno.test("Metrics: counts of several buffers are summed per series", () => {
  const layout = new MetricLayout([requests, seconds, depth]);
  const [one, two] = [new Metrics(layout), new Metrics(layout)];
  const reader = new MetricsReader(layout);
  reader.include(one.buffer);
  reader.include(two.buffer);
  one.add(requests, 2, "a", "200");
  two.add(requests, 3, "a", "200");
  two.add(requests, 1, "b", "other");
  assertEquals(reader.read(requests, "a", "200"), 5);
  assertEquals(reader.total(requests), 6);
  assertEquals(reader.total(requests, { route: "b" }), 1);
  assertEquals([...reader.series(requests)], [
    { labels: { route: "a", status: "200" }, values: [5] },
    { labels: { route: "b", status: "other" }, values: [1] },
  ]);
});

Deno.test("Metrics: a label value that is not listed is counted under the catch-all", () => {
  const layout = new MetricLayout([requests]);
  const metrics = new Metrics(layout);
  metrics.add(requests, 1, "made-up", "418");
  assertEquals(metrics.read(requests, "other", "other"), 1);
});

Deno.test("Metrics: a buffer outlives its writer and can be written on by the next one", () => {
  const layout = new MetricLayout([depth]);
  const first = new Metrics(layout);
  first.add(depth, 4);
  const second = new Metrics(layout, first.buffer);
  second.add(depth, -1);
  assertEquals(second.read(depth), 3);
});

Deno.test("renderExposition: histogram buckets are cumulative and end with +Inf, sum and count", () => {
  const layout = new MetricLayout([seconds]);
  const metrics = new Metrics(layout);
  for (const value of [0.05, 0.1, 0.5, 7]) metrics.observe(seconds, value);
  const reader = new MetricsReader(layout);
  reader.include(metrics.buffer);
  assertEquals(
    renderExposition(reader),
    [
      "# HELP t_seconds Time.",
      "# TYPE t_seconds histogram",
      't_seconds_bucket{le="0.1"} 2',
      't_seconds_bucket{le="1"} 3',
      't_seconds_bucket{le="+Inf"} 4',
      "t_seconds_sum 7.65",
      "t_seconds_count 4",
      "",
    ].join("\n"),
  );
});

Deno.test("METRICS: names are unique, follow the naming rules and fit in a bounded buffer", () => {
  const names = METRIC_LAYOUT.specs.map((spec) => spec.name);
  assertEquals(new Set(names).size, names.length);
  for (const spec of METRIC_LAYOUT.specs) {
    assertEquals(/^landfall_[a-z_]+$/.test(spec.name), true, spec.name);
    assertEquals(spec.kind === "counter", spec.name.endsWith("_total"), spec.name);
    assertEquals(spec.help.endsWith("."), true, spec.name);
  }
  assertEquals(METRIC_LAYOUT.cells < 50_000, true, `${METRIC_LAYOUT.cells} cells`);
});

Deno.test("METRICS: every metric appears in the exposition of an idle node", () => {
  const reader = new MetricsReader(METRIC_LAYOUT);
  reader.include(METRIC_LAYOUT.createBuffer());
  const text = renderExposition(reader);
  for (const spec of Object.values(METRICS)) assertStringIncludes(text, `# TYPE ${spec.name} ${spec.kind}\n`);
});

Deno.test("MetricsReader: series of open labels come from their collector, and are none without one", () => {
  const spec: MetricSpec = { kind: "gauge", name: "open", help: "", labels: { zone: [] } };
  const reader = new MetricsReader(new MetricLayout([spec]));
  assertEquals([reader.layout.cells, [...reader.series(spec)]], [0, []]);
  reader.collect(
    spec,
    () => [{ labels: { zone: "a" }, values: [2] }, { labels: { zone: "b" }, values: [3] }],
  );
  assertEquals([reader.total(spec), reader.total(spec, { zone: "b" })], [5, 3]);
});
