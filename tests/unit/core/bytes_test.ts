import { assertEquals, assertStrictEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { bytesLength, concatBytes, fromUtf8, fromUtf8Strict, utf8 } from "../../../src/core/bytes.ts";

Deno.test("concatBytes: joins chunks in order and copies a single one not at all", () => {
  fc.assert(fc.property(fc.array(fc.uint8Array()), (chunks) => {
    const whole = concatBytes(chunks);
    assertEquals(Array.from(whole), chunks.flatMap((chunk) => Array.from(chunk)));
    assertEquals(whole.length, bytesLength(chunks));
  }));
  const chunk = Uint8Array.of(1, 2);
  assertStrictEquals(concatBytes([chunk]), chunk);
});

Deno.test("fromUtf8: reads what utf8 writes, a byte order mark included", () => {
  fc.assert(fc.property(fc.string({ unit: "binary" }), (text) => assertEquals(fromUtf8(utf8(text)), text)));
  assertEquals(fromUtf8Strict(utf8("\ufeff{}")), "\ufeff{}");
});

Deno.test("fromUtf8Strict: refuses what fromUtf8 replaces", () => {
  const invalid = Uint8Array.of(0x61, 0xff);
  assertEquals(fromUtf8(invalid), "a\ufffd");
  assertThrows(() => fromUtf8Strict(invalid), TypeError);
});
