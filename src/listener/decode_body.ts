/**
 * Content-Encoding of requests: ingestion reference, section 4.1.
 *
 * Why two ways: setting up a stream costs more than inflating a small body, so small ones are inflated in one call;
 * what could hold up the event loop goes through a stream that yields between chunks. zstd is always decoded in one
 * call, see `protocol/zstd.ts`.
 *
 * Limits: the limit counts decoded bytes. A stream stops at the first chunk beyond it. One call stops there too, and on
 * older runtimes, which do not bound it, at most 1032 times {@link SYNC_BYTES_MAX} come out. Their decoders for br and
 * zstd are unbounded or missing, so there these two are refused like unknown encodings.
 *
 * Oddities: several gzip members or zstd frames one after the other are one body, and what follows the last of them is
 * an error. In br and deflate the end of the stream is the end of the body, and the rest is ignored. An empty body
 * is empty in every encoding.
 */
import * as zlib from "node:zlib";
import { isOutputTooLarge, OUTPUT_IS_BOUNDED } from "../core/inflate_bounds.ts";
import { concatBytes } from "../core/bytes.ts";
import { RequestError } from "../protocol/request_error.ts";
import type { BodyEncoding } from "../protocol/request_meta.ts";
import { decodeZstd, HAS_ZSTD } from "../protocol/zstd.ts";
import type { BodyBudget } from "./body_budget.ts";
import { lengthExceeded, queueFailed } from "./refusals.ts";

/** An encoding that has to be undone. */
export type CompressedEncoding = Exclude<BodyEncoding, "">;

type DecodeSync = (body: Uint8Array, options: { maxOutputLength: number }) => Uint8Array;

const SYNC_BYTES_MAX = 32 * 1024;
const STEP_BYTES = 16 * 1024;

/** What this runtime decodes within bounds, as an `Accept-Encoding` header lists it. */
export const ACCEPTED_ENCODINGS: string = OUTPUT_IS_BOUNDED && HAS_ZSTD
  ? "gzip,deflate,br,zstd"
  : "gzip,deflate";
const accepted: ReadonlySet<string> = new Set(ACCEPTED_ENCODINGS.split(","));

/**
 * Reads a `Content-Encoding` header.
 *
 * @throws {RequestError} 415 for anything but one encoding in lower case: section 4.1
 */
export function parseContentEncoding(header: string | null): BodyEncoding {
  if (header === null || header === "" || header === "identity") return "";
  if (accepted.has(header)) return header as CompressedEncoding;
  if (header.toLowerCase() === "utf-8") return "";
  throw RequestError.empty(415, "invalid_compression", { "accept-encoding": ACCEPTED_ENCODINGS });
}

/**
 * Decodes a body; what it takes from `budget` is the caller's to release.
 *
 * @throws {RequestError} 400 for a corrupt body, 413 beyond `limit` bytes, 503 when the budget is used up
 */
export function decodeBody(
  body: Uint8Array,
  encoding: CompressedEncoding,
  limit: number,
  budget: BodyBudget,
): Uint8Array | Promise<Uint8Array> {
  if (body.length === 0) return body;
  if (encoding === "zstd") {
    return decodeSync((bytes, o) => decodeZstd(bytes, o.maxOutputLength), body, limit, budget);
  }
  if (encoding === "br" || body.length > SYNC_BYTES_MAX) return decodeStream(body, encoding, limit, budget);
  return decodeSync(encoding === "gzip" ? zlib.gunzipSync : zlib.inflateSync, body, limit, budget);
}

/**
 * Inflates a zlib stream found inside a body, in one call, to at most `max` bytes.
 *
 * Beyond that the result is cut to one byte: it is JSON that is cut, which fails as JSON whatever its length
 * (ingestion reference, section 1.3, store event).
 *
 * @throws {Error} when the stream is corrupt
 */
export function inflateTruncated(body: Uint8Array, max: number): Uint8Array {
  try {
    // Runtimes that ignore maxOutputLength are fed in steps, so that no step yields more than 1032 times its size.
    for (let end = STEP_BYTES; end < body.length && !OUTPUT_IS_BOUNDED; end += STEP_BYTES) {
      const part = zlib.inflateSync(body.subarray(0, end), { finishFlush: zlib.constants.Z_SYNC_FLUSH });
      if (part.length > max) return part.subarray(0, 1);
    }
    const inflated = zlib.inflateSync(body, { maxOutputLength: max });
    return inflated.length > max ? inflated.subarray(0, 1) : inflated;
  } catch (error) {
    if (isOutputTooLarge(error)) return new Uint8Array([0x7b]);
    throw error;
  }
}

function decodeSync(decode: DecodeSync, body: Uint8Array, limit: number, budget: BodyBudget): Uint8Array {
  const decoded = decodeWithin(decode, body, Math.max(1, Math.min(limit, budget.left)));
  if (decoded === null || decoded.length > limit) {
    throw budget.left < limit ? queueFailed() : lengthExceeded();
  }
  if (!budget.take(decoded.length)) throw queueFailed();
  return decoded;
}

/** The decoded bytes; null when there are more than `max`. */
function decodeWithin(decode: DecodeSync, body: Uint8Array, max: number): Uint8Array | null {
  try {
    return decode(body, { maxOutputLength: max });
  } catch (error) {
    if (isOutputTooLarge(error)) return null;
    throw corrupt();
  }
}

function decodeStream(
  body: Uint8Array,
  encoding: "gzip" | "deflate" | "br",
  limit: number,
  budget: BodyBudget,
): Promise<Uint8Array> {
  const { promise, resolve, reject } = Promise.withResolvers<Uint8Array>();
  const decoder = createDecoder(encoding);
  const chunks: Uint8Array[] = [];
  let total = 0;
  let failed = false;
  const fail = (error: RequestError) => {
    if (failed) return;
    failed = true;
    budget.release(total);
    decoder.destroy();
    reject(error);
  };
  decoder.on("data", (chunk: Uint8Array) => {
    if (failed) return;
    if (total + chunk.length > limit) return fail(lengthExceeded());
    if (!budget.take(chunk.length)) return fail(queueFailed());
    total += chunk.length;
    chunks.push(chunk);
  });
  decoder.on("end", () => {
    if (encoding === "br" && decoder.bytesWritten > body.length) return fail(corrupt());
    if (!failed) resolve(concatBytes(chunks));
  });
  decoder.on("error", () => fail(corrupt()));
  decoder.end(encoding === "br" ? withByteAfter(body) : body);
  return promise;
}

/**
 * The body and one byte more. The decoder for br does not report a stream that is cut short; but it is done with a
 * complete one before that byte, and takes it for a part of any other.
 */
function withByteAfter(body: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(body.length + 1);
  bytes.set(body);
  return bytes;
}

/** The runtime's decoder for all but zstd. */
export function createDecoder(
  encoding: "gzip" | "deflate" | "br",
): zlib.Gunzip | zlib.Inflate | zlib.BrotliDecompress {
  if (encoding === "br") return zlib.createBrotliDecompress();
  return encoding === "gzip" ? zlib.createGunzip() : zlib.createInflate();
}

/** Answer to a body that cannot be decoded. */
export function corrupt(): RequestError {
  return RequestError.text(
    400,
    "invalid_compression",
    "Failed to buffer the request body: corrupt compressed data",
  );
}
