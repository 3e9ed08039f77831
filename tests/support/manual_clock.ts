import type { Clock, Timer } from "../../src/core/clock.ts";
import { sleepOn } from "../../src/core/clock.ts";

/**
 * Clock for tests and simulations: time stands still until {@link ManualClock.advance} moves it.
 */
export class ManualClock implements Clock {
  #now: number;
  #elapsed = 0;
  #timers: { due: number; order: number; run: () => void }[] = [];
  #order = 0;

  constructor(startMs: number = Date.UTC(2026, 0, 1)) {
    this.#now = startMs;
  }

  now(): number {
    return this.#now + this.#elapsed;
  }

  monotonic(): number {
    return this.#elapsed;
  }

  /** Moves the wall clock alone, as an NTP step would. */
  jump(ms: number): void {
    this.#now += ms;
  }

  after(ms: number, run: () => void): Timer {
    const timer = { due: this.#elapsed + Math.max(0, ms), order: this.#order++, run };
    this.#timers.push(timer);
    return { cancel: () => void (this.#timers = this.#timers.filter((other) => other !== timer)) };
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return sleepOn(this, ms, signal);
  }

  /** Number of calls waiting. */
  get pending(): number {
    return this.#timers.length;
  }

  /** Moves time forward, running what falls due in order and letting promises settle after each. */
  async advance(ms: number): Promise<void> {
    const end = this.#elapsed + ms;
    await settle();
    for (;;) {
      const next = this.#timers.toSorted((a, b) => a.due - b.due || a.order - b.order)[0];
      if (!next || next.due > end) break;
      this.#timers = this.#timers.filter((timer) => timer !== next);
      this.#elapsed = Math.max(this.#elapsed, next.due);
      next.run();
      await settle();
    }
    this.#elapsed = end;
    await settle();
  }
}

/** Lets all promise callbacks that are ready run. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await Promise.resolve();
}
