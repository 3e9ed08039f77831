/**
 * What a Relay makes of each captured request: its answer, and what goes upstream. One function per kind of endpoint,
 * by the ingestion reference and nothing of the node's own code.
 */
import { Buffer } from "node:buffer";
import * as zlib from "node:zlib";
import type { GoldenRequest } from "./golden_request.ts";
import { splitMultipart, type SplitPart } from "./split_multipart.ts";
import { sha256 } from "./test_cache.ts";

/** One item as it has to arrive. */
export interface ExpectedItem {
  readonly headers: Readonly<Record<string, unknown>>;
  /** SHA-256 of its payload. */
  readonly payload: string;
}

/** One envelope as it has to arrive. */
export interface ExpectedEnvelope {
  readonly kind: "envelope";
  /** SHA-256 of the whole when it travels byte by byte; null when the node builds it. */
  readonly bytes: string | null;
  /** 32 hex digits, `random`, or null for none. */
  readonly eventId: string | null;
  readonly items: readonly ExpectedItem[];
}

/** A request that goes to the upstream's own route. */
export interface ExpectedForward {
  readonly kind: "forward";
  readonly method: string;
  readonly target: string;
  /** Headers that have to arrive so. */
  readonly headers: Readonly<Record<string, string>>;
  /** SHA-256 of the body, decoded. */
  readonly body: string;
}

/** What has to happen. */
export interface Expectation {
  readonly status: number;
  /** `uuid` stands for an event's id in its dashed form. */
  readonly body: string | "uuid";
  /** Further headers of the answer; null for one that must be absent. */
  readonly headers: Readonly<Record<string, string | null>>;
  /** Whether the answer is one of an ingestion route, with its CORS headers. */
  readonly isIngestion: boolean;
  readonly upstream: readonly (ExpectedEnvelope | ExpectedForward)[];
}

type Rule = (request: GoldenRequest) => Expectation;

/** Headers of a preflight's answer (section 5.4). */
const PREFLIGHT = {
  "access-control-allow-methods": "POST",
  "access-control-allow-headers":
    "x-sentry-auth,x-requested-with,x-forwarded-for,origin,referer,accept,content-type,authentication,authorization," +
    "content-encoding,transfer-encoding",
  "access-control-max-age": "3600",
};
const GIF = "GIF89a\x01\x00\x01\x00\x00\xff\x00,\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x00;";
/** Older runtimes lack it, and bound br in no way; the node takes neither there. */
const HAS_ZSTD = "zstdDecompressSync" in zlib;
const NIL_ID = "0".repeat(32);

const RULES: Readonly<Record<string, Rule>> = {
  "POST envelope": envelope,
  "POST store": (request) => store(request, storePayload(request.decoded)),
  "GET store": (request) => {
    const payload = new URLSearchParams(request.target.split("?")[1]).get("sentry_data")!;
    const gif = { body: GIF, headers: { "content-type": "image/gif" } };
    return { ...store(request, storePayload(new TextEncoder().encode(payload))), ...gif };
  },
  "POST security": security,
  "POST nel": (request) => forwardedItem(request),
  "POST otlp-logs": (request) => forwardedItem(request),
  "POST otlp-traces": (request) => forwardedItem(request),
  "POST minidump": minidump,
  "POST attachments": attachments,
  "GET cron": (request) => checkIn(request, cronQuery(request)),
  "POST cron": (request) => checkIn(request, JSON.parse(new TextDecoder().decode(request.decoded))),
  "OPTIONS security": preflight,
  "OPTIONS nel": preflight,
  "GET embed": embed,
};

/** The expectation for a capture. @throws Error for a kind of endpoint without a rule */
export function expectationOf(request: GoldenRequest): Expectation {
  const { method, family, name } = request.entry;
  const rule = RULES[`${method} ${family}`];
  if (!rule) throw new Error(`No rule for ${method} ${family} (${name})`);
  return rule(request);
}

/** Sections 1.2, 3 and 4.1: passed on byte by byte. */
function envelope(request: GoldenRequest): Expectation {
  const { entry, decoded } = request;
  const encoding = request.headers.get("content-encoding") ?? "";
  if (encoding !== encoding.toLowerCase()) return unsupportedEncoding();
  if (encoding === "zstd" && !HAS_ZSTD) return unsupportedEncoding();
  const eventId = entry.event_id?.replaceAll("-", "") ?? null;
  const items = entry.envelope_items!.map(({ headers, payload_sha256 }) => ({
    headers,
    payload: payload_sha256,
  }));
  return json(eventId ? { id: eventId } : {}, [{
    kind: "envelope",
    bytes: sha256(decoded),
    eventId,
    items,
  }]);
}

/** Section 4.1: matched in exact lower case; an outer layer answers, without CORS headers (section 5.4). */
function unsupportedEncoding(): Expectation {
  return {
    status: 415,
    body: "",
    headers: { "accept-encoding": HAS_ZSTD ? "gzip,deflate,br,zstd" : "gzip,deflate" },
    isIngestion: false,
    upstream: [],
  };
}

/** Section 1.3, store event. */
function store({ entry }: GoldenRequest, payload: Uint8Array): Expectation {
  const eventId = entry.event_id!;
  const event: { type?: string } = JSON.parse(new TextDecoder().decode(payload));
  const type = event.type === "transaction" ? "transaction" : "event";
  return json({ id: eventId }, [built(eventId, [item({ type, content_type: "application/json" }, payload)])]);
}

function storePayload(decoded: Uint8Array): Uint8Array {
  if (decoded[0] === 0x7b) return decoded;
  return zlib.inflateSync(Buffer.from(new TextDecoder().decode(decoded), "base64"));
}

