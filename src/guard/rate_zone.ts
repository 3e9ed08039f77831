/**
 * A rate zone: a leaky bucket per key, in thousandths of a request, with the results of nginx's `limit_req` for the
 * same sequence of requests.
 *
 * A bucket holds the excess: what came beyond the rate. It leaks at the rate, each request adds 1000; a request that would
 * lift it beyond the burst is refused and adds nothing. The first request of a key adds nothing either, and time that
 * runs backwards counts as standing still, or after a jump of more than a minute as a millisecond; both as in nginx.
 *
 * With several zones nothing is added anywhere unless all of them let a request pass: hence {@link RateZone.excess} for
 * all but the last, and {@link RateZone.take} for those once it is known.
 *
 * Memory is fixed; when it is used up the least recently used key is forgotten, which forgives it.
 */
import type { ZonePart } from "../config/guard_kind.ts";
import { SharedTable, type Visit } from "../core/shared_table.ts";

/** Description of a zone. */
export interface RateZoneSpec {
  /** Its own among the zones of a node. */
  readonly name: string;
  readonly key: readonly ZonePart[];
  /** Thousandths of a request per second. */
  readonly rate: number;
  /** Requests beyond the rate that are taken. */
  readonly burst: number;
  /** Requests beyond the rate that are not held back; `null`: none is held back. */
  readonly delay: number | null;
  /** Keys remembered. */
  readonly entries: number;
  /** Only counts what it would refuse or hold back. */
  readonly dryRun: boolean;
}

/** Memory of a zone that all lanes share. */
export interface ZoneBuffers {
  readonly keys: SharedArrayBuffer;
  readonly counts: SharedArrayBuffer;
}

/** What a zone did with a request, or with `dryRun` would have done. */
export const ZONE_RESULTS = ["refused", "delayed"] as const;

/** Name of a {@link ZONE_RESULTS} entry. */
export type ZoneResult = (typeof ZONE_RESULTS)[number];

const CELLS = 3;
const EXCESS = 0;
const LAST = 1;
/** 1 once a key had its first request. */
const KNOWN = 2;

const JUMP_MS = 60_000;

/** A zone, over memory that all lanes share. */
export class RateZone {
  readonly #table: SharedTable;
  readonly #counts: BigUint64Array;
  readonly #burst: number;
  readonly #delay: number;
  readonly #rate: number;

  /** @param buffers of {@link RateZone.createBuffers}, the same in all isolates */
  constructor(readonly spec: RateZoneSpec, private readonly buffers: ZoneBuffers) {
    this.#table = SharedTable.attach(buffers.keys);
    this.#counts = new BigUint64Array(buffers.counts);
    this.#rate = spec.rate;
    this.#burst = spec.burst * 1000;
    this.#delay = spec.delay === null ? Infinity : spec.delay * 1000;
  }

  /**
   * Memory for a zone. What `before`, the zone of that name until now, knows of its keys is kept unless they are other
   * keys or another number of them; a bucket means the same at any rate. Its counts go on unless they meant another thing.
   */
  static createBuffers(
    { key, entries, dryRun }: Pick<RateZoneSpec, "key" | "entries" | "dryRun">,
    before: RateZone | null = null,
  ): ZoneBuffers {
    const isKept = before?.spec.entries === entries && before.spec.key.join() === key.join();
    const countsOn = before?.spec.dryRun === dryRun;
    return {
      keys: before && isKept ? before.buffers.keys : SharedTable.create({ entries, cells: CELLS }).buffer,
      counts: before && countsOn
        ? before.buffers.counts
        : new SharedArrayBuffer(ZONE_RESULTS.length * BigUint64Array.BYTES_PER_ELEMENT),
    };
  }

  /** Counts a request that was refused or held back. */
  note(result: ZoneResult): void {
    Atomics.add(this.#counts, ZONE_RESULTS.indexOf(result), 1n);
  }

  /** Requests noted so far, by all lanes. */
  noted(result: ZoneResult): number {
    return Number(Atomics.load(this.#counts, ZONE_RESULTS.indexOf(result)));
  }

  /** Keys remembered now. */
  get used(): number {
    return this.#table.used;
  }

  /** Keys forgotten for want of room. */
  get evictions(): number {
    return this.#table.evictions;
  }

  /** Excess a request would lead to, without adding it. */
  excess(key: string, nowMs: number): number {
    return this.#table.visit(key, nowMs, this.#look, 0, 0);
  }

  /** Adds a request unless the zone is full, and returns the excess; one beyond the burst was not added. */
  take(key: string, nowMs: number): number {
    return this.#table.update(key, nowMs, this.#add);
  }

  /** Whether a request that leads to this excess is refused. */
  refuses(excess: number): boolean {
    return excess > this.#burst;
  }

  /** How long a request with this excess is held back, ms. */
  delayMs(excess: number): number {
    return excess <= this.#delay ? 0 : Math.floor((excess - this.#delay) * 1000 / this.#rate);
  }

  /** After how many seconds a request that was refused with this excess would pass, at least 1. */
  retrySeconds(excess: number): number {
    return Math.max(1, Math.ceil((excess - this.#burst) / this.#rate));
  }

  readonly #look: Visit = (cells, at, _, nowMs) => this.#next(cells, at, elapsed(cells[at + LAST]!, nowMs));

  readonly #add: Visit = (cells, at, _, nowMs) => {
    if (cells[at + KNOWN] === 0) {
      cells[at + KNOWN] = 1;
      cells[at + LAST] = nowMs;
      return cells[at + EXCESS] = 0;
    }
    const ms = elapsed(cells[at + LAST]!, nowMs);
    const excess = this.#next(cells, at, ms);
    if (excess > this.#burst) return excess;
    cells[at + EXCESS] = excess;
    // Within the same millisecond nothing has leaked, so nothing may be lost to rounding either.
    if (ms > 0) cells[at + LAST] = nowMs;
    return excess;
  };

  #next(cells: Float64Array, at: number, ms: number): number {
    return Math.max(0, cells[at + EXCESS]! - Math.floor(this.#rate * ms / 1000) + 1000);
  }
}

function elapsed(lastMs: number, nowMs: number): number {
  const ms = nowMs - lastMs;
  return ms >= 0 ? ms : ms < -JUMP_MS ? 1 : 0;
}
