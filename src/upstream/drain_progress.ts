/**
 * How fast a backlog shrinks, and when it will be gone.
 *
 * The rate is a moving average over some {@link MEMORY_MS} of how much less waits than before, so what comes in meanwhile
 * is accounted for. Without a clock: moments are handed in, ms.
 */

/** Fewer records than this are what is always under way, not a backlog. */
export const BACKLOG_MIN = 1000;
const MEMORY_MS = 10_000;

/** A backlog at a glance. */
export interface Drain {
  /** Records that wait, and the most that waited since there was no backlog. */
  readonly waiting: number;
  readonly peak: number;
  /** Records a second by which it shrinks; negative while it grows. */
  readonly perSecond: number;
  /** Null while it does not shrink. */
  readonly secondsLeft: number | null;
}

/** Watches a backlog. */
export class DrainProgress {
  #atMs = -Infinity;
  #waiting = 0;
  #peak = 0;
  #perSecond = 0;

  /** So many records wait now. */
  sample(waiting: number, nowMs: number): void {
    const ms = nowMs - this.#atMs;
    if (ms <= 0) return;
    if (waiting < BACKLOG_MIN) {
      this.#peak = this.#perSecond = 0;
    } else if (this.#peak > 0) {
      const perSecond = (this.#waiting - waiting) * 1000 / ms;
      this.#perSecond += (perSecond - this.#perSecond) * (1 - Math.exp(-ms / MEMORY_MS));
    }
    if (waiting >= BACKLOG_MIN) this.#peak = Math.max(this.#peak, waiting);
    this.#waiting = waiting;
    this.#atMs = nowMs;
  }

  /** Null without a backlog. */
  get drain(): Drain | null {
    if (this.#peak === 0) return null;
    const secondsLeft = this.#perSecond > 0 ? this.#waiting / this.#perSecond : null;
    return { waiting: this.#waiting, peak: this.#peak, perSecond: this.#perSecond, secondsLeft };
  }
}
