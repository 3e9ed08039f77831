/**
 * A half's end of taps: hands over what somebody wants to see, and costs one comparison while nobody does.
 *
 * Limits: {@link EVENTS_MAX} events and {@link CHARS_MAX} characters of payload are handed over per {@link FLUSH_MS}; what is more is
 * dropped and counted, so a tap never slows what it looks at.
 */
import type { Clock } from "../core/clock.ts";
import { isWanted, type TapEvent, type TapFilter } from "../telemetry/tap_event.ts";

const FLUSH_MS = 50;
const EVENTS_MAX = 100;
const CHARS_MAX = 1 << 20;

/** Control plane to half: these taps are open. Answered with an empty {@link TappedMessage} for each. */
export interface TapMessage {
  readonly type: "tap";
  readonly filters: readonly TapFilter[];
}

/** Half to control plane: what a tap gets. */
export interface TappedMessage {
  readonly type: "tapped";
  readonly id: number;
  readonly events: readonly TapEvent[];
  readonly dropped: number;
}

/** Taps on one half. */
export class LaneTap {
  #filters: readonly TapFilter[] = [];
  #batches = new Map<number, { events: TapEvent[]; dropped: number }>();
  #chars = 0;

  constructor(
    readonly lane: number,
    private readonly clock: Clock,
    private readonly post: (message: TappedMessage) => void,
  ) {}

  /** Whether anybody looks. */
  get isOn(): boolean {
    return this.#filters.length > 0;
  }

  /** Whether anybody wants payloads. */
  get wantsBodies(): boolean {
    return this.#filters.some(({ bodies }) => bodies);
  }

  set filters(filters: readonly TapFilter[]) {
    this.#filters = filters;
    for (const { id } of filters) this.post({ type: "tapped", id, events: [], dropped: 0 });
  }

  /** Hands a step over to those who want it. @param chars of payload in it */
  offer(event: TapEvent, chars = 0): void {
    for (const filter of this.#filters) {
      if (!isWanted(filter, event)) continue;
      const batch = this.#batchOf(filter.id);
      if (batch.events.length >= EVENTS_MAX || this.#chars + chars > CHARS_MAX) {
        batch.dropped++;
        continue;
      }
      this.#chars += chars;
      batch.events.push(event);
    }
  }

  #batchOf(id: number): { events: TapEvent[]; dropped: number } {
    if (this.#batches.size === 0) this.clock.after(FLUSH_MS, () => this.#flush());
    let batch = this.#batches.get(id);
    if (!batch) this.#batches.set(id, batch = { events: [], dropped: 0 });
    return batch;
  }

  #flush(): void {
    const batches = this.#batches;
    this.#batches = new Map();
    this.#chars = 0;
    for (const [id, batch] of batches) this.post({ type: "tapped", id, ...batch });
  }
}
