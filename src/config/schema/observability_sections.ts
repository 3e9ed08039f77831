import { field, section } from "../config_field.ts";
import {
  anything,
  choice,
  count,
  duration,
  flag,
  hostPort,
  nullable,
  orAuto,
  ratio,
  text,
  textMap,
} from "../value_kind.ts";
import { dsn, LOG_LEVELS, roomLevels } from "../log_kind.ts";

const none = { about: "", effect: "none" } as const;

/** `logging` (control reference, section 2). */
export const loggingSection = section({
  level: field(choice(...LOG_LEVELS), {
    default: "info",
    effect: "reload",
    about: "Least severe level that is logged, to standard error",
  }),
  format: field(orAuto(choice("pretty", "simplified", "json", "logfmt")), {
    default: "`auto`: `pretty` on a terminal, else `simplified`",
    derived: true,
    effect: "reload",
    about: "Form of log lines: coloured, plain, JSON or logfmt",
  }),
  levels: field(roomLevels, {
    default: {},
    effect: "reload",
    about: "Levels of single rooms, e.g. `{spool: debug}`",
  }),
  redact_addresses: field(flag, {
    default: false,
    effect: "reload",
    about: "Whether log and access log show of addresses only the network, /24 or /48",
  }),
  enable_backtraces: field(flag, { ...none, default: false }),
  traces_sample_rate: field(ratio, { ...none, default: 0 }),
});

/** `health` (control reference, sections 2 and 13). */
export const healthSection = section({
  refresh_interval_ms: field(duration({ unit: "ms" }), { ...none, default: 3000 }),
  max_memory_bytes: field(nullable(count(1)), {
    default: null,
    effect: "reload",
    about:
      "Memory of the process that counts as pressure 1; to be set in a container whose memory is bounded",
  }),
  max_memory_percent: field(ratio, {
    default: 0.95,
    effect: "reload",
    about: "The same as a share of the machine's memory, 0 to 1; the lower of the two counts",
  }),
  probe_timeout_ms: field(duration({ unit: "ms" }), { ...none, default: 900 }),
  memory_stat_refresh_frequency_ms: field(duration({ unit: "ms" }), { ...none, default: 100 }),
});

/** `metrics`: statsd output of a Relay. */
export const metricsSection = section({
  statsd: field(nullable(hostPort), {
    default: null,
    effect: "reload",
    about: "Where metrics are pushed to as statsd over UDP, under the names a Relay gives them",
  }),
  statsd_buffer_size: field(nullable(count(1)), {
    default: null,
    effect: "reload",
    about: "Largest datagram of statsd, bytes; 1432 unless set",
  }),
  prefix: field(text, {
    default: "sentry.relay",
    effect: "reload",
    about: "In front of the names of statsd",
  }),
  default_tags: field(textMap, {
    default: {},
    effect: "reload",
    about: "Tags of everything pushed as statsd",
  }),
  hostname_tag: field(nullable(text), {
    default: null,
    effect: "reload",
    about: "Tag of statsd that holds the name of the machine",
  }),
  periodic_secs: field(count(1), {
    default: 5,
    effect: "reload",
    about: "Seconds between two pushes of statsd",
  }),
  sample_rate: field(anything, { ...none, default: null }),
  allow_high_cardinality_tags: field(anything, { ...none, default: null }),
});

/** `sentry`: a Relay's reporting about itself (control reference, section 2). */
export const sentrySection = section({
  enabled: field(flag, {
    default: false,
    effect: "reload",
    about: "Whether the node reports its own errors to `sentry.dsn`",
  }),
  dsn: field(nullable(dsn), {
    default: null,
    effect: "reload",
    secret: true,
    about: "Project that gets the node's own errors; not one behind this node",
  }),
  environment: field(nullable(text), {
    default: null,
    effect: "reload",
    about: "Environment in reports of the node's own errors",
  }),
  server_name: field(nullable(text), {
    default: null,
    effect: "reload",
    about: "Name of this node in reports of its own errors",
  }),
  default_tags: field(nullable(textMap), {
    default: null,
    effect: "reload",
    about: "Tags of reports of the node's own errors",
  }),
});