/** Section 1.3, security and Reporting API: one envelope per CSP violation. */
function security({ target, decoded }: GoldenRequest): Expectation {
  const query = new URLSearchParams(target.split("?")[1]);
  const headers: Record<string, unknown> = { type: "raw_security", content_type: "application/json" };
  for (const name of ["sentry_release", "sentry_environment"]) {
    if (query.has(name)) headers[name] = query.get(name);
  }
  const text = new TextDecoder().decode(decoded);
  const reports: unknown = JSON.parse(text);
  // The captured batches hold one report each, so what is cut out of the list is exactly what stands between its brackets.
  const payload = Array.isArray(reports) ? new TextEncoder().encode(text.trim().slice(1, -1)) : decoded;
  return empty(200, [built("random", [item(headers, payload)])]);
}

/** Sections 1.2 (nel, otlp): spooled, and passed on to the upstream's own route. */
function forwardedItem({ entry, target, headers, decoded }: GoldenRequest): Expectation {
  return empty(200, [{
    kind: "forward",
    method: entry.method,
    target: target.split("?")[0]!,
    headers: { "content-type": headers.get("content-type")! },
    body: sha256(decoded),
  }]);
}

/** Section 1.3, multipart; `never 429` and the dashed id are for old crash reporters. */
function minidump({ decoded }: GoldenRequest): Expectation {
  const parts = splitMultipart(decoded);
  if (!parts.some(({ name }) => name === "upload_file_minidump")) {
    return { ...json({ detail: "missing minidump" }, []), status: 400 };
  }
  const items = parts.filter(({ filename }) => filename !== null).map(attachment);
  const form = formData(parts);
  return {
    status: 200,
    body: "uuid",
    headers: { "content-type": "text/plain; charset=utf-8" },
    isIngestion: true,
    upstream: [built("random", form ? [...items, form] : items)],
  };
}

/** Section 1.2, attachments to a known event. */
function attachments({ decoded, target }: GoldenRequest): Expectation {
  const eventId = /\/events\/([0-9a-f]{32})\//.exec(target)![1]!;
  return empty(201, [built(eventId, splitMultipart(decoded).map(attachment))]);
}

function attachment({ name, filename, contentType, content }: SplitPart): ExpectedItem {
  const isDump = name === "upload_file_minidump";
  return item({
    type: "attachment",
    attachment_type: isDump ? "event.minidump" : "event.attachment",
    filename: filename!,
    ...(isDump || contentType ? { content_type: isDump ? "application/x-dmp" : contentType } : {}),
  }, content);
}

/** All text fields as u32-LE length and bytes, key and value in turns. */
function formData(parts: readonly SplitPart[]): ExpectedItem | null {
  const fields = parts.filter(({ filename }) => filename === null);
  if (fields.length === 0) return null;
  const chunks = fields.flatMap(({ name, content }) => [Buffer.from(name), Buffer.from(content)]).flatMap(
    (bytes) => {
      const length = Buffer.alloc(4);
      length.writeUInt32LE(bytes.length);
      return [length, bytes];
    },
  );
  return item({ type: "form_data", content_type: "text/plain" }, Buffer.concat(chunks));
}

/** Section 1.3, cron. */
function checkIn({ target }: GoldenRequest, sent: Readonly<Record<string, unknown>>): Expectation {
  const slug = /\/cron\/([^/]+)\//.exec(target)![1]!;
  const id = String(sent.check_in_id ?? NIL_ID).replaceAll("-", "");
  const payload = { check_in_id: id, monitor_slug: slug, status: sent.status };
  const rest: Record<string, unknown> = {};
  for (const name of ["environment", "duration", "monitor_config", "contexts"]) {
    if (sent[name] !== undefined) rest[name] = sent[name];
  }
  return empty(202, [
    built("random", [
      item(
        { type: "check_in", content_type: "application/json" },
        new TextEncoder().encode(JSON.stringify({ ...payload, ...rest })),
      ),
    ]),
  ]);
}

function cronQuery({ target }: GoldenRequest): Readonly<Record<string, unknown>> {
  const query = new URLSearchParams(target.split("?")[1]);
  const duration = query.get("duration");
  return { ...Object.fromEntries(query), ...(duration === null ? {} : { duration: Number(duration) }) };
}

/** Section 5.4. */
function preflight(): Expectation {
  const exposed = { "access-control-expose-headers": null };
  return {
    status: 200,
    body: "",
    headers: { ...PREFLIGHT, ...exposed, "access-control-allow-origin": "*" },
    isIngestion: false,
    upstream: [],
  };
}

/** Section 1.4, the generic forwarder: path, query and headers as they came. */
function embed({ target, headers, decoded }: GoldenRequest): Expectation {
  const passed = ["accept", "accept-language", "origin", "referer", "sec-fetch-dest", "user-agent"];
  return {
    status: 200,
    body: `{}`,
    headers: { "content-type": "application/json" },
    isIngestion: false,
    upstream: [{
      kind: "forward",
      method: "GET",
      target,
      headers: Object.fromEntries(passed.map((name) => [name, headers.get(name)!])),
      body: sha256(decoded),
    }],
  };
}

function json(body: object, upstream: Expectation["upstream"]): Expectation {
  const headers = { "content-type": "application/json" };
  return { status: 200, body: JSON.stringify(body), headers, isIngestion: true, upstream };
}

function empty(status: number, upstream: Expectation["upstream"]): Expectation {
  return { status, body: "", headers: { "content-type": null }, isIngestion: true, upstream };
}

function built(eventId: string | null, items: readonly ExpectedItem[]): ExpectedEnvelope {
  return { kind: "envelope", bytes: null, eventId, items };
}

function item(headers: Readonly<Record<string, unknown>>, payload: Uint8Array): ExpectedItem {
  return { headers: { ...headers, length: payload.length }, payload: sha256(payload) };
}
