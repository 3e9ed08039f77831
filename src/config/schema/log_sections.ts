import { field, listField, section } from "../config_field.ts";
import { httpUrl, logNames, sinkName } from "../log_kind.ts";
import { byteSize, choice, count, duration, nullable, ratio, text, textMap, texts } from "../value_kind.ts";

/** `access_log`: a line for each request. */
export const accessLogSection = section({
  output: field(choice("off", "stdout", "file"), {
    default: "off",
    effect: "reload",
    about: "Where a line for each request goes",
  }),
  path: field(text, {
    default: "access.log",
    effect: "reload",
    about: "The file, for `output: file`; opened again on SIGHUP",
  }),
  format: field(choice("json", "logfmt", "combined"), {
    default: "json",
    effect: "reload",
    about: "Form of its lines; `combined` is nginx's form with reason, time and project behind",
  }),
  sample: field(ratio, {
    default: 1,
    effect: "reload",
    about: "Share of requests with a status below 400 that are logged; all others always are",
  }),
  max_size: field(byteSize(2 * 1024 ** 2), {
    default: "100MiB",
    effect: "reload",
    about: "Size at which the file is rotated",
  }),
  max_age: field(nullable(duration({ unit: "s", minMs: 1000 })), {
    default: "1d",
    effect: "reload",
    about: "Age at which the file is rotated; null for never",
  }),
  keep: field(count(0, 1000), {
    default: 7,
    effect: "reload",
    about: "Rotated files that are kept",
  }),
  buffer: field(byteSize(64 * 1024), {
    default: "1MiB",
    effect: "restart",
    because: "memory shared by the lanes is laid out at the start",
    about: "Memory per lane for lines on their way to the writer; lines beyond are dropped and counted",
  }),
});

const AT_START = { effect: "restart", because: "sinks and their buffers are opened at the start" } as const;

/** An entry of `log_shipping`. */
export const logSinkSection = section({
  name: field(sinkName, {
    ...AT_START,
    default: undefined,
    about: "Its folder beside the spool, and its name in metrics",
  }),
  type: field(choice("http", "loki", "elasticsearch", "otlp"), {
    ...AT_START,
    default: "http",
    about: "What it speaks: lines of JSON, Loki's push API, Elasticsearch's bulk API, OTLP over HTTP as JSON",
  }),
  url: field(httpUrl, {
    ...AT_START,
    default: undefined,
    about: "Where batches are posted to, path included",
  }),
  headers: field(textMap, {
    ...AT_START,
    default: {},
    about: "Headers, e.g. with credentials",
    secret: true,
  }),
  logs: field(logNames, { ...AT_START, default: ["access", "node"], about: "Which logs it gets" }),
  fields: field(texts, { ...AT_START, default: [], about: "Fields that are kept; empty for all" }),
  redact: field(texts, { ...AT_START, default: [], about: "Fields whose values are replaced" }),
  sample: field(ratio, {
    ...AT_START,
    default: 1,
    about: "Share of lines of requests that were not refused",
  }),
  labels: field(textMap, {
    ...AT_START,
    default: {},
    about: "Labels, attributes or fields that every line gets",
  }),
  index: field(text, { ...AT_START, default: "landfall", about: "Index or data stream (`elasticsearch`)" }),
  compression: field(choice("gzip", "zstd", "none"), {
    ...AT_START,
    default: "gzip",
    about: "Encoding of batches",
  }),
  batch_size: field(byteSize(1024), { ...AT_START, default: "1MiB", about: "Bytes of lines in a batch" }),
  batch_interval: field(duration({ unit: "s", minMs: 50 }), {
    ...AT_START,
    default: "5s",
    about: "Time after which a batch is complete anyway",
  }),
  disk: field(byteSize(1024 ** 2), {
    ...AT_START,
    default: "256MiB",
    about: "Disk for batches that wait; beyond it the oldest are dropped and counted",
  }),
  timeout: field(duration({ unit: "s", minMs: 100 }), {
    ...AT_START,
    default: "30s",
    about: "Longest time for a post",
  }),
});

/** `log_shipping`: where logs are sent to. */
export const logShippingField = listField(logSinkSection, {
  ...AT_START,
  form: "list",
  default: [],
  max: 8,
  about: "Where access log and node log are sent to, see [Log shipping](#log-shipping)",
});
