/**
 * Every metric a node keeps, in one place: name, meaning, labels and their values.
 *
 * Names follow Prometheus: prefix, base unit, `_total` for counters. The last value of a label list catches what is
 * not listed, so the number of series is fixed (see `registry.ts`). The README's table is checked against this file.
 */
import { DATA_CATEGORIES } from "../protocol/data_category.ts";
import { OUTCOMES, REASONS } from "../protocol/outcome.ts";
import { VERSION } from "../core/version.ts";
import { ENTRY_LEVELS } from "./log_entry.ts";
import { MetricLayout, type MetricSpec } from "./registry.ts";

type Labels = Readonly<Record<string, readonly string[]>>;

const counter = (name: string, help: string, labels: Labels = {}): MetricSpec => ({
  kind: "counter",
  name: `landfall_${name}_total`,
  help,
  labels,
});

const gauge = (name: string, help: string, labels: Labels = {}): MetricSpec => ({
  kind: "gauge",
  name: `landfall_${name}`,
  help,
  labels,
});

const histogram = (
  name: string,
  help: string,
  buckets: readonly number[],
  labels: Labels = {},
): MetricSpec => ({
  kind: "histogram",
  name: `landfall_${name}_seconds`,
  help,
  labels,
  buckets,
});

const STATUSES = [
  "200",
  "201",
  "202",
  "204",
  "400",
  "401",
  "403",
  "404",
  "405",
  "408",
  "409",
  "411",
  "412",
  "413",
  "414",
  "415",
  "421",
  "422",
  "429",
  "431",
  "499",
  "500",
  "502",
  "503",
  "504",
  "other",
];
const ROUTES = [
  "envelope",
  "store",
  "security",
  "nel",
  "minidump",
  "unreal",
  "attachments",
  "cron",
  "otlp",
  "vercel",
  "upload",
  "tunnel",
  "forward",
  "healthcheck",
  "live",
  "relay",
  "preflight",
  "other",
];
const ENCODINGS = ["identity", "gzip", "deflate", "br", "zstd", "other"];
const ANSWER_BUCKETS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5];
const UPSTREAM_BUCKETS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];
const AGE_BUCKETS = [0.01, 0.05, 0.1, 0.5, 1, 5, 30, 60, 300, 1800, 7200, 43200];
const DELAY_BUCKETS = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5];

/** Values that are not known before the node runs; see `MetricsReader.collect`. */
const OPEN: readonly string[] = [];
const BY_ENDPOINT = { upstream: OPEN, endpoint: OPEN };

