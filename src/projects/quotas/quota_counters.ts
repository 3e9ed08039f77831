/**
 * Counters of quotas, shared by all lanes of a node.
 *
 * Windows are fixed and aligned as Sentry aligns them: window n of an organisation runs from `n * window + shift`, where
 * the shift is its id modulo the window, so that not all organisations start over in the same second. What would go
 * beyond the limit is refused and not counted, so a node never admits more than the limit per window.
 *
 * With a store that nodes share (`quota_store.ts`) what the others admitted counts as well, as of the last exchange.
 *
 * Clock jumps: a lane whose clock is one window behind counts in the newer one; a clock that falls back further starts
 * the window of its time anew. No refusal lasts longer than one window.
 *
 * Limits: {@link ENTRIES} counters; when there are more, the one unused longest is forgotten, and its window starts
 * over.
 */
import { SharedTable, type Visit } from "../../core/shared_table.ts";
import type { RateLimit } from "../../protocol/rate_limit.ts";
import type { CountedQuota, ScopeIds } from "./quota.ts";

const ENTRIES = 65_536;

/** Numbers of a counter: window, admitted by this node in it, admitted by others in it. */
const WINDOW = 0;
const OWN = 1;
const OTHERS = 2;
const CELLS = 3;

/** What is to be counted together, all of it or nothing. */
export interface QuotaCharge {
  readonly quota: CountedQuota;
  readonly quantity: number;
}

/** What this node admitted within one window of one quota, for other nodes. */
export interface QuotaUsage {
  /** Names the counter; the same on all nodes. */
  readonly name: string;
  readonly window: number;
  readonly windowEndMs: number;
  readonly quantity: number;
}

/** How a quota stands in a window. Plain data. */
export interface QuotaStanding {
  /** Names the counter; the same on all nodes. */
  readonly name: string;
  readonly window: number;
  /** Admitted by this node in the window, and by others as of the last exchange. */
  readonly own: number;
  readonly others: number;
}

/** Counters of one isolate over the shared memory. */
export class QuotaCounters {
  readonly #table: SharedTable;
  /** Told of everything admitted. */
  onUsage: ((usage: QuotaUsage) => void) | null = null;
  /** What the visits below are about. */
  #window = 0;
  #limit = 0;

  constructor(buffer?: SharedArrayBuffer) {
    this.#table = buffer
      ? SharedTable.attach(buffer)
      : SharedTable.create({ entries: ENTRIES, cells: CELLS });
  }

  get buffer(): SharedArrayBuffer {
    return this.#table.buffer;
  }

  /** Counts all charges, or none and says which limit forbids it and until when. */
  take(charges: readonly QuotaCharge[], ids: ScopeIds, nowMs: number): RateLimit | null {
    for (const [index, charge] of charges.entries()) {
      if (this.#add(charge, ids, nowMs)) continue;
      for (const taken of charges.slice(0, index)) {
        this.#add({ ...taken, quantity: -taken.quantity }, ids, nowMs);
      }
      return limitOf(charge.quota, ids, nowMs);
    }
    if (this.onUsage) {
      for (const { quota, quantity } of charges) this.onUsage(usageOf(quota, ids, quantity, nowMs));
    }
    return null;
  }

  /** Learns what other nodes admitted. */
  learn(name: string, window: number, others: number, nowMs: number): void {
    this.#window = window;
    this.#table.visit(name, nowMs, this.#learnOthers, others);
  }

  /** How a quota stands now; counts nothing. */
  standing(quota: CountedQuota, ids: ScopeIds, nowMs: number): QuotaStanding {
    const name = counterName(quota, ids);
    this.#window = windowOf(quota, ids, nowMs);
    const read = (cell: number) => this.#table.visit(name, nowMs, this.#read, cell);
    return { name, window: this.#window, own: read(OWN), others: read(OTHERS) };
  }

  /** Takes over how a quota stood elsewhere. */
  restore({ name, window, own, others }: QuotaStanding, nowMs: number): void {
    this.#window = window;
    this.#table.update(name, nowMs, this.#restoreOwn, own);
    this.learn(name, window, others, nowMs);
  }

  #add({ quota, quantity }: QuotaCharge, ids: ScopeIds, nowMs: number): boolean {
    this.#window = windowOf(quota, ids, nowMs);
    this.#limit = quota.limit;
    return this.#table.update(counterName(quota, ids), nowMs, this.#count, quantity) === 1;
  }

  readonly #count: Visit = (cells, at, quantity) => {
    const current = cells[at + WINDOW]!;
    if (this.#window !== current && this.#window !== current - 1) {
      cells[at + WINDOW] = this.#window;
      cells[at + OWN] = 0;
      cells[at + OTHERS] = 0;
    }
    const total = cells[at + OWN]! + quantity;
    const isWithin = quantity < 0 || total + cells[at + OTHERS]! <= this.#limit;
    if (isWithin) cells[at + OWN] = Math.max(0, total);
    return isWithin ? 1 : 0;
  };

  /** A window that is over counts nothing; of a newer one a clock one window behind is told, as it counts there. */
  readonly #read: Visit = (cells, at, cell) => {
    const current = cells[at + WINDOW]!;
    return this.#window === current || this.#window === current - 1 ? cells[at + cell]! : 0;
  };

  readonly #restoreOwn: Visit = (cells, at, own) => {
    cells[at + WINDOW] = this.#window;
    cells[at + OWN] = own;
    cells[at + OTHERS] = 0;
    return 0;
  };

  readonly #learnOthers: Visit = (cells, at, others) => {
    if (cells[at + WINDOW] === this.#window) cells[at + OTHERS] = others;
    return 0;
  };
}

/** Which window of the quota it is. */
export function windowOf({ windowSeconds }: CountedQuota, ids: ScopeIds, nowMs: number): number {
  return Math.floor((Math.floor(nowMs / 1000) - shiftOf(windowSeconds, ids)) / windowSeconds);
}

function windowEndMs(quota: CountedQuota, ids: ScopeIds, nowMs: number): number {
  const window = windowOf(quota, ids, nowMs);
  return ((window + 1) * quota.windowSeconds + shiftOf(quota.windowSeconds, ids)) * 1000;
}

function shiftOf(windowSeconds: number, { organization }: ScopeIds): number {
  return organization !== null && /^\d{1,15}$/.test(organization) ? Number(organization) % windowSeconds : 0;
}

/** Who shares the counter, by the narrowest id that is known. */
function counterName({ id, scope }: CountedQuota, ids: ScopeIds): string {
  return `${id}:${scope}:${ids[scope] ?? `${ids.project ?? ""}/${ids.key ?? ""}`}`;
}

function usageOf(quota: CountedQuota, ids: ScopeIds, quantity: number, nowMs: number): QuotaUsage {
  return {
    name: counterName(quota, ids),
    window: windowOf(quota, ids, nowMs),
    windowEndMs: windowEndMs(quota, ids, nowMs),
    quantity,
  };
}

function limitOf(quota: CountedQuota, ids: ScopeIds, nowMs: number): RateLimit {
  const { categories, scope, reason } = quota;
  return { categories, scope, reason, namespaces: [], expiresAtMs: windowEndMs(quota, ids, nowMs) };
}
