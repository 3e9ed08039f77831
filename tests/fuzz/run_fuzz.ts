/** Case after case for some time; each has a seed of its own, which is all that is needed to see it again. */
import { FuzzApp } from "./fuzz_app.ts";
import { FuzzRandom } from "./fuzz_random.ts";
import { fuzzInput } from "./mutate_request.ts";

/** A case that went wrong. */
export interface FuzzFailure {
  readonly seed: number;
  /** What it was made of. */
  readonly source: string;
  readonly faults: readonly string[];
}

/** What a run found. */
export interface FuzzResult {
  readonly cases: number;
  /** Answers by status. */
  readonly statuses: ReadonlyMap<number, number>;
  readonly failures: readonly FuzzFailure[];
}

const FAILURES_MAX = 20;

/** Runs one case. @returns null when all is well */
export async function fuzzCase(app: FuzzApp, seed: number): Promise<FuzzFailure | null> {
  return (await runCase(app, seed)).failure;
}

/** Runs the cases that follow from a seed, until there are enough failures or `isOver` says so. */
export async function runFuzz(firstSeed: number, isOver: () => boolean): Promise<FuzzResult> {
  const app = new FuzzApp();
  const seeds = new FuzzRandom(firstSeed);
  const statuses = new Map<number, number>();
  const failures: FuzzFailure[] = [];
  let cases = 0;
  while (!isOver() && failures.length < FAILURES_MAX) {
    const { status, failure } = await runCase(app, seeds.next());
    cases++;
    statuses.set(status, (statuses.get(status) ?? 0) + 1);
    if (failure) failures.push(failure);
  }
  return { cases, statuses, failures };
}

async function runCase(
  app: FuzzApp,
  seed: number,
): Promise<{ readonly status: number; readonly failure: FuzzFailure | null }> {
  const input = fuzzInput(new FuzzRandom(seed));
  const { status, faults } = await app.handle(input);
  return { status, failure: faults.length > 0 ? { seed, source: input.source, faults } : null };
}