/** The metrics by the name the program uses. */
export const METRICS = {
  requests: counter("requests", "Requests answered by the ingestion listener.", {
    route: ROUTES,
    status: STATUSES,
  }),
  connections: gauge("connections", "Open connections of clients (exposure `internet`)."),
  connectionsRefused: counter(
    "connections_refused",
    "Connections that ended before they could carry a request: bound on all or on one address, PROXY header, handshake.",
    { reason: ["total", "address", "proxy_header", "tls"] },
  ),
  answersUnread: counter(
    "answers_unread",
    "Connections closed because the client did not read its answer (exposure `internet`).",
  ),
  listenerRestarts: counter(
    "listener_restarts",
    "Times the listener was opened again because accepting failed (exposure `load_balancer`).",
  ),
  tlsReloads: counter("tls_reloads", "Attempts to take renewed certificates into use.", {
    result: ["ok", "error"],
  }),
  tlsExpiry: gauge("tls_certificate_expiry_seconds", "Seconds until the first certificate expires."),
  requestsInFlight: gauge("requests_in_flight", "Requests being read or answered."),
  answerTime: histogram("answer_duration", "From the request's head to its answer.", ANSWER_BUCKETS),
  requestBytes: counter("request_body_bytes", "Body bytes received, as sent.", { encoding: ENCODINGS }),
  envelopesAccepted: counter(
    "envelopes_accepted",
    "Envelopes acknowledged after they were written to the spool.",
  ),
  outcomesReported: counter("outcomes_reported", "Quantity told to the upstream in client reports."),
  outcomesUnreported: counter(
    "outcomes_unreported",
    "Quantity that was not told to the upstream because too many keys or reasons were.",
  ),
  outcomes: counter("outcomes", "Quantity by outcome, reason and data category.", {
    outcome: OUTCOMES,
    reason: REASONS,
    category: DATA_CATEGORIES,
  }),

  guardRefused: counter("guard_refused_requests", "Requests the guard refused before their body was read.", {
    reason: ["denied", "banned", "rate_zone", "in_flight", "overload"],
  }),
  guardZone: counter("guard_zone_requests", "Requests a rate zone refused or held back, or would have.", {
    zone: OPEN,
    result: OPEN,
  }),
  guardZoneKeys: gauge("guard_zone_keys", "Keys a rate zone remembers.", { zone: OPEN }),
  guardZoneEvictions: counter("guard_zone_evictions", "Keys a rate zone forgot for want of room.", {
    zone: OPEN,
  }),
  guardHeld: gauge("guard_held_requests", "Requests that rate zones hold back."),
  guardBans: gauge("guard_bans", "Addresses that are banned."),
  pressure: gauge("pressure", "How close the node is to what it bears, 0 to 1; `highest` decides.", {
    source: ["memory", "event_loop", "spool", "highest"],
  }),

  spoolAppended: counter("spool_appended_records", "Records made durable."),
  spoolAppendedBytes: counter("spool_appended_bytes", "Bytes made durable, record headers included."),
  spoolCommits: counter("spool_commits", "Group commits, each one write and one sync."),
  spoolCommitTime: histogram("spool_commit_duration", "Write and sync of one group commit.", ANSWER_BUCKETS),
  spoolRefused: counter("spool_refused_records", "Records refused by the spool.", {
    reason: ["full", "no_space", "io_error", "closed", "other"],
  }),
  spoolSettled: counter(
    "spool_settled_records",
    "Records that reached their end: delivered, dropped or dead.",
  ),
  spoolShrunk: counter(
    "spool_shrunk_segments",
    "Segments of which only little waited, copied without what was settled in them.",
  ),
  spoolShrunkBytes: counter("spool_shrunk_bytes", "Bytes on disk that this gave back."),
  spoolWaiting: gauge("spool_waiting_records", "Records read from disk or appended that are not settled."),
  spoolHeldProjects: gauge(
    "spool_held_projects",
    "Projects on hold: their state is not known yet, or too many of their records fail.",
  ),
  spoolHeld: gauge("spool_held_records", "Records found of projects on hold."),
  spoolOldest: gauge(
    "spool_oldest_record_age_seconds",
    "Age of the oldest record that is not settled; 0 when none waits. Looked at every few seconds.",
  ),
  spoolWait: histogram(
    "spool_wait_duration",
    "From the receipt of a record to the first attempt to send it.",
    AGE_BUCKETS,
  ),
  spoolBytes: gauge("spool_disk_bytes", "Bytes of all segments on disk."),
  spoolBytesMax: gauge("spool_disk_bytes_max", "Configured bound of the spool."),
  spoolFreeBytes: gauge("spool_volume_free_bytes", "Bytes free on the spool's volume."),
  spoolCorrupt: counter("spool_corrupt_records", "Places where a segment could not be read and was skipped."),
  spoolTornBytes: counter("spool_torn_bytes", "Bytes of torn tails found after a crash."),
  spoolUnreadable: gauge(
    "spool_unreadable_places",
    "Places where the disk fails to read what waits; they are tried again, after a pause that grows.",
  ),
  spoolUnhealthy: gauge("spool_unhealthy", "1 while the disk refuses writes."),

  forwarded: counter("forwarded_requests", "Requests sent upstream, by how they ended.", {
    result: ["delivered", "rate_limited", "rejected", "server_error", "network_error"],
  }),
  forwardRetries: counter("forward_retries", "Records sent again after a failure that may pass."),
  forwardTime: histogram(
    "forward_duration",
    "From the first byte sent upstream to the end of the answer.",
    UPSTREAM_BUCKETS,
  ),
  forwardAge: histogram("forward_age", "Age of a record when the upstream took it.", AGE_BUCKETS),
  forwardBytes: counter("forwarded_body_bytes", "Body bytes sent upstream.", { encoding: ENCODINGS }),
  forwardInFlight: gauge("forward_in_flight", "Requests waiting for an upstream answer."),
  upstreamConnections: gauge("upstream_connections", "Open connections to the upstream."),
  upstreamConnects: counter("upstream_connects", "Connections opened to the upstream.", {
    result: ["ok", "error"],
  }),
  upstreamOutage: gauge("upstream_outage", "Lanes that hold an upstream for down and only probe."),
  upstreamFailing: gauge(
    "upstream_failing",
    "Lanes in which requests to an upstream failed last, without it being held for down yet.",
  ),
  forwardConcurrency: gauge("forward_concurrency", "Requests that all lanes may have under way at present."),
  copies: counter("forward_copies", "Copies for `copy_to`, by what became of them.", {
    result: ["delivered", "failed", "dropped"],
  }),
  endpointRequests: counter(
    "upstream_endpoint_requests",
    "Requests to an endpoint; failed: no answer, or 5xx.",
    {
      ...BY_ENDPOINT,
      result: OPEN,
    },
  ),
  endpointRetries: counter(
    "upstream_endpoint_retries",
    "Requests to an endpoint that had failed at another one.",
    BY_ENDPOINT,
  ),
  endpointTime: counter(
    "upstream_endpoint_answer_seconds",
    'Time an endpoint took for its answers; over those of `result="answered"` it is the mean.',
    BY_ENDPOINT,
  ),
  endpointInFlight: gauge(
    "upstream_endpoint_in_flight",
    "Requests waiting for an answer of an endpoint.",
    BY_ENDPOINT,
  ),
  endpointConnections: gauge(
    "upstream_endpoint_connections",
    "Open connections to an endpoint.",
    BY_ENDPOINT,
  ),
  endpointShare: gauge(
    "upstream_endpoint_share",
    "Share of its weight an endpoint counts with: 0 while it is out, below 1 after it returned.",
    BY_ENDPOINT,
  ),
  endpointEjections: counter("upstream_endpoint_ejections", "Times an endpoint was ejected.", BY_ENDPOINT),
  endpointBreakers: gauge(
    "upstream_endpoint_breakers_open",
    "Lanes whose circuit breaker for an endpoint is not closed.",
    BY_ENDPOINT,
  ),
  drainSecondsLeft: gauge(
    "drain_seconds_left",
    "Time until the backlog is gone at the present rate; -1 while it does not shrink.",
  ),
  drainRate: gauge(
    "drain_records_per_second",
    "How fast a backlog shrinks, with what comes in meanwhile; negative while it grows, 0 without one.",
  ),
  deadLetters: counter("dead_letter_records", "Records moved to the dead letter."),
  duplicatesPossible: counter(
    "redelivered_records",
    "Records sent again after a restart because their end was not on disk.",
  ),

  queries: counter("upstream_queries", "Questions of the control plane to the upstream, by how they ended.", {
    query: [
      "challenge",
      "response",
      "project_configs",
      "global_config",
      "public_keys",
      "outcomes",
      "metrics",
      "other",
    ],
    result: ["ok", "network", "refused", "invalid", "aborted", "other"],
  }),
  authenticated: gauge("authenticated", "1 while the node is registered at its upstream (mode managed)."),
  projectFetches: counter("project_fetches", "Project states asked for, by what the upstream said.", {
    result: ["ok", "unchanged", "disabled", "pending", "invalid", "failed", "other"],
  }),
  projectsCached: gauge("projects_cached", "Keys in the project cache, by what is known of them.", {
    state: ["enabled", "disabled", "pending", "other"],
  }),
  quotaExchanges: counter("quota_exchanges", "Exchanges of quotas with `quotas.store`.", {
    result: ["ok", "error"],
  }),
  quotaStoreUp: gauge("quota_store_up", "1 while quotas are shared through `quotas.store`."),
  projectFilesWrong: gauge(
    "project_files_wrong",
    "Problems in the files in `projects`; what a file said before stays in force.",
  ),
  projectsEvicted: counter("projects_evicted", "Project states forgotten.", {
    reason: ["expired", "full", "other"],
  }),
  relaysKnown: gauge("downstream_relays", "Relays downstream that were looked up and are remembered."),
  globalConfigAge: gauge(
    "global_config_age_seconds",
    "Age of the upstream's global configuration (mode managed).",
  ),

  logLines: counter("log_lines", "Lines the node logged.", { level: ENTRY_LEVELS }),
  accessLines: counter("log_access_lines", "Lines of the access log handed to its writer."),
  logShipped: counter("log_shipped_lines", "Lines a receiver of logs took.", { sink: OPEN }),
  logShippingDropped: counter(
    "log_shipping_dropped_lines",
    "Lines dropped on their way to a receiver of logs.",
    {
      sink: OPEN,
      reason: OPEN,
    },
  ),
  logShippingBytes: gauge("log_shipping_buffer_bytes", "Bytes of batches on disk for a receiver of logs.", {
    sink: OPEN,
  }),
  logLost: counter(
    "log_lost_lines",
    "Lines dropped: they came faster than they could be written, or a write failed.",
    {
      log: ["node", "access"],
    },
  ),

  selfReports: counter(
    "self_reports",
    "Reports of the node's own errors to `sentry.dsn`, by what became of them.",
    {
      result: ["sent", "rate_limited", "queue_full", "refused", "unreachable", "shutdown"],
    },
  ),

  configReloads: counter("config_reloads", "Loads of the configuration while the node runs.", {
    result: ["applied", "unchanged", "invalid", "failed"],
  }),
  configReloadedAt: gauge(
    "config_last_reload_success_timestamp_seconds",
    "When the configuration was last loaded without an error, seconds since the epoch.",
  ),
  workerRestarts: counter("worker_restarts", "Lane halves restarted after they died.", {
    half: ["ingest", "forward"],
  }),
  lanes: gauge("lanes", "Lanes of the node."),
  halvesUp: gauge("lane_halves_up", "Halves of lanes that run.", { half: ["ingest", "forward"] }),
  eventLoopDelay: histogram(
    "event_loop_delay",
    "How late timers fire, by isolate; looked at ten times a second.",
    DELAY_BUCKETS,
    { isolate: ["control", "ingest", "forward"] },
  ),
  memoryBytes: gauge("resident_memory_bytes", "Memory of the process."),
  memoryBytesMax: gauge("resident_memory_bytes_max", "Memory that counts as pressure 1; 0 without a bound."),
  statsdDatagrams: counter("statsd_datagrams", "Datagrams pushed to `metrics.statsd`.", {
    result: ["sent", "failed"],
  }),
  statusPages: gauge("status_pages", "Status pages that are open."),
  startedAt: gauge("start_timestamp_seconds", "When the process was started, seconds since the epoch."),
  ready: gauge("ready", "1 while the node is ready for traffic."),
  buildInfo: gauge("build_info", "Always 1; the label says which version runs.", { version: [VERSION] }),
} as const satisfies Readonly<Record<string, MetricSpec>>;

/** Layout of all metrics, the same in every isolate. */
export const METRIC_LAYOUT: MetricLayout = new MetricLayout(Object.values(METRICS));
