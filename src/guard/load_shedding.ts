/**
 * What a node under pressure gives up: least valued first, errors last, health checks never.
 *
 * The worst source counts: memory, delay of the event loop, fill level of the spool. Three steps (`shed_class.ts`):
 * bulky categories, then costly ones, then everything; each is a rate limit that SDKs honour. A step that was taken
 * is only taken back once the pressure is {@link RELIEF} below its threshold, so that the node does not flap.
 *
 * The spool sheds by its own thresholds (`spool_pressure.ts`), with a time that follows its drain; here it counts for
 * the figure alone, so that operators see one number.
 */
import type { Clock } from "../core/clock.ts";
import { watchEventLoop } from "../core/event_loop_delay.ts";
import type { RateLimit } from "../protocol/rate_limit.ts";
import { BULKY_CATEGORIES, COSTLY_CATEGORIES } from "../protocol/shed_class.ts";
import type { PressureCells } from "./pressure_cells.ts";

/** Thresholds, 0 to 1; times in milliseconds. */
export interface SheddingSpec {
  readonly bulkyFrom: number;
  readonly costlyFrom: number;
  readonly everythingFrom: number;
  /** Delay of the event loop that counts as pressure 1. */
  readonly eventLoopDelayMs: number;
}

/** How far the pressure must fall below a threshold. */
const RELIEF = 0.1;
/** How long clients are told to wait. */
const RETRY_MS = 10_000;
/** Weight of the newest look; a single pause of the garbage collector is no overload. */
const SMOOTHING = 0.2;

const NONE: readonly RateLimit[] = [];

/** How much is given up: nothing, bulky, costly too, everything. */
export type ShedLevel = 0 | 1 | 2 | 3;

/** Options of {@link LoadShedding}. */
export interface LoadSheddingOptions {
  readonly spec: SheddingSpec;
  readonly cells: PressureCells;
  readonly lane: number;
  readonly clock: Clock;
  /** How late a timer fired, ms; each of them. */
  readonly onDelay?: (lateMs: number) => void;
}

/** Load shedding of one lane. */
export class LoadShedding {
  readonly #o: LoadSheddingOptions;
  #spec: SheddingSpec;
  readonly #stop = new AbortController();
  #level: ShedLevel = 0;

  constructor(options: LoadSheddingOptions) {
    this.#o = options;
    this.#spec = options.spec;
    options.cells.setEventLoop(options.lane, 0);
  }

  /** Goes by other thresholds from now on. */
  replace(spec: SheddingSpec): void {
    this.#spec = spec;
  }

  /** Starts to watch the event loop of this isolate; resolves when it is closed. */
  async watch(): Promise<void> {
    const { clock, cells, lane } = this.#o;
    let smooth = 0;
    await watchEventLoop(clock, this.#stop.signal, (lateMs) => {
      this.#o.onDelay?.(lateMs);
      smooth += SMOOTHING * (lateMs - smooth);
      cells.setEventLoop(lane, Math.min(1, smooth / this.#spec.eventLoopDelayMs));
    });
  }

  close(): void {
    this.#stop.abort();
    this.#o.cells.setEventLoop(this.#o.lane, 0);
  }

  /** What is given up now. */
  level(): ShedLevel {
    const { cells, lane } = this.#o;
    const pressure = Math.max(cells.memory, cells.eventLoop(lane));
    while (this.#level < 3 && pressure >= this.#threshold(this.#level + 1)) this.#level++;
    while (this.#level > 0 && pressure < this.#threshold(this.#level) - RELIEF) this.#level--;
    return this.#level;
  }

  /** Limits in force; empty as long as nothing is given up. */
  limits(nowMs: number): readonly RateLimit[] {
    const level = this.level();
    if (level === 0) return NONE;
    const limit = (categories: RateLimit["categories"]): RateLimit => ({
      categories,
      scope: "organization",
      reason: "overload",
      namespaces: [],
      expiresAtMs: nowMs + RETRY_MS,
    });
    if (level === 3) return [limit([])];
    return level === 1 ? [limit(BULKY_CATEGORIES)] : [limit([...BULKY_CATEGORIES, ...COSTLY_CATEGORIES])];
  }

  /** From which pressure on this much is given up. */
  #threshold(level: number): number {
    const { bulkyFrom, costlyFrom, everythingFrom } = this.#spec;
    return level === 1 ? bulkyFrom : level === 2 ? costlyFrom : everythingFrom;
  }
}
