import { assertEquals, assertThrows } from "@std/assert";
import { concatBytes } from "../../../src/core/bytes.ts";
import { decodeZstd, encodeZstd, HAS_ZSTD, zstdFrames } from "../../../src/protocol/zstd.ts";

/** Bytes that do not compress, so that the encoder's buffer overflows. */
function noise(bytes: number): Uint8Array {
  const all = new Uint8Array(bytes);
  for (let at = 0, x = 1; at < bytes; at++) all[at] = x = Math.imul(x, 48271) >>> 3 ^ x << 7;
  return all;
}

const ignore = !HAS_ZSTD;

for (const bytes of [1, 1200, 20_000, 300_000]) {
  Deno.test({
    name: `encodeZstd: ${bytes} bytes become one frame that decodes to them`,
    ignore,
    fn() {
      const encoded = encodeZstd(noise(bytes));
      assertEquals(zstdFrames(encoded)?.length, 1);
      assertEquals(decodeZstd(encoded, bytes), noise(bytes));
    },
  });
}

Deno.test({
  name: "decodeZstd: several frames are one body, within one bound",
  ignore,
  fn() {
    const body = concatBytes([encodeZstd(noise(100)), encodeZstd(noise(200))]);
    assertEquals(decodeZstd(body, 300), concatBytes([noise(100), noise(200)]));
    assertThrows(() => decodeZstd(body, 250));
  },
});

Deno.test({
  name: "decodeZstd: a body cut anywhere, or with something after it, is refused",
  ignore,
  fn() {
    const body = encodeZstd(noise(300));
    for (let end = 1; end < body.length; end++) assertThrows(() => decodeZstd(body.subarray(0, end), 1000));
    assertThrows(() => decodeZstd(concatBytes([body, new Uint8Array([1])]), 1000));
  },
});
