/**
 * How many requests may be sent to another endpoint at once after they failed on the first: a share of all requests.
 *
 * Without one, retries multiply the load on an upstream exactly when it has too much. Records that found no budget go
 * back to the spool and are sent again later, so it never costs an envelope.
 *
 * Every request earns `share` of a retry; besides that {@link PER_SECOND} retries a second are free, so that a quiet lane
 * can fail over, too. What is saved up is bounded by {@link SAVED_MAX}. Without a clock: moments are handed in, ms.
 */

/** Retries a second that cost nothing. */
export const PER_SECOND = 2;
/** Retries that can be saved up. */
export const SAVED_MAX = 20;

/** A budget; one per upstream and lane. */
export class RetryBudget {
  #saved = SAVED_MAX;
  #atMs = -Infinity;

  /** @param share retries per request, 0 to 1 */
  constructor(readonly share: number) {}

  /** A request is sent for the first time. */
  earn(nowMs: number): void {
    this.#refill(nowMs);
    this.#saved = Math.min(SAVED_MAX, this.#saved + this.share);
  }

  /** Takes one retry; false when there is none. */
  spend(nowMs: number): boolean {
    this.#refill(nowMs);
    if (this.#saved < 1) return false;
    this.#saved--;
    return true;
  }

  #refill(nowMs: number): void {
    const seconds = this.#atMs === -Infinity ? 0 : Math.max(0, nowMs - this.#atMs) / 1000;
    this.#saved = Math.min(SAVED_MAX, this.#saved + seconds * PER_SECOND);
    this.#atMs = Math.max(this.#atMs, nowMs);
  }
}
