/**
 * Content-Encoding of requests: ingestion reference, section 4.1.
 *
 * Why two ways: setting up a stream costs more than inflating a small body, so small ones are inflated in one call;
 * anything that could hold up the event loop goes through a stream that yields between chunks.
 *
 * Limits: the limit counts decoded bytes. A stream stops at the first chunk beyond it. One call on at most
 * {@link SYNC_BYTES_MAX} of deflate yields at most 1032 times as much, so memory is bounded even on runtimes that do
 * not enforce `maxOutputLength`.
 *
 * Oddities: several gzip members one after the other are one body, and what follows the last of them is an error; in
 * the other encodings the end of the stream is the end of the body and the rest is ignored. An empty body is empty in
 * every encoding.
 */
import * as zlib from "node:zlib";
import { concatBytes } from "../core/bytes.ts";
import { RequestError } from "../protocol/request_error.ts";
import type { BodyEncoding } from "../protocol/request_meta.ts";
import { lengthExceeded, queueFailed } from "./refusals.ts";
import type { BodyBudget } from "./body_budget.ts";

const SYNC_BYTES_MAX = 32 * 1024;
const STEP_BYTES = 16 * 1024;

/** The runtime's zstd decoder; older runtimes have none and answer 415 to that encoding. */
const createZstd = (zlib as { createZstdDecompress?: () => zlib.BrotliDecompress }).createZstdDecompress;

const ACCEPTED = createZstd ? "gzip,deflate,br,zstd" : "gzip,deflate,br";

/**
 * Reads a `Content-Encoding` header.
 *
 * @throws {RequestError} 415 for anything but one encoding in lower case: section 4.1
 */
export function parseContentEncoding(header: string | null): BodyEncoding {
  switch (header) {
    case null:
    case "":
    case "identity":
      return "";
    case "gzip":
    case "deflate":
    case "br":
      return header;
    case "zstd":
      if (createZstd) return header;
  }
  if (header!.toLowerCase() === "utf-8") return "";
  throw RequestError.empty(415, "invalid_compression", { "accept-encoding": ACCEPTED });
}

/**
 * Decodes a body; what it takes from `budget` is the caller's to release.
 *
 * @throws {RequestError} 400 for a corrupt body, 413 beyond `limit` bytes, 503 when the budget is used up
 */
export function decodeBody(
  body: Uint8Array,
  encoding: Exclude<BodyEncoding, "">,
  limit: number,
  budget: BodyBudget,
): Uint8Array | Promise<Uint8Array> {
  if (body.length === 0) return body;
  if (body.length > SYNC_BYTES_MAX || encoding === "br" || encoding === "zstd") {
    return decodeStream(body, encoding, limit, budget);
  }
  const decoded = encoding === "gzip"
    ? sync(zlib.gunzipSync, body, limit)
    : sync(zlib.inflateSync, body, limit);
  if (decoded.length > limit) throw lengthExceeded();
  if (!budget.take(decoded.length)) throw queueFailed();
  return decoded;
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
    if (isTooLarge(error)) return new Uint8Array([0x7b]);
    throw error;
  }
}

const OUTPUT_IS_BOUNDED = (() => {
  try {
    zlib.inflateSync(zlib.deflateSync(new Uint8Array(64)), { maxOutputLength: 8 });
    return false;
  } catch (error) {
    return isTooLarge(error);
  }
})();

function isTooLarge(error: unknown): boolean {
  return (error as { code?: unknown }).code === "ERR_BUFFER_TOO_LARGE";
}

function sync(decode: typeof zlib.gunzipSync, body: Uint8Array, limit: number): Uint8Array {
  try {
    return decode(body, { maxOutputLength: limit });
  } catch (error) {
    throw isTooLarge(error) ? lengthExceeded() : corrupt();
  }
}

function decodeStream(
  body: Uint8Array,
  encoding: Exclude<BodyEncoding, "">,
  limit: number,
  budget: BodyBudget,
): Promise<Uint8Array> {
  const { promise, resolve, reject } = Promise.withResolvers<Uint8Array>();
  const decoder = createDecoder(encoding);
  const chunks: Uint8Array[] = [];
  let total = 0;
  let failed = false;
  const fail = (error: RequestError) => {
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
    if (failed) return;
    if (decoder.bytesWritten > body.length) return fail(corrupt());
    resolve(concatBytes(chunks));
  });
  decoder.on("error", () => {
    if (!failed) fail(corrupt());
  });
  try {
    decoder.end(encoding === "br" || encoding === "zstd" ? withByteAfter(body) : body);
  } catch {
    // Older runtimes throw instead.
    if (!failed) fail(corrupt());
  }
  return promise;
}

/**
 * The body and one byte more. The decoders of these encodings do not report a stream that is cut short; but they are
 * done with a complete one before that byte, and not with any other.
 */
function withByteAfter(body: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(body.length + 1);
  bytes.set(body);
  return bytes;
}

function createDecoder(
  encoding: Exclude<BodyEncoding, "">,
): zlib.Gunzip | zlib.Inflate | zlib.BrotliDecompress {
  switch (encoding) {
    case "gzip":
      return zlib.createGunzip();
    case "deflate":
      return zlib.createInflate();
    case "br":
      return zlib.createBrotliDecompress();
    case "zstd":
      return createZstd!();
  }
}

function corrupt(): RequestError {
  return RequestError.text(
    400,
    "invalid_compression",
    "Failed to buffer the request body: corrupt compressed data",
  );
}
