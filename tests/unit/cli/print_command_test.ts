import { assert, assertEquals } from "@std/assert";
import { parse } from "yaml";
import { METRIC_LAYOUT } from "../../../src/telemetry/catalogue.ts";
import { renderExposition } from "../../../src/telemetry/exposition.ts";
import { Metrics, MetricsReader } from "../../../src/telemetry/registry.ts";
import { parseExposition } from "../../support/exposition.ts";
import { runFakeCli } from "../../support/fake_system.ts";
import { queriedSeries } from "../../support/promql.ts";

const { out: grafana } = await runFakeCli(["print", "grafana"]);
const { out: alerts } = await runFakeCli(["print", "alerts"]);

/** Labels of every series a node exposes, with the values it knows beforehand; null: any value. */
function exposedSeries(): ReadonlyMap<string, ReadonlyMap<string, ReadonlySet<string> | null>> {
  const metrics = new Metrics(METRIC_LAYOUT);
  new Float64Array(metrics.buffer).fill(1);
  const reader = new MetricsReader(METRIC_LAYOUT);
  reader.include(metrics.buffer);
  const exposed = new Map<string, Map<string, Set<string> | null>>();
  for (const { samples } of parseExposition(renderExposition(reader))) {
    for (const { name, labels } of samples) {
      const known = exposed.get(name) ?? new Map<string, Set<string> | null>([["instance", null]]);
      for (const [label, value] of Object.entries(labels)) {
        known.set(label, (known.get(label) ?? new Set()).add(value));
      }
      exposed.set(name, known);
    }
  }
  for (const spec of METRIC_LAYOUT.specs) {
    const labels = Object.keys(spec.labels).map((label) => [label, null] as const);
    if (!exposed.has(spec.name) && spec.kind !== "histogram") {
      exposed.set(spec.name, new Map([["instance", null] as const, ...labels]));
    }
  }
  return exposed;
}

function problemsOf(query: string): string[] {
  const exposed = exposedSeries();
  const { series, grouped } = queriedSeries(query);
  const problems: string[] = series.length === 0 ? ["asks for nothing"] : [];
  const everyLabel = new Set(series.flatMap(({ name }) => [...exposed.get(name)?.keys() ?? []]));
  for (const label of grouped) if (!everyLabel.has(label)) problems.push(`no label ${label}`);
  for (const { name, matchers } of series) {
    const labels = exposed.get(name);
    if (!labels) problems.push(`no metric ${name}`);
    for (const { label, operator, value } of matchers) {
      const values = labels?.get(label);
      if (labels && values === undefined) problems.push(`${name} has no label ${label}`);
      if (!values) continue;
      const isMet = operator.includes("~")
        ? new RegExp(`^(?:${value})$`)
        : { test: (v: string) => v === value };
      if (![...values].some((v) => isMet.test(v))) problems.push(`${name}: no ${label} is ${value}`);
    }
  }
  return problems;
}

Deno.test("print grafana: a dashboard whose every query asks for what a node exposes", () => {
  const dashboard = JSON.parse(grafana);
  const queries = dashboard.panels.flatMap((panel: { targets?: { expr: string }[] }) =>
    (panel.targets ?? []).map(({ expr }) => expr)
  ) as string[];
  assert(queries.length > 25);
  for (const query of queries) assertEquals([query, problemsOf(query)], [query, []]);
  const ids = dashboard.panels.map(({ id }: { id: number }) => id);
  assertEquals(new Set(ids).size, ids.length);
  for (const { gridPos: { x, w } } of dashboard.panels) assert(x + w <= 24);
});

Deno.test("print alerts: rules of Prometheus whose every query asks for what a node exposes", () => {
  const { groups: [{ rules }] } = parse(alerts);
  assert(rules.length >= 10);
  for (const { alert, expr, labels, annotations } of rules) {
    assertEquals([alert, problemsOf(expr)], [alert, []]);
    assert(["warning", "critical"].includes(labels.severity), alert);
    assert(annotations.summary && annotations.description, alert);
  }
});

Deno.test("problemsOf finds what is not there", () => {
  assertEquals(problemsOf("landfall_made_up > 1"), ["no metric landfall_made_up"]);
  assertEquals(problemsOf('landfall_requests_total{stat="1"}'), [
    "landfall_requests_total has no label stat",
  ]);
  assertEquals(problemsOf('landfall_requests_total{status="299"}'), [
    "landfall_requests_total: no status is 299",
  ]);
  assertEquals(problemsOf("sum by (nothing) (landfall_ready)"), ["no label nothing"]);
});
