/**
 * Keys of projects whose state a half has to know and does not: told to the control plane in batches, each key once in a
 * while only, whatever the traffic.
 *
 * Limits: {@link KEYS_MAX} keys in {@link REPEAT_MS}. Further ones are told later, when they are asked for again.
 */
import type { Clock, Timer } from "../core/clock.ts";

/** Keys told within {@link REPEAT_MS}. */
const KEYS_MAX = 10_000;
/** Time after which a key that is still wanted is told again. */
const REPEAT_MS = 10_000;
/** Time in which keys are gathered. */
const BATCH_MS = 10;

/** Options of {@link WantedKeys}. */
export interface WantedKeysOptions {
  readonly clock: Clock;
  readonly tell: (keys: readonly string[]) => void;
}

/** Gatherer of one half. */
export class WantedKeys {
  readonly #o: WantedKeysOptions;
  readonly #told = new Set<string>();
  #toldSinceMs = -Infinity;
  #batch: string[] = [];
  #timer: Timer | null = null;

  constructor(options: WantedKeysOptions) {
    this.#o = options;
  }

  /** Notes that the state of a key is wanted. */
  want(key: string): void {
    const { clock, tell } = this.#o;
    const now = clock.monotonic();
    if (now - this.#toldSinceMs >= REPEAT_MS) {
      this.#told.clear();
      this.#toldSinceMs = now;
    }
    if (this.#told.has(key) || this.#told.size >= KEYS_MAX) return;
    this.#told.add(key);
    this.#batch.push(key);
    this.#timer ??= clock.after(BATCH_MS, () => {
      this.#timer = null;
      tell(this.#batch.splice(0));
    });
  }

  /** The states of these keys are known now; the next time they are wanted is told at once. */
  known(keys: Iterable<string>): void {
    for (const key of keys) this.#told.delete(key);
  }

  /** Tells nothing more. */
  close(): void {
    this.#timer?.cancel();
    this.#timer = null;
  }
}
