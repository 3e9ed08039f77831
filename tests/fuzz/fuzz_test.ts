/**
 * A bounded run of the fuzzer, and the cases in `seeds.json` that once found something.
 *
 * A seed stands for choices among sources and tokens, so changing those lists makes it another case: what is worth keeping
 * for good becomes a test of its own.
 */
import { assert, assertEquals } from "@std/assert";
import { report } from "../support/report.ts";
import { FuzzApp } from "./fuzz_app.ts";
import { fuzzCase, runFuzz } from "./run_fuzz.ts";
import seeds from "./seeds.json" with { type: "json" };

const SEED = 20_240_607;
const RUN_MS = 3000;
/** More than the largest captures, bombs and bodies of one request need, less than a leak of each would leave. */
const GROWTH_BYTES_MAX = 200 * 1024 * 1024;

const kept: readonly { readonly seed: number; readonly why: string }[] = seeds;

Deno.test("fuzz: no case that failed before fails again", async (t) => {
  const app = new FuzzApp();
  for (const { seed, why } of kept) {
    await t.step(`seed ${seed}: ${why}`, async () => assertEquals(await fuzzCase(app, seed), null));
  }
});

Deno.test("fuzz: damaged captures never get a 5xx, throw nothing and leave nothing behind", async () => {
  const before = Deno.memoryUsage();
  const end = performance.now() + RUN_MS;
  const { cases, statuses, failures } = await runFuzz(SEED, () => performance.now() > end);
  assertEquals(failures, []);
  assert(cases > 100, `${cases} cases`);
  const after = Deno.memoryUsage();
  const grown = after.heapUsed + after.external - before.heapUsed - before.external;
  assert(grown < GROWTH_BYTES_MAX, `memory grew by ${grown} bytes`);
  const answers = [...statuses].toSorted(([a], [b]) => a - b).map(([status, count]) =>
    `${count} x ${status}`
  );
  report(`fuzz: ${cases} cases, ${answers.join(", ")}`);
});
