import * as zlib from "node:zlib";
import { decodeZstd, HAS_ZSTD } from "../../src/protocol/zstd.ts";

/** Undoes a Content-Encoding. */
export function decodeContent(bytes: Uint8Array, encoding: string): Uint8Array {
  switch (encoding) {
    case "":
      return bytes;
    case "gzip":
      return new Uint8Array(zlib.gunzipSync(bytes));
    case "deflate":
      return new Uint8Array(zlib.inflateSync(bytes));
    case "br":
      return new Uint8Array(zlib.brotliDecompressSync(bytes));
    case "zstd":
      if (HAS_ZSTD) return decodeZstd(bytes, 2 ** 30);
  }
  throw new SyntaxError(`Cannot decode Content-Encoding ${encoding}`);
}
