/** A sound request with something about it changed: method, target, headers, coding, framing or body. */
import * as zlib from "node:zlib";
import { encodeZstd, HAS_ZSTD } from "../../src/protocol/zstd.ts";
import type { FuzzRandom } from "./fuzz_random.ts";
import { FUZZ_SOURCES, type FuzzSource } from "./fuzz_sources.ts";
import { mutateBytes } from "./mutate_bytes.ts";

/** A request for the application. */
export interface FuzzInput {
  /** What it was made of. */
  readonly source: string;
  readonly method: string;
  readonly target: string;
  /** Names in lower case. */
  readonly headers: ReadonlyMap<string, string>;
  /** The body as it arrives; a word stands for a failure at that point. */
  readonly chunks: readonly (Uint8Array | "broken" | "timeout")[];
}

const METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "constructor"];
const ENCODINGS = ["", "utf-8", "gzip", "deflate", "br", "zstd", "identity", "GZIP", "gzip, br", "compress"];
const HEADERS: Readonly<Record<string, readonly string[]>> = {
  "content-type": [
    "application/json",
    "application/x-sentry-envelope",
    "application/octet-stream",
    "application/csp-report; charset=utf-8",
    "application/reports+json",
    "application/x-protobuf",
    "multipart/form-data",
    "multipart/form-data; boundary=",
    'multipart/form-data; boundary="a\\"b"',
    "text/plain;charset",
    "/",
    "",
  ],
  "x-sentry-auth": [
    "",
    "Sentry",
    "Sentry sentry_key=",
    "Sentry sentry_key=a,sentry_key=b",
    "sentry sentry_key=a0b1c2d3e4f5a0b1c2d3e4f5a0b1c2d3.no-cache, sentry_version=99999",
    `Sentry sentry_key=${"ä".repeat(32)}`,
  ],
  authorization: ["Basic", "Basic !!!", "Basic YTpi", "Bearer x", "Sentry sentry_key=a"],
  origin: ["null", "http://", "https://[::1", "file:///", "https://a b/"],
  referer: ["http://%", "javascript:alert(1)"],
  "x-forwarded-for": ["", ",", "1.2.3.4, 5.6.7.8", "::1%eth0", "a".repeat(5000)],
  "user-agent": ["", "\u00ff", "a".repeat(9000)],
  expect: ["100-continue"],
  upgrade: ["websocket"],
  connection: ["close, te"],
  "tus-resumable": ["1.0.0", "0"],
  "upload-length": ["-1", "1e9", "99999999999999999999"],
};
const QUERIES = [
  "",
  "sentry_key=a",
  "sentry_",
  "sentry_data=%",
  "sentry_data=e30",
  "sentry_key=%00&sentry_version=-1",
  "status=ok&duration=NaN&check_in_id=%F0%9F",
  "UserID=%0A%0Dx",
];
const PATHS = [
  "/api/1/envelope/",
  "/api/1/store/",
  "/api/store/",
  "/api/1/security/",
  "/api/1/csp-report/",
  "/api/1/nel/",
  "/api/1/minidump",
  "/api/1/unreal/a0b1c2d3e4f5a0b1c2d3e4f5a0b1c2d3/",
  "/api/1/events/9ec79c33ec9942ab8353589fcb2e04dc/attachments/",
  "/api/1/cron/a%2Fb/a0b1c2d3e4f5a0b1c2d3e4f5a0b1c2d3",
  "/api/1/cron/slug",
  "/api/1/integration/otlp/v1/logs/",
  "/api/1/integration/vercel/logs",
  "/api/18446744073709551616/envelope/",
  "/api/%31/envelope/",
  "/api/relay/healthcheck/ready/",
  "/api/",
  "//",
  "/%",
];
/** Decoded size of bodies that are tiny on the wire. */
const BOMB_BYTES = 9 * 1024 * 1024;
const BOMBS: readonly (readonly [string, () => Uint8Array])[] = [
  ["gzip", () => encode("gzip", new Uint8Array(BOMB_BYTES))],
  ["deflate", () => encode("deflate", new Uint8Array(BOMB_BYTES))],
  ["br", () => encode("br", new Uint8Array(BOMB_BYTES))],
  ["zstd", () => encode("zstd", new Uint8Array(BOMB_BYTES))],
];
const bombs = new Map<string, Uint8Array>();

