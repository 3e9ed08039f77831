/**
 * Bans as lanes see them, and the rules that make them.
 *
 * A ban stands in a table that all lanes share, so it holds everywhere at once. The list with names and reasons is the
 * control plane's (`ban_list.ts`), which also takes bans out of the table when they are over; the time in the table
 * is there for a ban whose message the control plane never got.
 *
 * A rule counts refusals of one client within a window that starts with the first of them. Counts belong to what a rule
 * counts, so they go on when the configuration changes how many refusals it takes, or what follows.
 */
import type { Offence } from "../config/guard_kind.ts";
import { SharedTable, type Visit } from "../core/shared_table.ts";

/** A rule: so many refusals within so long, and the client is banned for so long. */
export interface BanRule {
  /** Which refusals count. */
  readonly on: readonly Offence[];
  readonly refusals: number;
  readonly withinMs: number;
  readonly banMs: number;
}

/** Memory that all lanes and the control plane share. */
export interface BanBuffers {
  readonly bans: SharedArrayBuffer;
  readonly offences: SharedArrayBuffer;
}

/** A ban a rule made. */
export interface RuleBan {
  /** As in tables: see `core/address_key.ts`. */
  readonly address: string;
  readonly banMs: number;
  readonly reason: string;
}

const OFFENCE_ENTRIES = 65_536;

/** View on the bans of a node. */
export class BanTable {
  readonly #bans: SharedTable;
  readonly #offences: SharedTable;
  readonly #rules: readonly (BanRule & { readonly id: string })[];

  constructor(buffers: BanBuffers, rules: readonly BanRule[] = []) {
    this.#bans = SharedTable.attach(buffers.bans);
    this.#offences = SharedTable.attach(buffers.offences);
    this.#rules = identified(rules);
  }

  /** Memory for so many bans; offences of `before` are counted on. */
  static createBuffers(bansMax: number, before: BanBuffers | null = null): BanBuffers {
    return {
      // Twice the room: entries are evicted within their bucket.
      bans: SharedTable.create({ entries: 2 * bansMax, cells: 1 }).buffer,
      offences: before?.offences ?? SharedTable.create({ entries: OFFENCE_ENTRIES, cells: 2 }).buffer,
    };
  }

  /** Whether nobody is banned, which is known without looking for anybody. */
  get isEmpty(): boolean {
    return this.#bans.used === 0;
  }

  has(address: string, nowMs: number): boolean {
    return this.#bans.used > 0 && this.#bans.visit(address, nowMs, read) > nowMs;
  }

  add(address: string, untilMs: number, nowMs: number): void {
    this.#bans.update(address, nowMs, write, untilMs);
  }

  remove(address: string): boolean {
    return this.#bans.remove(address);
  }

  /** Counts a refusal; what is returned is the ban it led to, which holds already. */
  offend(address: string, offence: Offence, nowMs: number): RuleBan | null {
    for (const rule of this.#rules) {
      if (!rule.on.includes(offence)) continue;
      const count = this.#offences.update(`${rule.id} ${address}`, nowMs, countWithin, rule.withinMs);
      if (count < rule.refusals || this.has(address, nowMs)) continue;
      this.add(address, nowMs + rule.banMs, nowMs);
      const reason = `${rule.refusals} refusals (${rule.on.join(", ")}) within ${rule.withinMs / 1000} s`;
      return { address, banMs: rule.banMs, reason };
    }
    return null;
  }
}

/** Rules with names for their counts; those that count the same are told apart by their order. */
function identified(rules: readonly BanRule[]): (BanRule & { readonly id: string })[] {
  const kinds = rules.map(({ on, withinMs }) => `${[...on].sort()} ${withinMs}`);
  return rules.map((rule, index) => {
    const before = kinds.slice(0, index).filter((kind) => kind === kinds[index]).length;
    return { ...rule, id: `${kinds[index]} ${before}` };
  });
}

const read: Visit = (cells, at) => cells[at]!;
const write: Visit = (cells, at, value) => cells[at] = value;

const countWithin: Visit = (cells, at, withinMs, nowMs) => {
  const elapsedMs = nowMs - cells[at + 1]!;
  if (cells[at] === 0 || elapsedMs < 0 || elapsedMs >= withinMs) {
    cells[at + 1] = nowMs;
    return cells[at] = 1;
  }
  return cells[at] = cells[at]! + 1;
};
