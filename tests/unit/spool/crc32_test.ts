import { assertEquals } from "@std/assert";
import { crc32 } from "node:zlib";
import fc from "fast-check";
import { crc32Of } from "../../../src/spool/crc32.ts";

Deno.test("crc32Of: equals the sum of the pieces put together", () => {
  const pieces = fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 6 });
  fc.assert(
    fc.property(pieces, (pieces) => {
      assertEquals(crc32Of(pieces), crc32(new Uint8Array(pieces.flatMap((piece) => [...piece]))));
    }),
    { numRuns: 2000 },
  );
});

Deno.test("crc32Of: holds for pieces of megabytes", () => {
  const large = new Uint8Array(5_000_001).fill(0xa7);
  assertEquals(crc32Of([large.subarray(0, 7), large.subarray(7)]), crc32(large));
  assertEquals(crc32Of([]), 0);
});
