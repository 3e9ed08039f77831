import type { Clock } from "./clock.ts";

/** How often an event loop is looked at, ms. */
const EVENT_LOOP_MS = 100;

/** Says how much later a timer fired than it should have, ms, once per 100 ms, until `signal` aborts. */
export async function watchEventLoop(
  clock: Clock,
  signal: AbortSignal,
  note: (lateMs: number) => void,
): Promise<void> {
  while (!signal.aborted) {
    const dueMs = clock.monotonic() + EVENT_LOOP_MS;
    await clock.sleep(EVENT_LOOP_MS, signal);
    if (!signal.aborted) note(Math.max(0, clock.monotonic() - dueMs));
  }
}
