import { assert, assertEquals, assertThrows } from "@std/assert";
import { METRIC_LAYOUT, METRICS } from "../../../src/telemetry/catalogue.ts";
import { renderExposition } from "../../../src/telemetry/exposition.ts";
import { MetricLayout, Metrics, type MetricSpec, MetricsReader } from "../../../src/telemetry/registry.ts";
import { lintExposition, parseExposition } from "../../support/exposition.ts";

/** A value in every series there is room for. */
function everythingMoved(): MetricsReader {
  const metrics = new Metrics(METRIC_LAYOUT);
  new Float64Array(metrics.buffer).fill(1);
  const reader = new MetricsReader(METRIC_LAYOUT);
  reader.include(metrics.buffer);
  return reader;
}

Deno.test("renderExposition: what a node exposes passes the lint, idle and with every series moved", () => {
  const idle = new MetricsReader(METRIC_LAYOUT);
  idle.include(METRIC_LAYOUT.createBuffer());
  for (const reader of [idle, everythingMoved()]) assertEquals(lintExposition(renderExposition(reader)), []);
});

Deno.test("renderExposition: label values and help are escaped, so that they come back as they were", () => {
  const spec: MetricSpec = { kind: "gauge", name: "t_open", help: "A \\ and\na line.", labels: { zone: [] } };
  const reader = new MetricsReader(new MetricLayout([spec]));
  const zone = 'quote " backslash \\ newline \n end';
  reader.collect(spec, () => [{ labels: { zone }, values: [1] }]);
  const text = renderExposition(reader);
  assertEquals(parseExposition(text)[0]!.samples, [{ name: "t_open", labels: { zone }, value: 1 }]);
  assert(text.startsWith("# HELP t_open A \\\\ and\\na line.\n"));
});

const WRONG: readonly [string, string, RegExp][] = [
  ["counter without _total", "# HELP a A.\n# TYPE a counter\na 1\n", /_total/],
  ["milliseconds", "# HELP a_ms A.\n# TYPE a_ms gauge\na_ms 1\n", /base unit/],
  ["no help", "# TYPE a gauge\na 1\n", /no HELP/],
  ["a series twice", '# HELP a A.\n# TYPE a gauge\na{b="1"} 1\na{b="1"} 2\n', /twice/],
  ["negative counter", "# HELP a_total A.\n# TYPE a_total counter\na_total -1\n", /-1 in a counter/],
  ["le outside of histograms", '# HELP a A.\n# TYPE a gauge\na{le="1"} 1\n', /label le/],
  [
    "buckets that are not cumulative",
    '# HELP a_seconds A.\n# TYPE a_seconds histogram\na_seconds_bucket{le="1"} 3\na_seconds_bucket{le="+Inf"} 2\n' +
    "a_seconds_sum 1\na_seconds_count 2\n",
    /not cumulative/,
  ],
  [
    "a count that is not the last bucket",
    '# HELP a_seconds A.\n# TYPE a_seconds histogram\na_seconds_bucket{le="+Inf"} 2\na_seconds_sum 1\n' +
    "a_seconds_count 3\n",
    /last bucket/,
  ],
];

for (const [name, text, complaint] of WRONG) {
  Deno.test(`lintExposition finds: ${name}`, () => {
    assert(lintExposition(text).some((line) => complaint.test(line)), lintExposition(text).join());
  });
}

Deno.test("parseExposition: what is no exposition is refused", () => {
  for (
    const text of ["a 1", "a 1\n", '# HELP a A.\n# TYPE a gauge\na{b="x\ny"} 1\n', "# HELP a A.\na one\n"]
  ) {
    assertThrows(() => parseExposition(text));
  }
});

Deno.test("100,000 projects that do everything wrong add no series", () => {
  const metrics = new Metrics(METRIC_LAYOUT);
  const reader = new MetricsReader(METRIC_LAYOUT);
  reader.include(metrics.buffer);
  const count = (): number =>
    parseExposition(renderExposition(reader)).reduce((sum, { samples }) => sum + samples.length, 0);
  const sendAsProject = (project: number): void => {
    metrics.add(METRICS.outcomes, 1, "rate_limited", `quota_of_project_${project}`, `category_${project}`);
    metrics.add(METRICS.requests, 1, `/api/${project}/envelope/`, String(200 + project));
    metrics.add(METRICS.guardRefused, 1, `zone_${project}`);
  };
  sendAsProject(1000);
  const before = count();
  for (let project = 1001; project < 101_000; project++) sendAsProject(project);
  assertEquals(count(), before);
  assertEquals(reader.total(METRICS.outcomes), 100_000);
});
