/** The promise behind every 200, put to the test: the process, or a part of it, is killed without warning, again and again. */
import { assert, assertEquals } from "@std/assert";
import { crashCycles, DUPLICATES_PER_KILL_MAX } from "../support/crash_cycles.ts";
import { report } from "../support/report.ts";

const SEED = 20260123;
const CYCLES = 6;
const HALF_CYCLES = 6;

Deno.test("kill -9 again and again under load: every acknowledged event arrives, few arrive twice", async () => {
  const { acknowledged, failed, kills, lost, duplicates } = await crashCycles({ seed: SEED, cycles: CYCLES });

  assertEquals(lost, [], "no acknowledged event is lost");
  report(`${acknowledged} acknowledged, ${failed} not, ${kills} kills, ${duplicates} arrived again`);
  assert(acknowledged > CYCLES * 20, "there was load between the kills");
  assert(duplicates <= kills * DUPLICATES_PER_KILL_MAX, `${duplicates} duplicates`);
});

Deno.test("single halves of a lane killed under load: every acknowledged event arrives, the other half goes on", async () => {
  const result = await crashCycles({ seed: SEED, cycles: HALF_CYCLES, victim: "half" });
  const { acknowledged, failed, kills, lost, duplicates } = result;

  assertEquals(lost, [], "no acknowledged event is lost");
  report(`${acknowledged} acknowledged, ${failed} not, ${kills} kills, ${duplicates} arrived again`);
  assert(acknowledged > HALF_CYCLES * 20, "there was load between the kills");
  assert(duplicates <= kills * DUPLICATES_PER_KILL_MAX, `${duplicates} duplicates`);
});
