import { assertEquals } from "@std/assert";
import { concatBytes } from "../../../src/core/bytes.ts";
import { decodeChunks, encodeChunks } from "../../../src/protocol/content_coding.ts";

const BYTES = Uint8Array.from({ length: 700_000 }, (_, n) => n * n % 251 + (n >> 12));

/** Hands out pieces in memory that is used again for the next one, as those who read files do. */
async function* inOnePiece(bytes: Uint8Array, pieceBytes: number): AsyncGenerator<Uint8Array> {
  const piece = new Uint8Array(pieceBytes);
  for (let at = 0; at < bytes.length; at += pieceBytes) {
    const part = bytes.subarray(at, at + pieceBytes);
    piece.set(part);
    yield await Promise.resolve(piece.subarray(0, part.length));
    piece.fill(0xee);
  }
}

async function whole(chunks: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  return concatBytes(await Array.fromAsync(chunks, (chunk) => chunk.slice()));
}

for (const encoding of ["", "gzip", "deflate", "br", "zstd"] as const) {
  Deno.test(`content coding: ${encoding || "identity"} keeps no piece beyond its turn`, async () => {
    for (const pieceBytes of [1000, 65_536, 262_144]) {
      const encoded = await whole(encodeChunks(inOnePiece(BYTES, pieceBytes), encoding));
      assertEquals(await whole(decodeChunks(inOnePiece(encoded, pieceBytes), encoding)), BYTES);
    }
  });
}
