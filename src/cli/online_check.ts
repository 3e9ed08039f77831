/** A check that looks at the world outside the configuration, and the bound on its time. */
import type { Clock } from "../core/clock.ts";

/** Longest time a check may take. */
export const CHECK_MS_MAX = 5000;

/** A named check: resolves with what was found. What it throws is why it failed, in one line. */
export interface OnlineCheck {
  readonly name: string;
  run(signal: AbortSignal): Promise<string>;
  /** Checks that only make sense after this one. */
  readonly then?: readonly OnlineCheck[];
}

/** How a check ended. */
export interface CheckResult {
  readonly name: string;
  readonly result: "ok" | "failed" | "skipped";
  readonly detail: string;
}

/** Runs checks, those that do not follow one another at once; results in the order of the list. */
export async function runChecks(checks: readonly OnlineCheck[], clock: Clock): Promise<CheckResult[]> {
  return (await Promise.all(checks.map((check) => runCheck(check, clock)))).flat();
}

async function runCheck({ name, run, then = [] }: OnlineCheck, clock: Clock): Promise<CheckResult[]> {
  const abort = new AbortController();
  const late = Promise.withResolvers<never>();
  const timer = clock.after(CHECK_MS_MAX, () => {
    late.reject(new Error(`nothing within ${CHECK_MS_MAX / 1000} s`));
    abort.abort();
  });
  try {
    const running = run(abort.signal);
    running.catch(() => {});
    const detail = await Promise.race([running, late.promise]);
    return [{ name, result: "ok", detail }, ...await runChecks(then, clock)];
  } catch (error) {
    const detail = error instanceof Error ? error.message : String(error);
    return [{ name, result: "failed", detail }, ...skipped(then, name)];
  } finally {
    timer.cancel();
  }
}

function skipped(checks: readonly OnlineCheck[], after: string): CheckResult[] {
  return checks.flatMap(({ name, then = [] }) => [
    { name, result: "skipped", detail: `after ${after}` } as const,
    ...skipped(then, after),
  ]);
}
