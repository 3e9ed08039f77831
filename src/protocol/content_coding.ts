/**
 * Content-Encoding of bodies that are never held whole.
 *
 * gzip, deflate and br go through the runtime's streams. That for zstd cannot be trusted (`zstd.ts`): it is encoded
 * piece by piece, each a frame of its own, which decoders take as one body, and decoded block by block.
 *
 * A piece, put in or got out, is good until the next is asked for, so that whoever reads a file needs one piece of memory.
 */
import { Readable, type Transform } from "node:stream";
import * as zlib from "node:zlib";
import type { BodyEncoding } from "./request_meta.ts";
import { encodeZstd } from "./zstd.ts";
import { ZstdDecoder } from "./zstd_decoder.ts";

type Chunks = AsyncIterable<Uint8Array>;

/** zlib is fast enough at its default; br is not. */
const BR = { params: { [zlib.constants.BROTLI_PARAM_QUALITY]: 5 } };

const DECODERS: Readonly<Record<"gzip" | "deflate" | "br", () => Transform>> = {
  gzip: () => zlib.createGunzip(),
  deflate: () => zlib.createInflate(),
  br: () => zlib.createBrotliDecompress(),
};
const ENCODERS: typeof DECODERS = {
  gzip: () => zlib.createGzip(),
  deflate: () => zlib.createDeflate(),
  br: () => zlib.createBrotliCompress(BR),
};

/**
 * The decoded bytes, read as fast as they are taken.
 *
 * @throws {Error} the bytes are corrupt, and whatever reading `chunks` throws
 */
export function decodeChunks(chunks: Chunks, encoding: BodyEncoding): Chunks {
  if (encoding === "") return chunks;
  return encoding === "zstd" ? zstdDecoded(chunks) : through(chunks, DECODERS[encoding]());
}

/**
 * The encoded bytes, read as fast as they are taken.
 *
 * @throws whatever reading `chunks` throws
 */
export function encodeChunks(chunks: Chunks, encoding: BodyEncoding): Chunks {
  if (encoding === "") return chunks;
  return encoding === "zstd" ? zstdFramesOf(chunks) : through(chunks, ENCODERS[encoding]());
}

async function* zstdDecoded(chunks: Chunks): AsyncGenerator<Uint8Array> {
  const decoder = new ZstdDecoder();
  try {
    for await (const chunk of chunks) yield* decoder.push(chunk);
    decoder.end();
  } finally {
    decoder.destroy();
  }
}

async function* zstdFramesOf(chunks: Chunks): AsyncGenerator<Uint8Array> {
  for await (const chunk of chunks) if (chunk.length > 0) yield encodeZstd(chunk);
}

/** Streams read ahead. */
async function* copied(chunks: Chunks): AsyncGenerator<Uint8Array> {
  for await (const chunk of chunks) yield chunk.slice();
}

async function* through(chunks: Chunks, coder: Transform): AsyncGenerator<Uint8Array> {
  const source = Readable.from(copied(chunks), { objectMode: false });
  source.on("error", (error) => coder.destroy(error));
  try {
    for await (const chunk of source.pipe(coder)) yield chunk;
  } finally {
    source.destroy();
    coder.destroy();
  }
}
