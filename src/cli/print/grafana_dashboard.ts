/** The Grafana dashboard, made from a table of panels. */

type Unit = "reqps" | "short" | "bytes" | "s" | "percentunit" | "Bps" | "none";

/** A panel: what it asks Prometheus, each query with the name of its lines. */
interface Panel {
  readonly title: string;
  readonly about?: string;
  readonly unit: Unit;
  readonly kind?: "timeseries" | "stat";
  readonly queries: readonly (readonly [expr: string, legend: string])[];
}

const RATE = "$__rate_interval";
const I = `instance=~"$instance"`;
const quantiles = (metric: string): Panel["queries"] =>
  [0.5, 0.95, 0.99].map((q) => [
    `histogram_quantile(${q}, sum by (le) (rate(${metric}_bucket{${I}}[${RATE}])))`,
    `p${q * 100}`,
  ]);
const rateBy = (metric: string, label: string, match = ""): string =>
  `sum by (${label}) (rate(${metric}{${I}${match}}[${RATE}]))`;

/** Rows of panels, top to bottom. */
const ROWS: readonly (readonly [title: string, panels: readonly Panel[]])[] = [
  ["At a glance", [
    { title: "Nodes ready", unit: "none", kind: "stat", queries: [[`sum(landfall_ready{${I}})`, "ready"]] },
    {
      title: "Requests",
      unit: "reqps",
      kind: "stat",
      queries: [[`sum(rate(landfall_requests_total{${I}}[${RATE}]))`, ""]],
    },
    {
      title: "Answered within (p99)",
      unit: "s",
      kind: "stat",
      queries: [quantiles("landfall_answer_duration_seconds")[2]!],
    },
    {
      title: "Records waiting",
      unit: "short",
      kind: "stat",
      queries: [[`sum(landfall_spool_waiting_records{${I}})`, ""]],
    },
    {
      title: "Spool used",
      unit: "percentunit",
      kind: "stat",
      queries: [[`max(landfall_spool_disk_bytes{${I}} / landfall_spool_disk_bytes_max{${I}})`, ""]],
    },
    {
      title: "Backlog gone in",
      about: "-1: it does not shrink",
      unit: "s",
      kind: "stat",
      queries: [[`max(landfall_drain_seconds_left{${I}})`, ""]],
    },
  ]],
  ["Clients", [
    {
      title: "Requests by status",
      unit: "reqps",
      queries: [[rateBy("landfall_requests_total", "status"), "{{status}}"]],
    },
    { title: "Time to answer", unit: "s", queries: quantiles("landfall_answer_duration_seconds") },
    {
      title: "Did not reach the upstream, by reason",
      unit: "short",
      queries: [[
        rateBy("landfall_outcomes_total", "outcome, reason", `,outcome!="accepted"`),
        "{{outcome}} {{reason}}",
      ]],
    },
    {
      title: "Did not reach the upstream, by category",
      unit: "short",
      queries: [[rateBy("landfall_outcomes_total", "category", `,outcome!="accepted"`), "{{category}}"]],
    },
    {
      title: "Guard",
      unit: "reqps",
      queries: [[rateBy("landfall_guard_refused_requests_total", "reason"), "{{reason}}"]],
    },
    {
      title: "Bytes received",
      unit: "Bps",
      queries: [[rateBy("landfall_request_body_bytes_total", "encoding"), "{{encoding}}"]],
    },
  ]],
  ["Spool", [
    {
      title: "Records waiting",
      unit: "short",
      queries: [[`landfall_spool_waiting_records{${I}}`, "{{instance}}"]],
    },
    {
      title: "Disk",
      unit: "bytes",
      queries: [[`landfall_spool_disk_bytes{${I}}`, "{{instance}}"], [
        `landfall_spool_disk_bytes_max{${I}}`,
        "bound {{instance}}",
      ]],
    },
    {
      title: "Oldest record",
      unit: "s",
      queries: [[`landfall_spool_oldest_record_age_seconds{${I}}`, "{{instance}}"]],
    },
    { title: "Write and sync", unit: "s", queries: quantiles("landfall_spool_commit_duration_seconds") },
    {
      title: "Time on disk before the first attempt",
      unit: "s",
      queries: quantiles("landfall_spool_wait_duration_seconds"),
    },
    { title: "Drain", unit: "short", queries: [[`landfall_drain_records_per_second{${I}}`, "{{instance}}"]] },
  ]],
  ["Upstream", [
    {
      title: "Requests by result",
      unit: "reqps",
      queries: [[rateBy("landfall_forwarded_requests_total", "result"), "{{result}}"]],
    },
    { title: "Time of an answer", unit: "s", queries: quantiles("landfall_forward_duration_seconds") },
    { title: "Age when the upstream took it", unit: "s", queries: quantiles("landfall_forward_age_seconds") },
    {
      title: "Mean time by endpoint",
      unit: "s",
      queries: [[
        `sum by (endpoint) (rate(landfall_upstream_endpoint_answer_seconds_total{${I}}[${RATE}])) / sum by (endpoint) (rate(landfall_upstream_endpoint_requests_total{${I},result="answered"}[${RATE}]))`,
        "{{endpoint}}",
      ]],
    },
    {
      title: "Share of an endpoint",
      unit: "percentunit",
      queries: [[`landfall_upstream_endpoint_share{${I}}`, "{{endpoint}} {{instance}}"]],
    },
    {
      title: "Concurrency",
      unit: "short",
      queries: [[`landfall_forward_in_flight{${I}}`, "in flight {{instance}}"], [
        `landfall_forward_concurrency{${I}}`,
        "allowed {{instance}}",
      ]],
    },
  ]],
  ["Node", [
    {
      title: "Pressure",
      unit: "percentunit",
      queries: [[`max by (source) (landfall_pressure{${I}})`, "{{source}}"]],
    },
    {
      title: "Delay of event loops (p99)",
      unit: "s",
      queries: [[
        `histogram_quantile(0.99, sum by (isolate, le) (rate(landfall_event_loop_delay_seconds_bucket{${I}}[${RATE}])))`,
        "{{isolate}}",
      ]],
    },
    { title: "Memory", unit: "bytes", queries: [[`landfall_resident_memory_bytes{${I}}`, "{{instance}}"]] },
    {
      title: "Projects known",
      unit: "short",
      queries: [[`sum by (state) (landfall_projects_cached{${I}})`, "{{state}}"]],
    },
  ]],
];

