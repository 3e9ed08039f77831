import { assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { formatByteSize, parseByteSize } from "../../../src/core/byte_size.ts";

const SIZES: readonly (readonly [string | number, number])[] = [
  [0, 0],
  [4242, 4242],
  ["4242", 4242],
  ["42B", 42],
  ["1kB", 1000],
  ["1KB", 1024],
  ["1KiB", 1024],
  ["1kib", 1024],
  ["1MB", 1_000_000],
  ["1mb", 1_000_000],
  ["1MiB", 1_048_576],
  [" 1.5 GB ", 1_500_000_000],
  ["2GiB", 2_147_483_648],
  ["1TiB", 1_099_511_627_776],
];

for (const [text, bytes] of SIZES) {
  Deno.test(`parseByteSize: ${JSON.stringify(text)} is ${bytes} bytes`, () => {
    assertEquals(parseByteSize(text), bytes);
  });
}

for (const text of ["", "MiB", "1 XB", "-1", "-1MB", "1e3", "1MiB/s", "0.3B", -1, 1.5, NaN, Infinity]) {
  Deno.test(`parseByteSize: ${JSON.stringify(text)} (${text}) is refused`, () => {
    assertThrows(() => parseByteSize(text), RangeError);
  });
}

Deno.test("formatByteSize: writes the largest unit that divides, as Relay infers it", () => {
  assertEquals([0, 1000, 1024, 1025, 10 * 1024 * 1024, 42_000_000].map(formatByteSize), [
    "0B",
    "1kB",
    "1KiB",
    "1025B",
    "10MiB",
    "42MB",
  ]);
});

Deno.test("formatByteSize: parseByteSize reads back what it writes", () => {
  fc.assert(
    fc.property(fc.maxSafeNat(), (bytes) => assertEquals(parseByteSize(formatByteSize(bytes)), bytes)),
  );
});
