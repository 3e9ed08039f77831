import { assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { formatDuration, parseDurationMs } from "../../../src/core/duration.ts";

const DURATIONS: readonly (readonly [string | number, number])[] = [
  [5, 5000],
  [0.25, 250],
  ["10", 10_000],
  ["250ms", 250],
  ["1.5s", 1500],
  ["5s", 5000],
  ["3m", 180_000],
  [" 1 h ", 3_600_000],
  ["2d", 172_800_000],
];

for (const [text, ms] of DURATIONS) {
  Deno.test(`parseDurationMs: ${JSON.stringify(text)} is ${ms} ms`, () =>
    assertEquals(parseDurationMs(text), ms));
}

for (const text of ["", "s", "5 weeks", "-5s", "5s5", -1, NaN, Infinity]) {
  Deno.test(`parseDurationMs: ${JSON.stringify(text)} (${text}) is refused`, () => {
    assertThrows(() => parseDurationMs(text), RangeError);
  });
}

Deno.test("formatDuration: writes the largest unit that divides, and parseDurationMs reads it back", () => {
  assertEquals([0, 250, 1000, 90_000, 180_000, 172_800_000].map(formatDuration), [
    "0ms",
    "250ms",
    "1s",
    "90s",
    "3m",
    "2d",
  ]);
  fc.assert(fc.property(fc.nat(), (ms) => assertEquals(parseDurationMs(formatDuration(ms)), ms)));
});
