import { assertEquals, assertRejects } from "@std/assert";
import fc from "fast-check";
import { concatBytes } from "../../../src/core/bytes.ts";
import { decodeZstd, encodeZstd, HAS_ZSTD } from "../../../src/protocol/zstd.ts";
import { ZstdDecoder } from "../../../src/protocol/zstd_decoder.ts";

const ignore = !HAS_ZSTD;

async function decoded(body: Uint8Array, cuts: readonly number[] = []): Promise<Uint8Array> {
  const decoder = new ZstdDecoder();
  const out: Uint8Array[] = [];
  try {
    const ends = [...cuts.map((cut) => cut % (body.length + 1)).sort((a, b) => a - b), body.length];
    let at = 0;
    for (const end of ends) {
      for await (const chunk of decoder.push(body.subarray(at, end))) out.push(chunk.slice());
      at = end;
    }
    decoder.end();
    return concatBytes(out);
  } finally {
    decoder.destroy();
  }
}

/** Frames, some of them skippable, of data that compresses more or less. */
const frames = fc.array(
  fc.oneof(
    fc.uint8Array({ maxLength: 300 }).map(encodeOrEmpty),
    fc.tuple(fc.nat(300_000), fc.nat(250)).map(([n, byte]) => encodeOrEmpty(new Uint8Array(n).fill(byte))),
    fc.tuple(fc.nat(300_000), fc.nat(250)).map(([n, k]) =>
      encodeOrEmpty(Uint8Array.from({ length: n }, (_, i) => i * i * k >> 7))
    ),
    fc.uint8Array({ minLength: 1, maxLength: 20 }).map((data) =>
      concatBytes([Uint8Array.of(0x5a, 0x2a, 0x4d, 0x18, data.length, 0, 0, 0), data])
    ),
  ),
  { maxLength: 5 },
).map(concatBytes);

function encodeOrEmpty(bytes: Uint8Array): Uint8Array {
  return HAS_ZSTD ? encodeZstd(bytes) : bytes;
}

Deno.test({
  name: "ZstdDecoder: decodes what decodeZstd decodes, however it is cut",
  ignore,
  async fn() {
    await fc.assert(
      fc.asyncProperty(frames, fc.array(fc.nat(), { maxLength: 6 }), async (body, cuts) => {
        assertEquals(await decoded(body, cuts), concatBytes([decodeZstd(body, 1 << 24)]));
      }),
      { numRuns: 60 },
    );
  },
});

Deno.test({
  name: "ZstdDecoder: a body cut anywhere, or with something after it, is refused",
  ignore,
  async fn() {
    const body = concatBytes([encodeZstd(new Uint8Array(40).fill(7)), encodeZstd(new Uint8Array(9))]);
    const whole = new Set([0, encodeZstd(new Uint8Array(40).fill(7)).length, body.length]);
    for (let end = 0; end < body.length; end++) {
      if (!whole.has(end)) await assertRejects(() => decoded(body.subarray(0, end)));
    }
    await assertRejects(() => decoded(concatBytes([body, Uint8Array.of(1)])));
  },
});

Deno.test({
  name: "ZstdDecoder: refuses a body of more blocks than any encoder makes, and blocks beyond their size",
  ignore,
  async fn() {
    const head = Uint8Array.of(0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x00);
    const blocks = concatBytes([head, new Uint8Array(3 * 70_000)]);
    await assertRejects(() => decoded(blocks), Error, "too many blocks");
    const large = concatBytes([head, Uint8Array.of(0x0c, 0x00, 0x10)]);
    await assertRejects(() => decoded(large), Error, "malformed");
  },
});
