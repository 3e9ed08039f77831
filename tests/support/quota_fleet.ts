/** Nodes of several lanes that share quotas through a store in memory, which can be made to fail. */
import { QuotaExchange, type QuotaStore, type WindowSum } from "../../src/control/quota_exchange.ts";
import { QuotaUsageTeller } from "../../src/lane/quota_usage.ts";
import type { CountedQuota } from "../../src/projects/quotas/quota.ts";
import type { RateLimit } from "../../src/protocol/rate_limit.ts";
import { METRIC_LAYOUT, METRICS } from "../../src/telemetry/catalogue.ts";
import { Metrics } from "../../src/telemetry/registry.ts";
import { ManualClock } from "./manual_clock.ts";

/** Organisation 7 shifts windows by seven seconds. */
export const IDS = { organization: "7", project: "42", key: "9" };

/**
 * What a store does when it is asked.
 * - `away`: refuses
 * - `silent`: never answers
 * - `forgetful`: takes what it is told, and the answer is lost
 */
export type StoreMood = "well" | "away" | "silent" | "forgetful";

/** The store that all nodes of a fleet reach. */
export class MemoryStore {
  mood: StoreMood = "well";
  /** What it answers in place of the totals. */
  rubbish: readonly unknown[] | null = null;
  /** What its answers wait for. */
  gate: Promise<void> = Promise.resolve();
  readonly windows = new Map<string, Map<string, number>>();
  /** Windows of each exchange. */
  readonly batches: WindowSum[][] = [];
  /** Connections that are open, and attempts that were given up. */
  open = 0;
  givenUp = 0;

  readonly connect = (signal: AbortSignal): Promise<QuotaStore> => {
    if (this.mood === "away") return Promise.reject(new Error("refused"));
    if (this.mood === "silent") {
      signal.addEventListener("abort", () => this.givenUp++);
      return new Promise(() => {});
    }
    this.open++;
    return Promise.resolve({ exchange: (sums) => this.#exchange(sums), close: () => void this.open-- });
  };

  /** What all nodes have told of all windows. */
  get total(): number {
    return [...this.windows.keys()].reduce((sum, name) => sum + this.#totalOf(name), 0);
  }

  #totalOf(name: string): number {
    return [...this.windows.get(name)!.values()].reduce((a, b) => a + b, 0);
  }

  #exchange(sums: readonly WindowSum[]): Promise<readonly number[]> {
    if (this.mood === "away") return Promise.reject(new Error("refused"));
    this.batches.push([...sums]);
    for (const { name, field, quantity } of sums) {
      const fields = this.windows.get(name) ?? new Map<string, number>();
      this.windows.set(name, fields.set(field, quantity));
    }
    if (this.mood === "silent") return new Promise(() => {});
    if (this.mood === "forgetful") return Promise.reject(new Error("reset"));
    if (this.rubbish) return Promise.resolve(this.rubbish as readonly number[]);
    const totals = sums.map(({ name }) => this.#totalOf(name));
    return this.gate.then(() => totals);
  }
}

/** A node of the fleet. */
export class FleetNode {
  readonly metrics = new Metrics(METRIC_LAYOUT);
  readonly exchange: QuotaExchange;
  readonly lanes: readonly QuotaUsageTeller[];
  admitted = 0;

  constructor(readonly clock: ManualClock, store: MemoryStore | null, lanes: number) {
    this.exchange = new QuotaExchange({ clock, metrics: this.metrics, open: store && store.connect });
    const tell = store && ((usage: Parameters<QuotaExchange["include"]>[0]) => this.exchange.include(usage));
    this.lanes = Array.from({ length: lanes }, () => new QuotaUsageTeller(this.exchange.buffer, clock, tell));
  }

  /** Null when it was admitted. */
  take(quota: CountedQuota, quantity = 1, lane = 0): RateLimit | null {
    const limit = this.lanes[lane]!.counters.take([{ quota, quantity }], IDS, this.clock.now());
    if (limit === null) this.admitted += quantity;
    return limit;
  }

  /** Takes one at a time until it is refused; how many it took, at most `max`. */
  exhaust(quota: CountedQuota, max = 1000): number {
    let taken = 0;
    while (taken < max && this.take(quota) === null) taken++;
    return taken;
  }

  exchanges(result: "ok" | "error"): number {
    return this.metrics.read(METRICS.quotaExchanges, result);
  }

  get isAway(): boolean {
    return this.exchange.notes.length > 0;
  }

  /** Ends it as a drain does, in whatever time that takes. */
  async stop(): Promise<void> {
    for (const lane of this.lanes) lane.close();
    const stopped = this.exchange.stop();
    await this.clock.advance(60_000);
    await stopped;
  }
}

/** Some nodes over one store. */
export class Fleet {
  readonly clock = new ManualClock(Date.UTC(2026, 0, 1) + 10_000);
  readonly store = new MemoryStore();
  readonly nodes: readonly FleetNode[];

  constructor(nodes: number, lanes = 1) {
    this.nodes = Array.from({ length: nodes }, () => new FleetNode(this.clock, this.store, lanes));
  }

  get admitted(): number {
    return this.nodes.reduce((sum, { admitted }) => sum + admitted, 0);
  }

  /** Until every node has told the store what it admitted, and heard of the others. */
  async settle(): Promise<void> {
    await this.clock.advance(400);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const node of this.nodes) await node.stop();
  }
}
