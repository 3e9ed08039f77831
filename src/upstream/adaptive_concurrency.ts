/**
 * How many requests an upstream is given at once: as many as it answers without slowing down.
 *
 * Requests are counted in windows of {@link WINDOW_MS}, or longer until {@link SAMPLES_MIN} have ended. After each the
 * mean time of an answer is compared with what the upstream needs when it has little to do: `gradient = 2 * best / mean`,
 * at most 1 and at least a half; the limit becomes `gradient * limit + √limit`. So it climbs while answers are quick,
 * settles where the queue in the upstream doubles their time, and falls where it grows beyond. A window in which a tenth
 * of the requests failed makes the limit three quarters of what it was. It only climbs when half of it was used.
 *
 * `best` cannot be seen under load: with a queue in the upstream every answer takes long, and that would soon be taken for
 * normal. So it is measured: at the start, and when for {@link MEASURED_MS} there was no window with little load anyway, the
 * limit is at the floor for the time of {@link SAMPLES_MIN} answers. It is never taken for less than {@link BEST_MS_MIN},
 * below which differences are the scheduler's.
 *
 * The limit starts at the ceiling: a healthy upstream is not to be warmed up after every restart; one that comes back
 * after an outage is ({@link AdaptiveConcurrency.restart}). Without a clock: moments are handed in, ms.
 */

/** Least time between two adjustments. */
export const WINDOW_MS = 500;
/** Requests an adjustment needs, and a measurement. */
export const SAMPLES_MIN = 10;
/** How long a measurement counts. */
export const MEASURED_MS = 60_000;
/** Best times below this count as this. */
export const BEST_MS_MIN = 20;
const MEASURING_MS_MAX = 2000;
const TOLERANCE = 2;
const GRADIENT_MIN = 0.5;
const FAILED_SHARE_MAX = 0.1;
const FAILED_FACTOR = 0.75;

/** Answers counted since some moment. */
class Window {
  ended = 0;
  failed = 0;
  answeredMs = 0;
  inFlightMax = 0;

  constructor(readonly sinceMs: number) {}

  add(isFailure: boolean, ms: number, inFlight: number): void {
    this.ended++;
    if (isFailure) this.failed++;
    else this.answeredMs += ms;
    if (inFlight > this.inFlightMax) this.inFlightMax = inFlight;
  }

  get meanMs(): number {
    return Math.max(BEST_MS_MIN, this.answeredMs / (this.ended - this.failed));
  }

  get isFailing(): boolean {
    return this.failed >= this.ended * FAILED_SHARE_MAX;
  }
}

/** A limit between a floor and a ceiling. */
export class AdaptiveConcurrency {
  #limit: number;
  #bestMs = Infinity;
  #measuredAtMs = -Infinity;
  /** While `best` is measured: answers still to be left out, because they were asked for under load. */
  #leftOut = 0;
  #isMeasuring = true;
  #window: Window | null = null;

  /**
   * @param least at least 1
   * @param ceiling at least 1; may change, and may be lower than `least`
   */
  constructor(readonly least: number, readonly ceiling: () => number) {
    this.#limit = ceiling();
  }

  get floor(): number {
    return Math.min(this.least, this.ceiling());
  }

  /** Requests that may be under way, a whole number. */
  get limit(): number {
    return this.#isMeasuring ? this.floor : Math.floor(Math.min(this.#limit, this.ceiling()));
  }

  /** A request ended; `inFlight` counts it as well, `ms` is the time of its answer. True when the limit was adjusted. */
  ended(isFailure: boolean, ms: number, inFlight: number, nowMs: number): boolean {
    const window = this.#window ??= new Window(nowMs - ms);
    if (this.#isMeasuring && (inFlight > this.floor || this.#leftOut-- > 0)) return false;
    window.add(isFailure, ms, inFlight);
    if (!this.#isOver(window, nowMs)) return false;
    this.#adjust(window, nowMs);
    this.#window = new Window(nowMs);
    return true;
  }

  /** Begins at the floor again, as after an outage. */
  restart(): void {
    this.#limit = this.floor;
    this.#measure();
  }

  #isOver({ ended, sinceMs }: Window, nowMs: number): boolean {
    if (this.#isMeasuring) return ended >= SAMPLES_MIN || nowMs - sinceMs >= MEASURING_MS_MAX;
    return ended >= SAMPLES_MIN && nowMs - sinceMs >= WINDOW_MS;
  }

  #adjust(window: Window, nowMs: number): void {
    if (window.isFailing) this.#set(this.#limit * FAILED_FACTOR);
    else {
      if (window.inFlightMax <= this.floor) {
        this.#bestMs = window.meanMs;
        this.#measuredAtMs = nowMs;
      }
      if (!this.#isMeasuring) this.#follow(window);
    }
    this.#isMeasuring = false;
    // An upstream that fails is not asked how quick it is.
    if (!window.isFailing && nowMs - this.#measuredAtMs >= MEASURED_MS) this.#measure();
  }

  #follow({ meanMs, inFlightMax }: Window): void {
    const gradient = Math.max(GRADIENT_MIN, Math.min(1, TOLERANCE * this.#bestMs / meanMs));
    const next = gradient * this.#limit + Math.sqrt(this.#limit);
    if (next < this.#limit || inFlightMax * 2 >= this.#limit) this.#set(next);
  }

  #measure(): void {
    this.#isMeasuring = true;
    this.#leftOut = this.floor;
    this.#window = null;
  }

  #set(limit: number): void {
    this.#limit = Math.max(this.floor, Math.min(this.ceiling(), limit));
  }
}
