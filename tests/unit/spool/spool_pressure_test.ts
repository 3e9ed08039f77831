import { assertEquals } from "@std/assert";
import { SpoolPressure } from "../../../src/spool/spool_pressure.ts";
import { ManualClock } from "../../support/manual_clock.ts";

const MIB = 1024 * 1024;

function fixture(bytesUsed = 0) {
  const clock = new ManualClock();
  const budget = { bytesUsed, bytesMax: 100 * MIB };
  const pressure = new SpoolPressure({ budget, clock, bulkyShare: 0.7, costlyShare: 0.85 });
  const now = (): number => clock.now();
  const seconds = (): number[] => pressure.limits(now()).map((limit) => (limit.expiresAtMs - now()) / 1000);
  return { clock, budget, pressure, now, seconds };
}

Deno.test("SpoolPressure: bulky categories give way first, then costly ones, errors never before it is full", () => {
  const { budget, pressure, now } = fixture();
  const refused = (): string[] => pressure.limits(now()).map(({ categories }) => categories[0]!);
  budget.bytesUsed = 69 * MIB;
  assertEquals(refused(), []);
  budget.bytesUsed = 70 * MIB;
  assertEquals(refused(), ["replay"]);
  budget.bytesUsed = 85 * MIB;
  assertEquals(refused(), ["replay", "transaction"]);
  budget.bytesUsed = 100 * MIB;
  assertEquals(pressure.limits(now()).some(({ categories }) => categories.includes("error")), false);
  assertEquals(pressure.fullLimit(now()).categories, []);
});

Deno.test("SpoolPressure: the wait is the longest while the spool fills, and follows the drain once it empties", async () => {
  const { clock, budget, seconds } = fixture(80 * MIB);
  assertEquals(seconds(), [300]);
  for (let second = 0; second < 20; second++) {
    await clock.advance(1000);
    budget.bytesUsed -= 0.1 * MIB;
    seconds();
  }
  // 8 MiB above the threshold at 0.1 MiB a second.
  assertEquals(seconds().map(Math.round), [80]);
  for (let second = 0; second < 20; second++) {
    await clock.advance(1000);
    budget.bytesUsed -= 0.35 * MIB;
    seconds();
  }
  assertEquals(seconds(), [10]);
});

Deno.test("SpoolPressure: looks that follow each other closely do not make the rate jump", async () => {
  const { clock, budget, seconds } = fixture();
  budget.bytesUsed = 90 * MIB;
  seconds();
  await clock.advance(10);
  budget.bytesUsed = 80 * MIB;
  assertEquals(seconds(), [300]);
});
