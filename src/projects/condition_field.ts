/**
 * What the names in conditions stand for: `event.*` in a parsed event, `trace.*` in the sampling context of a trace,
 * `span.*` and `log.*` in what inbound filters read of those.
 *
 * A name is resolved once, into a function; names nobody knows stand for something that is always missing. Source:
 * control reference, section 8 ("Paths").
 */
import type { SamplingContext } from "../protocol/sampling_context.ts";

/** A JSON object. */
export type JsonRecord = Readonly<Record<string, unknown>>;

/** What conditions are about. */
export interface Subject {
  /** Event or transaction, parsed; `null` when there is none, or none that can be read. */
  readonly event: JsonRecord | null;
  readonly trace: SamplingContext | null;
  /** Span or log, parsed, when it is about one. */
  readonly part?: { readonly kind: string; readonly record: JsonRecord } | null;
}

/** Reads a field; `undefined` and `null` both mean that it is missing. */
export type Field<T = Subject> = (subject: T) => unknown;

const MISSING = () => undefined;

/** The field of an event, a trace, a span or a log. */
export function subjectField(name: string): Field {
  const rest = (prefix: string): string | null => name.startsWith(prefix) ? name.slice(prefix.length) : null;
  const trace = rest("trace.");
  if (trace !== null) {
    const field = TRACE_FIELDS[trace];
    return field ? ({ trace }) => trace && field(trace) : MISSING;
  }
  const path = rest("event.");
  if (path === null) return partField(name);
  const field = eventField(path);
  return ({ event }) => event && field(event);
}

/** Attributes are named with the `value` they hold; names in the `data` of a span have dots of their own. */
function partField(name: string): Field {
  const [, kind, path] = /^(span|log)\.(.+)$/.exec(name) ?? [];
  if (path === undefined) return MISSING;
  const [, map, key] = /^(attributes|data)\.(.+)$/.exec(path) ?? [];
  const names = map === undefined
    ? path.split(".")
    : map === "data"
    ? [map, key!]
    : key!.endsWith(".value")
    ? [map, key!.slice(0, -".value".length), "value"]
    : null;
  if (names === null) return MISSING;
  return ({ part }) => part?.kind === kind ? at(part!.record, names) : undefined;
}

/** The field of a list's element, such as `ty` and `value` of an exception. */
export function elementField(name: string): Field<unknown> {
  const path = (name === "ty" ? "type" : name).split(".");
  return (element) => at(element, path);
}

const orNone = (text: string | null): string | null => text === "" ? null : text;

const TRACE_FIELDS: Readonly<Record<string, Field<SamplingContext>>> = {
  "release": (trace) => trace.release,
  "environment": (trace) => trace.environment,
  "transaction": (trace) => trace.transaction,
  "user.id": (trace) => orNone(trace.userId),
  "user.segment": (trace) => orNone(trace.userSegment),
  "replay_id": (trace) => trace.replayId,
};

/** Fields of an event that are not where their name says. */
const EVENT_FIELDS: Readonly<Record<string, Field<JsonRecord>>> = {
  "platform": (event) => event.platform ?? "other",
  "transaction.source": (event) => at(event, ["transaction_info", "source"]),
  "duration": durationMs,
  "exceptions": exceptionsOf,
  "exception.values": exceptionsOf,
  "logentry.formatted": (event) => messageOf(event, "formatted"),
  "logentry.message": (event) => messageOf(event, "message"),
};

function eventField(path: string): Field<JsonRecord> {
  const special = EVENT_FIELDS[path];
  if (special) return special;
  const [head = "", ...rest] = path.split(".");
  const name = path.slice(head.length + 1);
  switch (head) {
    case "tags":
      return (event) => entryOf(event.tags, name);
    case "measurements":
      return (event) => at(event.measurements, [name.replace(/\.value$/, ""), "value"]);
    case "request":
      return rest[0] === "headers" ? (event) => requestHeader(event, name.slice("headers.".length)) : nested;
    default:
      return nested;
  }
  function nested(event: JsonRecord): unknown {
    return at(event, [head, ...rest]);
  }
}

/** The value at a path through objects. */
function at(value: unknown, path: readonly string[]): unknown {
  for (const name of path) {
    if (typeof value !== "object" || value === null || !Object.hasOwn(value, name)) return undefined;
    value = (value as JsonRecord)[name];
  }
  return value;
}

/** SDKs send maps both as objects and as lists of pairs. */
function entryOf(map: unknown, name: string, isSame = (key: unknown): boolean => key === name): unknown {
  if (Array.isArray(map)) {
    const pair = map.find((pair) => Array.isArray(pair) && isSame(pair[0]));
    return pair?.[1];
  }
  if (typeof map !== "object" || map === null) return undefined;
  const key = Object.hasOwn(map, name) ? name : Object.keys(map).find(isSame);
  return key === undefined ? undefined : (map as JsonRecord)[key];
}

/** A header of the request an event is about; names in any case. */
export function requestHeader(event: JsonRecord, name: string): string | null {
  const wanted = name.toLowerCase();
  const found = entryOf(
    at(event, ["request", "headers"]),
    name,
    (key) => typeof key === "string" && key.toLowerCase() === wanted,
  );
  const value = Array.isArray(found) ? found[0] : found;
  return typeof value === "string" ? value : null;
}

/** Exceptions of an event, from the one thrown last to the first cause as the SDK ordered them. */
export function exceptionsOf(event: JsonRecord): readonly unknown[] | undefined {
  const exception = event.exception ?? event["sentry.interfaces.Exception"];
  const values = Array.isArray(exception) ? exception : at(exception, ["values"]);
  if (Array.isArray(values)) return values;
  // Old clients send a single one without a list.
  const isSingle = at(exception, ["type"]) !== undefined || at(exception, ["value"]) !== undefined;
  return isSingle ? [exception] : undefined;
}

/** Message of an event: `logentry`, `message` as text, or the name old clients gave it. */
function messageOf(event: JsonRecord, part: "formatted" | "message"): unknown {
  const entry = event.logentry ?? event["sentry.interfaces.Message"] ?? event.message;
  if (typeof entry === "string") return part === "formatted" ? entry : undefined;
  return at(entry, [part]);
}

/** Milliseconds between start and end of a transaction. */
function durationMs(event: JsonRecord): number | undefined {
  if (event.type !== "transaction" && event.start_timestamp === undefined) return undefined;
  const [start, end] = [seconds(event.start_timestamp), seconds(event.timestamp)];
  return start === null || end === null || end < start ? undefined : (end - start) * 1000;
}

function seconds(timestamp: unknown): number | null {
  if (typeof timestamp === "number") return timestamp;
  const ms = typeof timestamp === "string" ? Date.parse(timestamp) : NaN;
  return Number.isNaN(ms) ? null : ms / 1000;
}
