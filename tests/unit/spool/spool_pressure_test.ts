import { assertEquals } from "@std/assert";
import { SpoolPressure } from "../../../src/spool/spool_pressure.ts";
import { ManualClock } from "../../support/manual_clock.ts";

const MIB = 1024 * 1024;

function fixture(bytesUsed = 0) {
  const clock = new ManualClock();
  const budget = { bytesUsed, bytesMax: 100 * MIB };
  const pressure = new SpoolPressure({ budget, clock, bulkyShare: 0.7, costlyShare: 0.85 });
  const now = (): number => clock.now();
  const seconds = (): number[] =>
    pressure.limits(now(), 1).map((limit) => (limit.expiresAtMs - now()) / 1000);
  return { clock, budget, pressure, now, seconds };
}

Deno.test("SpoolPressure: bulky categories give way first, then costly ones, errors never before it is full", () => {
  const { budget, pressure, now } = fixture();
  const refused = (): string[] => pressure.limits(now(), 1).map(({ categories }) => categories[0]!);
  budget.bytesUsed = 69 * MIB;
  assertEquals(refused(), []);
  budget.bytesUsed = 70 * MIB;
  assertEquals(refused(), ["replay"]);
  budget.bytesUsed = 85 * MIB;
  assertEquals(refused(), ["replay", "transaction"]);
  budget.bytesUsed = 100 * MIB;
  assertEquals(pressure.limits(now(), 1).some(({ categories }) => categories.includes("error")), false);
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

Deno.test("SpoolPressure: a project that fills its share is refused within it, the others are not", () => {
  const clock = new ManualClock();
  const waiting = new Map([[1, 0], [2, 0]]);
  const pressure = new SpoolPressure({
    budget: { bytesUsed: 0, bytesMax: 100 * MIB },
    clock,
    bulkyShare: 0.7,
    costlyShare: 0.85,
    projects: { of: (projectHash) => waiting.get(projectHash)!, share: 0.2 },
  });
  const refused = (projectHash: number): string[] =>
    pressure.limits(clock.now(), projectHash).map(({ categories, scope, reason }) =>
      `${categories[0] ?? "all"} ${scope} ${reason}`
    );
  const steps: [number, string[]][] = [
    [13.9, []],
    [14, ["replay project project_share"]],
    [17, ["replay project project_share", "transaction project project_share"]],
    [20, [
      "replay project project_share",
      "transaction project project_share",
      "all project project_share",
    ]],
  ];
  for (const [mib, expected] of steps) {
    waiting.set(1, mib * MIB);
    assertEquals([refused(1), refused(2)], [expected, []], `${mib} MiB`);
  }
});
