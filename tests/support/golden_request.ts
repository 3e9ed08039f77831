/** The captured requests of real clients in tests/golden, made ready to be sent again byte by byte. */
import { Buffer } from "node:buffer";
import * as zlib from "node:zlib";
import { sha256 } from "./test_cache.ts";

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
  readonly envelope_items?: readonly { readonly type: string; readonly payload_sha256: string }[];
}

/** A capture with its bytes. */
export interface GoldenRequest {
  readonly entry: GoldenEntry;
  /** The whole request for a raw socket. */
  readonly bytes: Uint8Array;
  /** The body without its content coding. */
  readonly decoded: Uint8Array;
  /** SHA-256 of the payloads that have to arrive upstream, in order. */
  readonly payloads: readonly string[];
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
  const payloads = entry.envelope_items?.map((item) => item.payload_sha256) ??
    [sha256(storePayload(decoded))];
  return { entry, bytes: requestBytes(capture, body, host), decoded, payloads };
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

/** Event JSON of a body of the store endpoint: as it is, or base64 of zlib (ingestion reference, section 1.3). */
function storePayload(decoded: Uint8Array): Uint8Array {
  if (decoded[0] === 0x7b) return decoded;
  return zlib.inflateSync(Buffer.from(new TextDecoder().decode(decoded), "base64"));
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
