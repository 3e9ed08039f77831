/**
 * After an outage: how soon the next record may be sent, so that the backlog does not knock the upstream over again.
 *
 * The rate starts at {@link FIRST_PER_SECOND} and doubles every {@link DOUBLING_MS}; after {@link RAMP_MS} it is beyond
 * what a lane can send, and the ramp ends. Records leave the spool fresh ones first, so new errors show from the first
 * second on. A failure on the way starts it over. Without a clock: moments are handed in, ms.
 */

/** Records a second and lane at the start. */
export const FIRST_PER_SECOND = 50;
/** Time in which the rate doubles. */
export const DOUBLING_MS = 1000;
/** Length of the ramp, 10 doublings. */
export const RAMP_MS = 10_000;

/** A ramp; at rest until an outage ends. */
export class RecoveryRamp {
  #startMs: number | null = null;
  #nextMs = -Infinity;

  /** The upstream answers again. */
  start(nowMs: number): void {
    this.#startMs = nowMs;
    this.#nextMs = nowMs;
  }

  /** Moment from which the next record may be sent; `-Infinity` for any. */
  nextMs(nowMs: number): number {
    if (this.#startMs !== null && nowMs - this.#startMs >= RAMP_MS) this.#startMs = null;
    return this.#startMs === null ? -Infinity : this.#nextMs;
  }

  /** A record is sent. */
  sent(nowMs: number): void {
    if (this.#startMs === null) return;
    // What was not sent when it could have been is not made up for in a burst.
    this.#nextMs = Math.max(this.#nextMs, nowMs - 50) + 1000 / this.perSecond(nowMs);
  }

  /** Present rate; `Infinity` outside the ramp. */
  perSecond(nowMs: number): number {
    if (this.#startMs === null) return Infinity;
    return FIRST_PER_SECOND * 2 ** ((nowMs - this.#startMs) / DOUBLING_MS);
  }
}
