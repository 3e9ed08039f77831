/** Batches of log lines as their receivers want them. Lines are JSON objects, see `access_line.ts` and `log_format.ts`. */
import { utf8 } from "../core/bytes.ts";

/** What a receiver speaks. */
export type SinkType = "http" | "loki" | "elasticsearch" | "otlp";

/** A line, read. */
export type LogValues = Readonly<Record<string, string | number | boolean | null>>;

/** Options of {@link encodeBatch}. */
export interface BatchOptions {
  readonly type: SinkType;
  readonly labels: Readonly<Record<string, string>>;
  /** For `elasticsearch`. */
  readonly index: string;
  /** Unique name of the batch: what was received already is known again by it. */
  readonly id: string;
}

/** Content type of a batch. */
export function batchType(type: SinkType): string {
  return type === "http" || type === "elasticsearch" ? "application/x-ndjson" : "application/json";
}

/** The body of a request. */
export function encodeBatch(lines: readonly LogValues[], options: BatchOptions): Uint8Array {
  switch (options.type) {
    case "http":
      return utf8(lines.map((line) => `${JSON.stringify({ ...line, ...options.labels })}\n`).join(""));
    case "loki":
      return utf8(JSON.stringify({ streams: lokiStreams(lines, options.labels) }));
    case "elasticsearch":
      return utf8(lines.map((line, index) => bulkEntry(line, index, options)).join(""));
    case "otlp":
      return utf8(JSON.stringify(otlpLogs(lines, options.labels)));
  }
}

/** A stream per log and level: few, whatever clients send. */
function lokiStreams(lines: readonly LogValues[], labels: BatchOptions["labels"]): object[] {
  const groups = Map.groupBy(lines, ({ log, level = "info" }) => `${log} ${level}`);
  return [...groups].map(([name, group]) => {
    const [log, level] = name.split(" ");
    const values = group.map((line) => [nanoseconds(line), JSON.stringify(line)]);
    return { stream: { service_name: "landfall", log, level, ...labels }, values };
  });
}

/** With an id of its own, a line that is sent twice is stored once. */
function bulkEntry(line: LogValues, index: number, { index: _index, id, labels }: BatchOptions): string {
  const { time, ...rest } = line;
  const action = { create: { _index, _id: `${id}-${index}` } };
  return `${JSON.stringify(action)}\n${JSON.stringify({ "@timestamp": time, ...rest, ...labels })}\n`;
}

const SEVERITIES: Readonly<Record<string, number>> = {
  trace: 1,
  debug: 5,
  info: 9,
  warn: 13,
  error: 17,
  fatal: 21,
};

function otlpLogs(lines: readonly LogValues[], labels: BatchOptions["labels"]): object {
  const logRecords = lines.map((line) => {
    const { time: _time, level = "info", message, ...attributes } = line;
    return {
      timeUnixNano: nanoseconds(line),
      severityNumber: SEVERITIES[String(level)] ?? 9,
      severityText: String(level).toUpperCase(),
      body: { stringValue: String(message ?? `${line.method} ${line.path} ${line.status}`) },
      attributes: attributesOf(attributes),
    };
  });
  const resource = { attributes: attributesOf({ "service.name": "landfall", ...labels }) };
  return { resourceLogs: [{ resource, scopeLogs: [{ scope: { name: "landfall" }, logRecords }] }] };
}

function attributesOf(values: LogValues): object[] {
  return Object.entries(values).map(([key, value]) => ({ key, value: attributeValue(value) }));
}

function attributeValue(value: LogValues[string]): object {
  if (typeof value === "boolean") return { boolValue: value };
  if (typeof value !== "number") return { stringValue: String(value) };
  return Number.isSafeInteger(value) ? { intValue: String(value) } : { doubleValue: value };
}

function nanoseconds({ time }: LogValues): string {
  return `${Date.parse(String(time))}000000`;
}

/** What an answer means for a batch. */
export type BatchResult =
  | { readonly kind: "delivered"; readonly rejected: number }
  | { readonly kind: "retry"; readonly reason: string }
  | { readonly kind: "rejected"; readonly reason: string };

/** Statuses by which a receiver says that the batch itself is wrong; others may be right once its operator has been there. */
const WRONG: ReadonlySet<number> = new Set([400, 411, 413, 414, 415, 422, 431]);

/** Reads an answer. */
export function batchResult(type: SinkType, status: number, body: string): BatchResult {
  const reason = `HTTP ${status}`;
  if (WRONG.has(status)) return { kind: "rejected", reason };
  if (status < 200 || status >= 300) return { kind: "retry", reason };
  if (type === "elasticsearch") return bulkResult(body);
  if (type !== "otlp") return { kind: "delivered", rejected: 0 };
  const answer = parsed(body) as { partialSuccess?: { rejectedLogRecords?: unknown } } | null;
  return { kind: "delivered", rejected: Number(answer?.partialSuccess?.rejectedLogRecords ?? 0) || 0 };
}

function bulkResult(body: string): BatchResult {
  const answer = parsed(body) as { errors?: boolean; items?: { create?: { status?: number } }[] } | null;
  if (!answer?.errors) return { kind: "delivered", rejected: 0 };
  const statuses = (answer.items ?? []).map(({ create }) => create?.status ?? 0);
  const late = statuses.find((status) => status === 429 || status >= 500);
  if (late !== undefined) return { kind: "retry", reason: `status ${late} of single lines` };
  // 409: it is there already.
  return { kind: "delivered", rejected: statuses.filter((status) => status >= 400 && status !== 409).length };
}

function parsed(body: string): unknown {
  try {
    return JSON.parse(body);
  } catch {
    return null;
  }
}