/** The request of one seed. */
export function fuzzInput(random: FuzzRandom): FuzzInput {
  const source = random.pick(random.pick(FUZZ_SOURCES));
  const headers = new Map(source.headers);
  headers.delete("transfer-encoding");
  headers.delete("content-length");
  let { method, target } = source;
  let body = encodedBody(random, source, headers);
  if (random.oneIn(4)) mutateHeaders(random, headers);
  if (random.oneIn(6)) target = mutateTarget(random, target);
  if (random.oneIn(12)) method = random.pick(METHODS);
  if (random.oneIn(60)) body = bomb(random, headers);
  const isAnnounced = random.oneIn(2);
  if (isAnnounced) headers.set("content-length", String(body.length));
  return { source: source.name, method, target, headers, chunks: chunked(random, body) };
}

/** Mostly damages what is inside the coding, because damaged codings all end the same way. */
function encodedBody(
  random: FuzzRandom,
  { body, decoded }: FuzzSource,
  headers: Map<string, string>,
): Uint8Array {
  const other = random.pick(random.pick(FUZZ_SOURCES)).decoded;
  switch (random.below(8)) {
    case 0:
      headers.set("content-encoding", random.pick(ENCODINGS));
      return body;
    case 1:
      return mutateBytes(random, body, other);
    case 2:
    case 3: {
      const encoding = random.pick(["gzip", "deflate", "br", "zstd"]);
      headers.set("content-encoding", encoding);
      return encode(encoding, mutateBytes(random, decoded, other));
    }
    case 4:
      return body;
    default:
      headers.delete("content-encoding");
      return mutateBytes(random, decoded, other);
  }
}

function encode(encoding: string, bytes: Uint8Array): Uint8Array {
  if (encoding === "gzip") return zlib.gzipSync(bytes, { level: 1 });
  if (encoding === "deflate") return zlib.deflateSync(bytes, { level: 1 });
  // A runtime without it refuses it, whatever the bytes.
  if (encoding === "zstd") return HAS_ZSTD ? encodeZstd(bytes) : bytes;
  return zlib.brotliCompressSync(bytes, { params: { [zlib.constants.BROTLI_PARAM_QUALITY]: 1 } });
}

function bomb(random: FuzzRandom, headers: Map<string, string>): Uint8Array {
  const [encoding, make] = random.pick(BOMBS);
  headers.set("content-encoding", encoding);
  if (!bombs.has(encoding)) bombs.set(encoding, make());
  return bombs.get(encoding)!;
}

function mutateHeaders(random: FuzzRandom, headers: Map<string, string>): void {
  const name = random.pick(Object.keys(HEADERS));
  if (random.oneIn(4)) headers.delete(random.pick([...headers.keys(), "host"]));
  else headers.set(name, random.pick(HEADERS[name]!));
}

function mutateTarget(random: FuzzRandom, target: string): string {
  const [path, query = ""] = target.split("?") as [string, string?];
  if (random.oneIn(2)) return `${path}?${random.oneIn(2) ? query : ""}&${random.pick(QUERIES)}`;
  return `${random.pick(PATHS)}?${random.oneIn(3) ? random.pick(QUERIES) : query}`;
}

/** The body in pieces, one in forty times cut off by a failure. */
function chunked(random: FuzzRandom, body: Uint8Array): FuzzInput["chunks"] {
  const chunks: (Uint8Array | "broken" | "timeout")[] = [];
  const sizeMax = random.pick([7, 1000, 64 * 1024, 16 * 1024 * 1024]);
  for (let at = 0; at < body.length;) {
    const size = Math.max(1 + random.below(sizeMax), body.length >> 6);
    chunks.push(body.subarray(at, at + size));
    at += size;
  }
  if (random.oneIn(40)) {
    chunks.splice(random.below(chunks.length + 1), chunks.length, random.pick(["broken", "timeout"]));
  }
  return chunks;
}
