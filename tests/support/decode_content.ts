import * as zlib from "node:zlib";

/** Undoes a Content-Encoding. */
export function decodeContent(bytes: Uint8Array, encoding: string): Uint8Array {
  const { zstdDecompressSync } = zlib as unknown as {
    zstdDecompressSync?: (bytes: Uint8Array) => Uint8Array;
  };
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
      if (zstdDecompressSync) return new Uint8Array(zstdDecompressSync(bytes));
  }
  throw new SyntaxError(`Cannot decode Content-Encoding ${encoding}`);
}
