/**
 * The spool's model for as long as is wanted: random sequences of appends, reads, settlements, faults, crashes and restarts on
 * a simulated disk with tiny segments.
 *
 * Usage: deno task model [--runs 20000] [--seed N]
 *
 * A failure is printed with its seed and the shortest sequence that shows it; the same seed finds it again.
 */
import { parseArgs } from "node:util";
import { report } from "../support/report.ts";
import { checkSpoolModel } from "./spool_model.ts";

/** Sequences between two lines of progress, each lot with a seed of its own. */
const LOT = 2000;

const { values } = parseArgs({
  args: Deno.args,
  options: {
    runs: { type: "string", default: "20000" },
    seed: { type: "string", default: String(Date.now() >>> 1 & 0x3fffffff) },
  },
});

const runs = Number(values.runs);
const firstSeed = Number(values.seed);
report(`seed ${firstSeed}, ${runs} sequences`);
const startedMs = performance.now();
for (let done = 0; done < runs;) {
  const lot = Math.min(LOT, runs - done);
  const seed = firstSeed + done / LOT;
  try {
    await checkSpoolModel({ runs: lot, seed });
  } catch (error) {
    report(`A promise is broken; see it again with --seed ${seed} --runs ${lot}`);
    throw error;
  }
  done += lot;
  report(`${done} sequences, ${((performance.now() - startedMs) / 1000).toFixed(0)} s`);
}
