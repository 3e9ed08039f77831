import { assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { concatBytes, fromUtf8 } from "../../../src/core/bytes.ts";
import { Bzip2Error, decodeBzip2 } from "../../../src/protocol/bzip2.ts";
import { DUMP, DUMP_BZ2, EMPTY_BZ2, HUGE_DUMP_BZ2, RUNS, RUNS_BZ2 } from "../../support/compressed_files.ts";

const decode = (bytes: Uint8Array) => concatBytes([...decodeBzip2(bytes)]);

Deno.test("decodeBzip2 decodes what bzip2 made, runs of every length included", () => {
  assertEquals(fromUtf8(decode(DUMP_BZ2)), DUMP);
  assertEquals([...decode(RUNS_BZ2)], RUNS.flatMap(([byte, length]) => Array<number>(length).fill(byte)));
  assertEquals(decode(EMPTY_BZ2).length, 0);
});

Deno.test("decodeBzip2 decodes several streams one after the other", () => {
  assertEquals(fromUtf8(decode(concatBytes([DUMP_BZ2, EMPTY_BZ2, DUMP_BZ2]))), DUMP + DUMP);
});

Deno.test("decodeBzip2 hands out a bomb in chunks that its reader can stop at", () => {
  let total = 0;
  for (const chunk of decodeBzip2(HUGE_DUMP_BZ2)) {
    const zeros = total === 0 ? chunk.subarray("MDMP".length) : chunk;
    assertEquals(chunk.length <= 64 * 1024 && zeros.every((byte) => byte === 0), true);
    if ((total += chunk.length) > 300_000) break;
  }
  assertEquals(total < 400_000, true);
  assertEquals(
    [...decodeBzip2(HUGE_DUMP_BZ2)].reduce((sum, chunk) => sum + chunk.length, 0),
    8 * 1024 * 1024,
  );
});

/** A block of one byte value whose symbols are `runs` times the lower digit of a run's length. */
function blockOfRuns(runs: number): Uint8Array {
  let bits = "";
  const put = (width: number, ...values: number[]) => {
    for (const value of values) bits += value.toString(2).padStart(width, "0");
  };
  put(24, 0x425a68);
  put(8, 0x39);
  put(24, 0x314159, 0x265359);
  put(32, 0);
  put(1, 0);
  put(24, 0);
  put(16, 0x8000, 0x8000);
  put(3, 2);
  put(15, 100);
  put(1, ...Array<number>(100).fill(0));
  for (let table = 0; table < 2; table++) put(5, 2), put(3, 0);
  put(2, ...Array<number>(runs).fill(0), 2);
  bits = bits.padEnd(Math.ceil(bits.length / 8) * 8 + 64, "0");
  return Uint8Array.from({ length: bits.length / 8 }, (_, i) => parseInt(bits.slice(i * 8, i * 8 + 8), 2));
}

Deno.test("decodeBzip2 refuses a run longer than its block, whatever its length overflows", () => {
  assertThrows(() => decode(blockOfRuns(5)), Bzip2Error, "block checksum differs");
  for (const runs of [20, 31, 32, 33, 64]) {
    assertThrows(() => decode(blockOfRuns(runs)), Bzip2Error, "block too long");
  }
});

Deno.test("decodeBzip2 refuses what is damaged, cut short or followed by something else", () => {
  const bytes = RUNS_BZ2;
  for (let end = 0; end < bytes.length; end++) {
    assertThrows(() => decode(bytes.subarray(0, end)), Bzip2Error);
  }
  assertThrows(() => decode(concatBytes([DUMP_BZ2, Uint8Array.of(1)])), Bzip2Error);
});

Deno.test("decodeBzip2 throws nothing but Bzip2Error, and returns nothing else than was compressed", () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.nat(RUNS_BZ2.length - 1), fc.integer({ min: 1, max: 255 })), {
        minLength: 1,
        maxLength: 3,
      }),
      (flips) => {
        const bytes = RUNS_BZ2.slice();
        for (const [at, mask] of flips) bytes[at]! ^= mask;
        try {
          assertEquals(decode(bytes), decode(RUNS_BZ2));
        } catch (error) {
          if (!(error instanceof Bzip2Error)) throw error;
        }
      },
    ),
    { numRuns: 1500 },
  );
});
