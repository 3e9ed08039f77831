/**
 * Time as a value that is handed in, so that every room can be tested without waiting.
 *
 * The only file of `core` that touches the real clock is this one; everything else receives a {@link Clock}.
 */

/** A pending call made with {@link Clock.after}. */
export interface Timer {
  /** Forgets the call. Harmless when it has run already. */
  cancel(): void;
}

/** Source of time. All values are milliseconds. */
export interface Clock {
  /** Wall clock, ms since the epoch. May jump; never used to measure a duration. */
  now(): number;
  /** Monotonic clock, ms from an arbitrary origin. */
  monotonic(): number;
  /** Calls `run` once, `ms` from now. */
  after(ms: number, run: () => void): Timer;
  /** Resolves after `ms`, or as soon as `signal` aborts; never rejects. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
}

/** {@link Clock.sleep} for any clock that has `after`. */
export function sleepOn(clock: Pick<Clock, "after">, ms: number, signal?: AbortSignal): Promise<void> {
  if (signal?.aborted) return Promise.resolve();
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = clock.after(ms, finish);
  signal?.addEventListener("abort", finish, { once: true });
  function finish(): void {
    timer.cancel();
    signal?.removeEventListener("abort", finish);
    resolve();
  }
  return promise;
}

/** Clock of the machine. */
export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  after(ms, run) {
    const id = setTimeout(run, ms);
    return { cancel: () => clearTimeout(id) };
  },
  sleep: (ms, signal) => sleepOn(systemClock, ms, signal),
};
