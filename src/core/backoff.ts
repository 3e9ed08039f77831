/** What a {@link Backoff} is made of. Times in milliseconds. */
export interface BackoffOptions {
  /** First delay. */
  readonly baseMs: number;
  /** What each further delay is multiplied by, at least 1. */
  readonly factor: number;
  /** Ceiling of the delay. */
  readonly maxMs: number;
  /** Share of a delay (0..1) that is random; it only ever shortens the delay. Default 0. */
  readonly jitter?: number;
  /** Source of randomness in [0, 1). */
  readonly random?: () => number;
  /** Whether the first delay is none at all; the second one is `baseMs` then. */
  readonly startsAtOnce?: boolean;
}

/**
 * Growing delays between attempts: `baseMs * factor ^ n`, never above `maxMs`.
 *
 * Jitter is taken off, not added, so that the ceiling holds, and spreads many nodes that lost the same upstream.
 */
export class Backoff {
  /** Number of delays handed out since the start or the last {@link Backoff.reset}. */
  attempts = 0;
  readonly #options: BackoffOptions;
  readonly #random: () => number;

  constructor(options: BackoffOptions) {
    this.#options = options;
    this.#random = options.random ?? Math.random;
  }

  /** The delay before the next attempt, in milliseconds. */
  next(): number {
    const { baseMs, factor, maxMs, jitter = 0, startsAtOnce = false } = this.#options;
    const power = startsAtOnce ? this.attempts - 1 : this.attempts;
    this.attempts++;
    if (power < 0) return 0;
    // The power overflows to Infinity after some hundred attempts, which `min` turns into the ceiling.
    const delayMs = Math.min(maxMs, baseMs * factor ** power);
    return jitter === 0 ? delayMs : delayMs * (1 - jitter * this.#random());
  }

  /** Starts over with the first delay. */
  reset(): void {
    this.attempts = 0;
  }
}
