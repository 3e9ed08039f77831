/**
 * Content-Encoding of what goes upstream: `http.encoding`.
 *
 * `auto` leaves compressed bodies as the client sent them and compresses others from {@link COMPRESS_BYTES_MIN} on.
 * Measured: compressing costs some 35 µs however small the body is, more than sending it does, and below 4 KiB it spares
 * no round trip, because the body fits the first flight of segments anyway. At 20 KB it is 70 µs for three quarters of
 * the bytes. zstd level 1 is both faster and smaller than gzip there, so it comes first where the runtime has it.
 *
 * A name forces that encoding for every body. An encoding the upstream refused (415) is not used again, whatever the
 * setting; the next best takes its place.
 *
 * Limits: decoding stops beyond `decodedBytesMax`. Large bodies are coded off the event loop. A body that cannot be
 * decoded is passed on as it is: it was accepted that way, and the upstream may do better.
 */
import type { Transform } from "node:stream";
import * as zlib from "node:zlib";
import { OUTPUT_IS_BOUNDED } from "../core/inflate_bounds.ts";
import { concatBytes, plainBytes } from "../core/bytes.ts";
import type { BodyEncoding } from "../protocol/request_meta.ts";
import { decodeZstd, encodeZstd, HAS_ZSTD } from "../protocol/zstd.ts";

/** Value of `http.encoding`. */
export type EncodingChoice = "auto" | "identity" | "deflate" | "gzip" | "br" | "zstd";

/** A body and its Content-Encoding, empty for none. */
export interface EncodedBody {
  readonly bytes: Uint8Array;
  readonly encoding: BodyEncoding;
}

/** Encodings that zlib does; zstd is apart, see `protocol/zstd.ts`. */
type ZlibCoding = Exclude<BodyEncoding, "" | "zstd">;
type Code = (bytes: Uint8Array, options: object) => Uint8Array;
type CodeLater = (
  bytes: Uint8Array,
  options: object,
  done: (error: Error | null, out: Uint8Array) => void,
) => void;

/** One direction of a coding: at once, off the event loop, and piece by piece. */
interface Coder {
  readonly now: Code;
  readonly later: CodeLater;
  readonly stream: () => Transform;
}

const COMPRESS_BYTES_MIN = 4096;
const NOW_BYTES_MAX = 128 * 1024;

const PARAMS: Readonly<Record<ZlibCoding, object>> = {
  gzip: {},
  deflate: {},
  br: { params: { [zlib.constants.BROTLI_PARAM_QUALITY]: 5 } },
};

const ENCODERS: Readonly<Record<ZlibCoding, Omit<Coder, "stream">>> = {
  gzip: { now: zlib.gzipSync as Code, later: zlib.gzip as CodeLater },
  deflate: { now: zlib.deflateSync as Code, later: zlib.deflate as CodeLater },
  br: { now: zlib.brotliCompressSync as Code, later: zlib.brotliCompress as CodeLater },
};

const DECODERS: Readonly<Record<ZlibCoding, Coder>> = {
  gzip: { now: zlib.gunzipSync as Code, later: zlib.gunzip as CodeLater, stream: () => zlib.createGunzip() },
  deflate: {
    now: zlib.inflateSync as Code,
    later: zlib.inflate as CodeLater,
    stream: () => zlib.createInflate(),
  },
  br: {
    now: zlib.brotliDecompressSync as Code,
    later: zlib.brotliDecompress as CodeLater,
    stream: () => zlib.createBrotliDecompress(),
  },
};

/** Chooses and applies encodings for one upstream. */
export class BodyEncoder {
  readonly #refused = new Set<BodyEncoding>();

  /** Both may change; what is being coded goes on as it began. */
  constructor(public choice: EncodingChoice, public decodedBytesMax: number) {}

  /** The upstream does not take this encoding; false when that was known. */
  refuse(encoding: BodyEncoding): boolean {
    const isNews = !this.#refused.has(encoding);
    this.#refused.add(encoding);
    return isNews;
  }

  /** How a body of so many bytes, stored in an encoding, is to be sent. */
  target(encoding: BodyEncoding, bytes: number): BodyEncoding {
    const wanted = this.choice === "identity"
      ? ""
      : this.choice === "auto"
      ? this.#automatic(encoding, bytes)
      : this.choice;
    return this.#usable(wanted) ? wanted : this.#preferred();
  }

  /** The body as it is to be sent. */
  encode(body: EncodedBody): EncodedBody | Promise<EncodedBody> {
    const encoding = this.target(body.encoding, body.bytes.length);
    return encoding === body.encoding ? body : this.#recode(body, encoding);
  }

  /** The decoded body, or null when it cannot be decoded within the limit. */
  async decode(body: EncodedBody): Promise<Uint8Array | null> {
    if (body.encoding === "") return body.bytes;
    if (body.encoding === "zstd" && !HAS_ZSTD) return null;
    try {
      if (body.encoding === "zstd") return decodeZstd(body.bytes, this.decodedBytesMax);
      const decoded = await decompress(body.bytes, DECODERS[body.encoding], this.decodedBytesMax);
      // Damaged br may come out empty instead of failing; an envelope never is.
      return decoded.length > 0 ? decoded : null;
    } catch {
      return null;
    }
  }

  #automatic(encoding: BodyEncoding, bytes: number): BodyEncoding {
    return encoding !== "" || bytes < COMPRESS_BYTES_MIN ? encoding : this.#preferred();
  }

  #preferred(): BodyEncoding {
    if (HAS_ZSTD && !this.#refused.has("zstd")) return "zstd";
    return this.#refused.has("gzip") ? "" : "gzip";
  }

  #usable(encoding: BodyEncoding): boolean {
    return !this.#refused.has(encoding) && (encoding !== "zstd" || HAS_ZSTD);
  }

  async #recode(body: EncodedBody, encoding: BodyEncoding): Promise<EncodedBody> {
    const bytes = await this.decode(body);
    if (bytes === null) return body;
    if (encoding === "") return { bytes, encoding };
    if (encoding === "zstd") return { bytes: encodeZstd(bytes), encoding };
    return { bytes: await code(bytes, ENCODERS[encoding], PARAMS[encoding]), encoding };
  }
}

function code(
  bytes: Uint8Array,
  coder: Omit<Coder, "stream">,
  options: object,
): Uint8Array | Promise<Uint8Array> {
  if (bytes.length <= NOW_BYTES_MAX) return plainBytes(coder.now(bytes, options));
  const { promise, resolve, reject } = Promise.withResolvers<Uint8Array>();
  coder.later(bytes, options, (error, out) => error ? reject(error) : resolve(plainBytes(out)));
  return promise;
}

function decompress(bytes: Uint8Array, coder: Coder, max: number): Uint8Array | Promise<Uint8Array> {
  if (OUTPUT_IS_BOUNDED) return code(bytes, coder, { maxOutputLength: max });
  const { promise, resolve, reject } = Promise.withResolvers<Uint8Array>();
  const stream = coder.stream();
  const chunks: Uint8Array[] = [];
  let total = 0;
  stream.on("data", (chunk: Uint8Array) => {
    total += chunk.length;
    if (total > max) stream.destroy(new Error("The body is too large"));
    else chunks.push(chunk);
  });
  stream.on("end", () => resolve(plainBytes(concatBytes(chunks))));
  stream.on("error", reject);
  stream.end(bytes);
  return promise;
}
