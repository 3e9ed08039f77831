import type { Backoff } from "./backoff.ts";
import type { Clock } from "./clock.ts";

/** Options of {@link reopen}. */
export interface ReopenOptions {
  readonly clock: Clock;
  /** Pauses before each attempt; starts over after one that succeeded. */
  readonly backoff: Backoff;
  /** Ends the attempts. */
  readonly signal: AbortSignal;
}

/**
 * Opens again what ended because the machine ran out of something, e.g. a listener without a file descriptor to accept
 * with: until `open` does not throw, or `signal` ends it.
 */
export async function reopen({ clock, backoff, signal }: ReopenOptions, open: () => void): Promise<void> {
  while (!signal.aborted) {
    await clock.sleep(backoff.next(), signal);
    if (signal.aborted) return;
    try {
      open();
      return backoff.reset();
    } catch {
      // Still nothing to open it with.
    }
  }
}
