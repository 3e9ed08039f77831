/**
 * A counter in shared memory that isolates wait on: whoever has news raises it.
 *
 * Look at the count, look for work, wait for another count: news between the look and the wait is not missed.
 */
import type { Clock } from "./clock.ts";

/** How often who waits looks by itself. Also what keeps its event loop alive: `Atomics.waitAsync` does not. */
const POLL_MS = 1000;

/** One isolate's view. */
export class SharedSignal {
  readonly #cells: Int32Array;
  readonly #at: number;
  readonly #waiters = new Set<() => void>();
  #listening = false;

  /** @param cells on shared memory; the one at `at` is the counter */
  constructor(cells: Int32Array, at: number) {
    this.#cells = cells;
    this.#at = at;
  }

  /** How often it was raised so far (it wraps); to be read before looking for work. */
  get count(): number {
    return Atomics.load(this.#cells, this.#at);
  }

  /** Wakes whoever waits, here or in another isolate. */
  raise(): void {
    Atomics.add(this.#cells, this.#at, 1);
    Atomics.notify(this.#cells, this.#at);
    this.#wakeLocal();
  }

  /** Resolves when the count is no longer `seen`, on `signal`, or after a second. May be early. */
  async wait(seen: number, clock: Clock, signal?: AbortSignal): Promise<void> {
    if (signal?.aborted || this.count !== seen) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    const wakeUp = (): void => resolve();
    const poll = clock.after(POLL_MS, wakeUp);
    signal?.addEventListener("abort", wakeUp, { once: true });
    this.#waiters.add(wakeUp);
    this.#listen(seen);
    await promise;
    this.#waiters.delete(wakeUp);
    signal?.removeEventListener("abort", wakeUp);
    poll.cancel();
  }

  /** Keeps at most one wait in shared memory; one that an aborted wait left behind serves the next. */
  #listen(seen: number): void {
    if (this.#listening) return;
    const result = Atomics.waitAsync(this.#cells, this.#at, seen);
    if (!result.async) return this.#wakeLocal();
    this.#listening = true;
    void result.value.then(() => {
      this.#listening = false;
      this.#wakeLocal();
    });
  }

  #wakeLocal(): void {
    for (const wakeUp of this.#waiters) wakeUp();
  }
}
