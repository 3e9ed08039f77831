/**
 * Damaged captures against the application, for as long as is wanted. What must hold: no answer of 5xx, nothing thrown,
 * no memory kept, and every record readable.
 *
 * Usage: deno task fuzz [--seed N] [--seconds S] [--case SEED]
 *
 * A failure is printed with its seed; `--case` runs one alone, and a seed kept in `seeds.json` is run by the tests.
 */
import { parseArgs } from "node:util";
import { report } from "../support/report.ts";
import { FuzzApp } from "./fuzz_app.ts";
import { FuzzRandom } from "./fuzz_random.ts";
import { fuzzInput } from "./mutate_request.ts";
import { runFuzz } from "./run_fuzz.ts";

const { values } = parseArgs({
  args: Deno.args,
  options: {
    seed: { type: "string", default: String(Date.now() >>> 0) },
    seconds: { type: "string", default: "60" },
    case: { type: "string" },
  },
});

if (values.case !== undefined) {
  const input = fuzzInput(new FuzzRandom(Number(values.case)));
  const { chunks, ...head } = input;
  const body = chunks.map((chunk) =>
    typeof chunk === "string" ? `<${chunk}>` : new TextDecoder().decode(chunk)
  );
  report(Deno.inspect({ ...head, body: body.join("").slice(0, 4000) }, { strAbbreviateSize: 4000 }));
  report(Deno.inspect(await new FuzzApp().handle(input), { strAbbreviateSize: 4000 }));
} else {
  const end = performance.now() + Number(values.seconds) * 1000;
  const { cases, statuses, failures } = await runFuzz(Number(values.seed), () => performance.now() > end);
  const answers = [...statuses].toSorted(([a], [b]) => a - b).map(([status, count]) =>
    `${count} × ${status}`
  );
  report(`seed ${values.seed}: ${cases} cases; ${answers.join(", ")}`);
  report(`resident memory at the end: ${(Deno.memoryUsage().rss / 2 ** 20).toFixed(0)} MiB`);
  for (const failure of failures) report(JSON.stringify(failure));
  Deno.exit(failures.length > 0 ? 1 : 0);
}
