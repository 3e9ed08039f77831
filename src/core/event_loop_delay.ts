import type { Clock } from "./clock.ts";

/** How often an event loop is looked at, ms. */
export const EVENT_LOOP_MS = 100;

/** Waits for `ms` and says how much later it was called than it should have been, ms. */
export async function eventLoopDelay(clock: Clock, ms: number, signal: AbortSignal): Promise<number> {
  const dueMs = clock.monotonic() + ms;
  await clock.sleep(ms, signal);
  return Math.max(0, clock.monotonic() - dueMs);
}

/** Says how late timers fire, once per `ms`, until `signal` aborts. */
export async function watchEventLoop(
  clock: Clock,
  ms: number,
  signal: AbortSignal,
  note: (lateMs: number) => void,
): Promise<void> {
  while (!signal.aborted) {
    const lateMs = await eventLoopDelay(clock, ms, signal);
    if (!signal.aborted) note(lateMs);
  }
}
