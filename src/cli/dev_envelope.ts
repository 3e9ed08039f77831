/** What a development upstream shows of an envelope: one line that says what it is about. */
import * as zlib from "node:zlib";
import type { DataCategory } from "../protocol/data_category.ts";
import { parseEnvelope } from "../protocol/envelope.ts";
import { itemQuantities } from "../protocol/item_type.ts";
import { printable, readableSize } from "./readable.ts";

/** An envelope and how it was answered. */
export interface ArrivedEnvelope extends DescribedEnvelope {
  readonly status: number;
}

/** An envelope without its payloads. */
export interface DescribedEnvelope {
  readonly receivedAtMs: number;
  readonly projectId: string;
  /** 32 hex digits, or null when the envelope has none. */
  readonly eventId: string | null;
  /** Bytes are those of the payload, decoded. */
  readonly items: readonly { readonly type: string; readonly bytes: number }[];
  readonly categories: readonly DataCategory[];
  /** What the envelope is about, in its own words; empty when it does not say, or why it could not be read. */
  readonly message: string;
}

/** A request body that arrived at an ingestion endpoint. */
export interface ArrivedBody {
  readonly projectId: string;
  readonly endpoint: "envelope" | "store";
  readonly body: Uint8Array;
  /** Value of Content-Encoding; empty for none. */
  readonly encoding: string;
  readonly receivedAtMs: number;
}

const MESSAGE_CHARS_MAX = 120;
const utf8 = new TextDecoder();

/** Reads an arrived body; never throws, because whatever arrives shall be shown. */
export function describeEnvelope(
  { projectId, endpoint, body, encoding, receivedAtMs }: ArrivedBody,
): DescribedEnvelope {
  try {
    const bytes = decode(body, encoding);
    const content = endpoint === "store" ? readEvent(bytes) : readEnvelope(bytes);
    return { receivedAtMs, projectId, ...content };
  } catch (error) {
    const message = `cannot be read: ${error instanceof Error ? error.message : error}`;
    return { receivedAtMs, projectId, eventId: null, items: [], categories: [], message };
  }
}

/** One line for a terminal: time, project, items with sizes, event id, message; the answer when it was no success. */
export function formatArrival(envelope: ArrivedEnvelope): string {
  const { projectId, eventId, message, status } = envelope;
  const time = timeOfDay(envelope.receivedAtMs);
  const items = envelope.items.map(({ type, bytes }) => `${type} ${readableSize(bytes)}`).join(" + ");
  const fields = [time, `project ${projectId}`, items || "no items", eventId ?? "-", message];
  if (status !== 200) fields.push(`[answered ${status}]`);
  return fields.filter((field) => field !== "").join("  ");
}

/** A request that carries no envelope. */
export interface ArrivedRequest {
  readonly receivedAtMs: number;
  readonly method: string;
  readonly path: string;
  readonly contentType: string | null;
  readonly bytes: number;
  readonly status: number;
}

/** One line for a terminal: time, method, path, content type and size. */
export function formatRequest(
  { receivedAtMs, method, path, contentType, bytes, status }: ArrivedRequest,
): string {
  const fields = [
    timeOfDay(receivedAtMs),
    method,
    printable(path),
    printable(contentType ?? ""),
    readableSize(bytes),
  ];
  if (status !== 200) fields.push(`[answered ${status}]`);
  return fields.filter((field) => field !== "").join("  ");
}

function timeOfDay(ms: number): string {
  return new Date(ms).toISOString().slice(11, 23);
}

type Content = Pick<DescribedEnvelope, "eventId" | "items" | "categories" | "message">;

function readEnvelope(bytes: Uint8Array): Content {
  const envelope = parseEnvelope(bytes);
  const message = envelope.items
    .map((item) => messageOf(bytes.subarray(item.payloadStart, item.payloadEnd)))
    .find((text) => text !== "");
  return {
    eventId: envelope.eventId,
    items: envelope.items.map((item) => ({
      type: String(item.headers.type),
      bytes: item.payloadEnd - item.payloadStart,
    })),
    categories: envelope.items.flatMap((item) => itemQuantities(item).map(([category]) => category)),
    message: message ?? "",
  };
}

function readEvent(bytes: Uint8Array): Content {
  const { event_id: eventId, type } = JSON.parse(utf8.decode(bytes));
  const item = { type: type === "transaction" ? "transaction" : "event", bytes: bytes.length };
  return {
    eventId: typeof eventId === "string" ? eventId : null,
    items: [item],
    categories: [type === "transaction" ? "transaction" : "error"],
    message: messageOf(bytes),
  };
}

/** The words of a payload that tell a person what it is, from the fields the kinds of items have for that. */
function messageOf(payload: Uint8Array): string {
  const data = parseObject(payload);
  if (!data) return "";
  const exception = at(data, "exception", "values") ?? data.exception;
  const last = Array.isArray(exception) ? exception.at(-1) : undefined;
  const candidates = [
    last && [last.type, last.value].filter(Boolean).join(": "),
    at(data, "logentry", "formatted"),
    at(data, "logentry", "message"),
    data.message,
    at(data, "contexts", "feedback", "message"),
    data.comments,
    data.transaction,
    data.monitor_slug && `${data.monitor_slug} ${data.status}`,
    at(data, "items", "0", "body"),
    at(data, "items", "0", "name"),
    data.status,
  ];
  const text = candidates.find((candidate) => typeof candidate === "string" && candidate !== "");
  return typeof text === "string" ? printable(text).slice(0, MESSAGE_CHARS_MAX) : "";
}

function parseObject(payload: Uint8Array): Record<string, unknown> | null {
  try {
    const value = JSON.parse(utf8.decode(payload));
    return typeof value === "object" ? value : null;
  } catch {
    return null;
  }
}

function at(value: unknown, ...path: string[]): unknown {
  for (const key of path) {
    if (typeof value !== "object" || value === null) return undefined;
    value = (value as Record<string, unknown>)[key];
  }
  return value;
}

function decode(body: Uint8Array, encoding: string): Uint8Array {
  switch (encoding) {
    case "":
    case "identity":
      return body;
    case "gzip":
      return zlib.gunzipSync(body);
    case "deflate":
      return zlib.inflateSync(body);
    case "br":
      return zlib.brotliDecompressSync(body);
    case "zstd":
      if ("zstdDecompressSync" in zlib) return zlib.zstdDecompressSync(body);
  }
  throw new Error(`content encoding ${encoding} is unknown here`);
}
