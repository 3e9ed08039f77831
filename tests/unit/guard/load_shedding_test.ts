import { assert, assertEquals } from "@std/assert";
import { LoadShedding } from "../../../src/guard/load_shedding.ts";
import { memoryBytesMax, memoryPressure } from "../../../src/guard/memory_pressure.ts";
import { PressureCells } from "../../../src/guard/pressure_cells.ts";
import { limitApplies } from "../../../src/protocol/rate_limit.ts";
import { ManualClock } from "../../support/manual_clock.ts";

const spec = { bulkyFrom: 0.6, costlyFrom: 0.8, everythingFrom: 1, eventLoopDelayMs: 100 };

Deno.test("LoadShedding: replays go first, then transactions, errors last; and come back later than they went", () => {
  const clock = new ManualClock();
  const cells = PressureCells.create(1);
  const shedding = new LoadShedding({ spec, cells, lane: 0, clock });
  const refused = (memory: number): string[] => {
    cells.memory = memory;
    const limits = shedding.limits(clock.now());
    return (["replay", "transaction", "error"] as const).filter((category) =>
      limits.some((limit) => limitApplies(limit, category, clock.now()))
    );
  };
  const steps: readonly [number, string[]][] = [
    [0.59, []],
    [0.6, ["replay"]],
    [0.79, ["replay"]],
    [0.8, ["replay", "transaction"]],
    [1, ["replay", "transaction", "error"]],
    [0.95, ["replay", "transaction", "error"]],
    [0.89, ["replay", "transaction"]],
    [0.71, ["replay", "transaction"]],
    [0.69, ["replay"]],
    [0.51, ["replay"]],
    [0.49, []],
    [1, ["replay", "transaction", "error"]],
    [0, []],
  ];
  for (const [pressure, categories] of steps) assertEquals(refused(pressure), categories, `at ${pressure}`);
});

Deno.test("LoadShedding: an event loop that lags counts, one that lags once does not", async () => {
  const clock = new ManualClock();
  const cells = PressureCells.create(2);
  // A clock whose sleeps take longer than asked, as those of a busy loop do.
  let lagMs = 0;
  const lagging = {
    ...bound(clock),
    sleep: (ms: number, signal?: AbortSignal) => clock.sleep(ms + lagMs, signal),
  };
  const shedding = new LoadShedding({ spec, cells, lane: 1, clock: lagging });
  const watching = shedding.watch();
  await clock.advance(1000);
  assertEquals([cells.eventLoop(1), shedding.level()], [0, 0]);
  lagMs = 200;
  await clock.advance(300);
  lagMs = 0;
  await clock.advance(300);
  assertEquals(shedding.level(), 0);
  lagMs = 200;
  await clock.advance(20 * 300);
  assertEquals([cells.eventLoop(1), cells.eventLoopMax, shedding.level()], [1, 1, 3]);
  shedding.close();
  await watching;
  assertEquals([cells.eventLoopMax, clock.pending], [0, 0]);
});

function bound(clock: ManualClock) {
  return {
    now: () => clock.now(),
    monotonic: () => clock.monotonic(),
    after: (ms: number, run: () => void) => clock.after(ms, run),
  };
}

Deno.test("memoryBytesMax: the lower of both bounds counts", () => {
  assertEquals(memoryBytesMax({ maxMemoryBytes: null, maxMemoryPercent: 0.95 }, null), null);
  assertEquals(memoryBytesMax({ maxMemoryBytes: 500, maxMemoryPercent: 0.95 }, null), 500);
  assertEquals(memoryBytesMax({ maxMemoryBytes: 500, maxMemoryPercent: 0.5 }, 800), 400);
  assertEquals(memoryBytesMax({ maxMemoryBytes: 300, maxMemoryPercent: 0.5 }, 800), 300);
  assertEquals([memoryPressure(null), memoryPressure(100, 50), memoryPressure(100, 500)], [0, 0.5, 1]);
  assert(memoryPressure(1e15) > 0);
});

Deno.test("LoadShedding: other thresholds count at the next look", () => {
  const cells = PressureCells.create(1);
  const shedding = new LoadShedding({ spec, cells, lane: 0, clock: new ManualClock() });
  cells.memory = 0.45;
  assertEquals(shedding.level(), 0);
  shedding.replace({ ...spec, bulkyFrom: 0.3, costlyFrom: 0.4 });
  assertEquals(shedding.level(), 2);
  shedding.replace(spec);
  assertEquals(shedding.level(), 0);
});
