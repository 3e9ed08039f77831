/**
 * How slowly bodies may come.
 *
 * Why three bounds: a pause alone is no attack and no bound (one byte a second never pauses), a rate alone ends
 * connections that hang on a bad line, and both together still let a large body take for ever. So a body may pause for
 * `timeoutMs`, must bring `bytesPerSecondMin` over every span of that length, and has `requestTimeoutMs` for its whole,
 * plus a second for each {@link SECOND_BYTES} that did arrive.
 *
 * Only time in which the node waits for the client counts; while an upstream is waited for, nobody is slow.
 *
 * Cost: one timer looks after all bodies of a listener, so a body that comes at once costs no timer. Bodies are ended up
 * to an eighth of `timeoutMs` late.
 */
import type { Clock, Timer } from "../core/clock.ts";

/** Bytes that earn a request one more second. */
const SECOND_BYTES = 16 * 1024;
const SWEEPS_PER_TIMEOUT = 8;
const SWEEP_MS_MAX = 1000;

/** Bounds of {@link BodyPaces}. */
export interface PaceLimits {
  /** Longest pause, and the span over which the rate is averaged, ms. */
  readonly timeoutMs: number;
  /** Least bytes per second; 0 for no such bound. */
  readonly bytesPerSecondMin: number;
  /** Longest time for a whole body, ms, before what it earned. */
  readonly requestTimeoutMs: number;
}

/** Progress of one body. */
export class BodyPace {
  /** Called when the body is too slow, once, and only while it is waited for. */
  onLate: (() => void) | null = null;
  /** Since when the client is waited for, or -1. */
  sinceMs = -1;
  /** Of waiting, before `sinceMs`. */
  waitedMs = 0;
  lastMs = 0;
  spanBytes = 0;
  /** `waitedMs` at the start of the span. */
  spanStartMs = 0;
  bytes = 0;
}

/** The bodies a listener waits for. */
export class BodyPaces {
  readonly #clock: Clock;
  readonly #limits: PaceLimits;
  readonly #waiting = new Set<BodyPace>();
  #timer: Timer | null = null;

  constructor(clock: Clock, limits: PaceLimits) {
    this.#clock = clock;
    this.#limits = limits;
  }

  get #sweepMs(): number {
    const shortest = Math.min(this.#limits.timeoutMs, this.#limits.requestTimeoutMs);
    return Math.max(1, Math.min(SWEEP_MS_MAX, shortest / SWEEPS_PER_TIMEOUT));
  }

  /**
   * From now on the client is waited for; `onLate` is called if that takes too long.
   *
   * @param unseenBytes of a body that shows nothing before its end; it gets the time in which they come at the least rate
   */
  wait(pace: BodyPace, onLate: () => void, unseenBytes = 0): void {
    const { bytesPerSecondMin } = this.#limits;
    const graceMs = bytesPerSecondMin > 0 ? unseenBytes * 1000 / bytesPerSecondMin : 0;
    pace.onLate = onLate;
    pace.sinceMs = this.#clock.monotonic();
    pace.lastMs = pace.sinceMs + graceMs;
    pace.spanStartMs += graceMs;
    this.#waiting.add(pace);
    this.#timer ??= this.#clock.after(this.#sweepMs, this.#sweep);
  }

  /** Some of the body came. */
  received(pace: BodyPace, bytes: number): void {
    pace.lastMs = this.#clock.monotonic();
    pace.bytes += bytes;
    pace.spanBytes += bytes;
  }

  /** The client is not waited for any more. */
  stop(pace: BodyPace): void {
    if (!this.#waiting.delete(pace)) return;
    pace.waitedMs += this.#clock.monotonic() - pace.sinceMs;
    pace.sinceMs = -1;
    pace.onLate = null;
  }

  /** Looks after nothing any more. */
  close(): void {
    this.#timer?.cancel();
    this.#timer = null;
  }

  readonly #sweep = (): void => {
    const now = this.#clock.monotonic();
    for (const pace of this.#waiting) if (this.#isLate(pace, now)) this.#end(pace);
    this.#timer = this.#waiting.size > 0 ? this.#clock.after(this.#sweepMs, this.#sweep) : null;
  };

  #end(pace: BodyPace): void {
    const { onLate } = pace;
    this.stop(pace);
    onLate?.();
  }

  #isLate(pace: BodyPace, now: number): boolean {
    const { timeoutMs, bytesPerSecondMin, requestTimeoutMs } = this.#limits;
    if (now - pace.lastMs >= timeoutMs) return true;
    const waitedMs = pace.waitedMs + now - pace.sinceMs;
    if (waitedMs >= requestTimeoutMs + pace.bytes * 1000 / SECOND_BYTES) return true;
    const spanMs = waitedMs - pace.spanStartMs;
    if (spanMs < timeoutMs) return false;
    const isSlow = pace.spanBytes * 1000 < bytesPerSecondMin * spanMs;
    pace.spanBytes = 0;
    pace.spanStartMs = waitedMs;
    return isSlow;
  }
}
