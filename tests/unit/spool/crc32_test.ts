import { assertEquals } from "@std/assert";
import { crc32 } from "node:zlib";
import fc from "fast-check";
import { crc32Of, patchCrc32 } from "../../../src/spool/crc32.ts";

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

Deno.test("patchCrc32: equals the sum of the changed bytes", () => {
  const change = fc.tuple(
    fc.uint8Array({ minLength: 1, maxLength: 200 }),
    fc.nat(),
    fc.nat(),
    fc.infiniteStream(fc.nat(255)),
  );
  fc.assert(
    fc.property(change, ([bytes, a, b, random]) => {
      const [from, to] = [a % bytes.length, b % (bytes.length + 1)].sort((x, y) => x - y) as [number, number];
      const after = bytes.slice(from, to).map(() => random.next().value!);
      const changed = bytes.slice();
      changed.set(after, from);
      assertEquals(
        patchCrc32(crc32(bytes), bytes.subarray(from, to), after, bytes.length - to),
        crc32(changed),
      );
    }),
    { numRuns: 1000 },
  );
});
