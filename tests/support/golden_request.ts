/** The captured requests of real clients in tests/golden, made ready to be sent again byte by byte. */
import * as zlib from "node:zlib";

/** Expected parse of one capture, as the manifest states it. */
export interface GoldenEntry {
  readonly name: string;
  readonly client: string;
  readonly method: string;
  readonly path: string;
  /** Kind of endpoint: envelope, store, security, minidump, ... */
  readonly family: string;
  readonly content_encoding: string | null;
  readonly event_id: string | null;
  readonly envelope_items?: readonly {
    readonly type: string;
    readonly headers: Readonly<Record<string, unknown>>;
    readonly payload_sha256: string;
  }[];
}

/** A capture with its bytes. */
export interface GoldenRequest {
  readonly entry: GoldenEntry;
  /** Path and query. */
  readonly target: string;
  /** Names in lower case. */
  readonly headers: ReadonlyMap<string, string>;
  /** The body as sent. */
  readonly body: Uint8Array;
  /** The whole request for a raw socket. */
  readonly bytes: Uint8Array;
  /** The body without its content coding. */
  readonly decoded: Uint8Array;
}

interface Capture {
  readonly method: string;
  readonly path: string;
  readonly http_version: string;
  readonly headers: readonly (readonly [string, string])[];
}

const FOLDER = new URL("../golden/", import.meta.url);
const encoder = new TextEncoder();

/** All captures, in the manifest's order. */
export function goldenEntries(): readonly GoldenEntry[] {
  return JSON.parse(Deno.readTextFileSync(new URL("manifest.json", FOLDER)));
}

/** Reads one capture; its Host header names `host` instead of the server it was captured at. */
export function goldenRequest(entry: GoldenEntry, host: string): GoldenRequest {
  const capture: Capture = JSON.parse(Deno.readTextFileSync(new URL(`${entry.name}.meta.json`, FOLDER)));
  const body = Deno.readFileSync(new URL(`${entry.name}.body`, FOLDER));
  const decoded = decode(body, entry.content_encoding?.toLowerCase() ?? "");
  const headers = new Map(capture.headers.map(([name, value]) => [name.toLowerCase(), value]));
  const bytes = requestBytes(capture, body, host);
  return { entry, target: capture.path, headers, body, bytes, decoded };
}

function requestBytes(
  { method, path, http_version, headers }: Capture,
  body: Uint8Array,
  host: string,
): Uint8Array {
  const lines = headers.map(([name, value]) =>
    `${name}: ${name.toLowerCase() === "host" ? host : value}\r\n`
  );
  const chunked = headers.some(([name, value]) =>
    name.toLowerCase() === "transfer-encoding" && value === "chunked"
  );
  const head = encoder.encode(`${method} ${path} HTTP/${http_version}\r\n${lines.join("")}\r\n`);
  if (!chunked) return join(head, body);
  const size = encoder.encode(`${body.length.toString(16)}\r\n`);
  return body.length === 0
    ? join(head, encoder.encode("0\r\n\r\n"))
    : join(head, size, body, encoder.encode("\r\n0\r\n\r\n"));
}

function decode(body: Uint8Array, encoding: string): Uint8Array {
  if (encoding === "gzip") return zlib.gunzipSync(body);
  if (encoding === "zstd" && "zstdDecompressSync" in zlib) return zlib.zstdDecompressSync(body);
  return body;
}

function join(...parts: Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
