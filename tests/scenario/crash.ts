/**
 * The crash test for as long as is wanted: a whole node under load is killed with `kill -9` at random moments, while it starts
 * too, or single halves of its lanes are ended, with the upstream up and down. What must hold: nothing acknowledged is lost, and little arrives twice.
 *
 * Usage: deno task crash [--cycles 50] [--lanes 1] [--victim node|half] [--seed N]
 *
 * The seed fixes the moments of the kills, not what the machine does meanwhile. Ends with 1 when something was lost.
 */
import { parseArgs } from "node:util";
import { crashCycles, DUPLICATES_PER_KILL_MAX } from "../support/crash_cycles.ts";
import { report } from "../support/report.ts";

const { values } = parseArgs({
  args: Deno.args,
  options: {
    cycles: { type: "string", default: "50" },
    lanes: { type: "string", default: "1" },
    victim: { type: "string", default: "node" },
    seed: { type: "string", default: String(Date.now() >>> 0) },
  },
});

report(`seed ${values.seed}, ${values.cycles} cycles, ${values.lanes} lane(s), victim: ${values.victim}`);
const { acknowledged, failed, kills, lost, duplicates } = await crashCycles({
  seed: Number(values.seed),
  cycles: Number(values.cycles),
  lanes: Number(values.lanes),
  victim: values.victim === "half" ? "half" : "node",
  onCycle: (done, count) => {
    if (done % 10 === 0) report(`${done} cycles, ${count} acknowledged`);
  },
});
report(
  `${acknowledged} acknowledged, ${failed} not; ${kills} kills; ${lost.length} lost; ${duplicates} arrived again ` +
    `(${(duplicates / kills).toFixed(1)} a kill)`,
);
for (const eventId of lost) report(`lost: ${eventId}`);
Deno.exit(lost.length === 0 && duplicates <= kills * DUPLICATES_PER_KILL_MAX ? 0 : 1);