const COLUMNS = 24;
const HEIGHT = 8;

/** The dashboard as JSON; Grafana asks for the data source at the import. */
export function grafanaDashboard(): string {
  const panels: object[] = [];
  let y = 0;
  for (const [title, row] of ROWS) {
    panels.push({
      type: "row",
      title,
      id: panels.length + 1,
      gridPos: { x: 0, y: y++, w: COLUMNS, h: 1 },
      panels: [],
    });
    const width = row.some(({ kind }) => kind === "stat") ? COLUMNS / row.length : COLUMNS / 3;
    const height = row.some(({ kind }) => kind === "stat") ? HEIGHT / 2 : HEIGHT;
    let x = 0;
    for (const panel of row) {
      if (x + width > COLUMNS) [x, y] = [0, y + height];
      panels.push(panelOf(panel, panels.length + 1, { x, y, w: width, h: height }));
      x += width;
    }
    y += height;
  }
  const dashboard = {
    __inputs: [{ name: "DS_PROMETHEUS", label: "Prometheus", type: "datasource", pluginId: "prometheus" }],
    title: "Landfall",
    uid: "landfall",
    tags: ["landfall", "sentry"],
    schemaVersion: 39,
    refresh: "10s",
    time: { from: "now-3h", to: "now" },
    templating: {
      list: [{
        name: "instance",
        type: "query",
        datasource: { type: "prometheus", uid: "${DS_PROMETHEUS}" },
        query: "label_values(landfall_build_info, instance)",
        refresh: 2,
        multi: true,
        includeAll: true,
        current: { text: "All", value: "$__all" },
      }],
    },
    panels,
  };
  return `${JSON.stringify(dashboard, null, 2)}\n`;
}

function panelOf(
  { title, about, unit, kind = "timeseries", queries }: Panel,
  id: number,
  gridPos: object,
): object {
  return {
    id,
    type: kind,
    title,
    ...about && { description: about },
    gridPos,
    datasource: { type: "prometheus", uid: "${DS_PROMETHEUS}" },
    fieldConfig: { defaults: { unit }, overrides: [] },
    options: kind === "stat"
      ? { reduceOptions: { calcs: ["lastNotNull"] } }
      : { legend: { showLegend: true } },
    targets: queries.map(([expr, legendFormat], index) => ({
      refId: String.fromCharCode(65 + index),
      expr,
      legendFormat,
    })),
  };
}
