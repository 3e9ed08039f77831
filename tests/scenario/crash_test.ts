/** The promise behind every 200, put to the test: the process is killed without warning, again and again. */
import { assert, assertEquals } from "@std/assert";
import { crashCycles, DUPLICATES_PER_KILL_MAX } from "../support/crash_cycles.ts";
import { report } from "../support/report.ts";

const SEED = 20260123;
const CYCLES = 10;

Deno.test("kill -9 ten times under load: every acknowledged event arrives, few arrive twice", async () => {
  const { acknowledged, failed, kills, lost, duplicates } = await crashCycles({ seed: SEED, cycles: CYCLES });

  assertEquals(lost, [], "no acknowledged event is lost");
  report(`${acknowledged} acknowledged, ${failed} not, ${kills} kills, ${duplicates} arrived again`);
  assert(acknowledged > CYCLES * 20, "there was load between the kills");
  assert(duplicates <= kills * DUPLICATES_PER_KILL_MAX, `${duplicates} duplicates`);
});
