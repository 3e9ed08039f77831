/**
 * Quotas shared by the nodes of a PoP, through a store that all of them reach (`quotas.store`).
 *
 * Lanes count in the node's shared memory and tell what they admitted in batches; every {@link INTERVAL_MS} this node's
 * sums of the windows that changed go to the store, and those of the other nodes come back into the shared memory. The
 * store is never on the way of an envelope.
 *
 * Each node writes its own sum of a window into a field of its own, so that an exchange whose answer got lost can be
 * repeated: nothing is counted twice, and nothing forgotten. A window that comes back after it was over, because a clock
 * was set, gets another field, so that what was told before stays.
 *
 * Accuracy: a node learns of the others when it tells of itself, so all of them together may admit beyond the limit
 * what they admit until then, within about half a second. While the store is away every node
 * enforces the limit for itself, which is at most the limit times the nodes; what it admitted meanwhile is told later.
 *
 * Limits: {@link WINDOWS_MAX} windows are followed; of more the node counts for itself.
 */
import type { LoadedConfig } from "../config/load_config.ts";
import { Backoff } from "../core/backoff.ts";
import type { Clock } from "../core/clock.ts";
import { QuotaCounters, type QuotaUsage } from "../projects/quotas/quota_counters.ts";
import { METRICS } from "../telemetry/catalogue.ts";
import { logger } from "../telemetry/log.ts";
import type { Metrics } from "../telemetry/registry.ts";
import { openRedisStore } from "./redis_store.ts";

const log = logger("quotas");

const INTERVAL_MS = 200;
const EXCHANGE_MS_MAX = 2000;
/** For a connection; longer, because a node that starts keeps this isolate busy for seconds. */
const OPEN_MS_MAX = 10_000;
const RETRY_MS_MAX = 5000;
const WINDOWS_MAX = 65_536;
/** Windows per round trip. */
const BATCH_MAX = 1000;
/** How long a window stays in the store after its end, because clocks of nodes differ. */
const KEEP_MS = 60_000;

/** A node's sum of one window. */
export interface WindowSum {
  /** Names quota, owner and window; the same on all nodes. */
  readonly name: string;
  /** Whose sum it is: replaces what was written under this name before. */
  readonly field: string;
  readonly quantity: number;
  readonly keepMs: number;
}

/** A store that nodes share. */
export interface QuotaStore {
  /** Writes sums of a node; the totals of all fields, in the same order. Rejects when the store is away. */
  exchange(sums: readonly WindowSum[]): Promise<readonly number[]>;
  close(): void;
}

interface OwnWindow {
  readonly usage: QuotaUsage;
  readonly field: string;
  sum: number;
}

/** Options of {@link QuotaExchange}. */
export interface QuotaExchangeOptions {
  readonly clock: Clock;
  readonly metrics: Metrics;
  /** Connects to the store, unless the signal gives up before; null when nothing is shared. */
  readonly open: ((signal: AbortSignal) => Promise<QuotaStore>) | null;
}

/** Counters of a node's quotas, and their exchange with other nodes. */
export class QuotaExchange {
  readonly #o: QuotaExchangeOptions;
  /** Of the node, over the memory that all lanes share. */
  readonly counters = new QuotaCounters();
  readonly #node = crypto.randomUUID();
  readonly #windows = new Map<string, OwnWindow>();
  readonly #changed = new Set<string>();
  #fields = 0;
  readonly #stop = new AbortController();
  readonly #backoff = new Backoff({ baseMs: INTERVAL_MS, factor: 2, maxMs: RETRY_MS_MAX, jitter: 0.3 });
  #store: QuotaStore | null = null;
  #isAway = false;
  #running: Promise<void> | null = null;

  constructor(options: QuotaExchangeOptions) {
    this.#o = options;
    if (options.open) this.#running = this.#run();
  }

  /** Shared memory of the counters, for the lanes. */
  get buffer(): SharedArrayBuffer {
    return this.counters.buffer;
  }

  /** What operators should know, in words. */
  get notes(): readonly string[] {
    return this.#isAway ? ["the store of quotas is away: they are counted by this node alone"] : [];
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#running;
    this.#store?.close();
  }

  /** Takes what lanes admitted. */
  include(usages: readonly QuotaUsage[]): void {
    for (const usage of usages) {
      const name = `${usage.name}:${usage.window}`;
      const known = this.#windows.get(name);
      if (known) known.sum += usage.quantity;
      else if (this.#windows.size < WINDOWS_MAX) {
        const field = `${this.#node}/${this.#fields++}`;
        this.#windows.set(name, { usage, field, sum: usage.quantity });
      } else continue;
      this.#changed.add(name);
    }
  }

  async #run(): Promise<void> {
    const { signal } = this.#stop;
    const { clock } = this.#o;
    while (!signal.aborted) {
      await clock.sleep(this.#isAway ? this.#backoff.next() : INTERVAL_MS, signal);
      this.#forgetOver();
      if (signal.aborted || this.#store && this.#changed.size === 0) continue;
      await this.#exchange();
    }
    // What was admitted last is told, too, so that the others need not learn it from a node that comes back.
    if (this.#store && this.#changed.size > 0) await this.#exchange();
  }

  async #exchange(): Promise<void> {
    const { metrics } = this.#o;
    try {
      if (this.#store === null) {
        this.#store = await this.#open();
        // It may have forgotten everything.
        for (const name of this.#windows.keys()) this.#changed.add(name);
      }
      while (this.#changed.size > 0) await this.#exchangeSome([...this.#changed].slice(0, BATCH_MAX));
      if (this.#isAway) log.info("quotas are shared again");
      this.#isAway = false;
      this.#backoff.reset();
      metrics.add(METRICS.quotaExchanges, 1, "ok");
    } catch (error) {
      this.#store?.close();
      this.#store = null;
      if (!this.#isAway) {
        log.error("the store of quotas is away, this node counts for itself: {error}", { error });
      }
      this.#isAway = true;
      metrics.add(METRICS.quotaExchanges, 1, "error");
    }
    metrics.set(METRICS.quotaStoreUp, this.#isAway ? 0 : 1);
  }

  async #open(): Promise<QuotaStore> {
    const givingUp = new AbortController();
    try {
      return await this.#within(OPEN_MS_MAX, this.#o.open!(givingUp.signal));
    } catch (error) {
      givingUp.abort();
      throw error;
    }
  }

  async #exchangeSome(names: readonly string[]): Promise<void> {
    const nowMs = this.#o.clock.now();
    const windows = names.map((name) => this.#windows.get(name)!);
    const sums = windows.map(({ usage, field, sum }, index): WindowSum => ({
      name: names[index]!,
      field,
      quantity: sum,
      keepMs: Math.max(0, usage.windowEndMs - nowMs) + KEEP_MS,
    }));
    const totals = await this.#within(EXCHANGE_MS_MAX, this.#store!.exchange(sums));
    const isReadable = totals.length === sums.length &&
      totals.every((total) => Number.isFinite(total) && total >= 0);
    if (!isReadable) throw new Error("the store answers with what are no sums");
    for (const [index, { usage, sum }] of windows.entries()) {
      const { quantity, name } = sums[index]!;
      this.counters.learn(usage.name, usage.window, Math.max(0, totals[index]! - quantity), nowMs);
      if (sum === quantity) this.#changed.delete(name);
    }
  }

  /** A store that does not answer is away. */
  async #within<T>(limitMs: number, promise: Promise<T>): Promise<T> {
    const late = Promise.withResolvers<never>();
    const timer = this.#o.clock.after(limitMs, () => late.reject(new Error("no answer in time")));
    try {
      return await Promise.race([promise, late.promise]);
    } finally {
      timer.cancel();
    }
  }

  #forgetOver(): void {
    const nowMs = this.#o.clock.now();
    for (const [name, { usage }] of this.#windows) {
      if (usage.windowEndMs + KEEP_MS > nowMs) continue;
      this.#windows.delete(name);
      this.#changed.delete(name);
    }
  }
}

/** Counters of quotas, shared through `quotas.store` if there is one. */
export function sharedQuotas({ config }: LoadedConfig, clock: Clock, metrics: Metrics): QuotaExchange {
  const { store, storeCa } = config.quotas;
  const open = store === null ? null : (signal: AbortSignal) => openRedisStore(store, storeCa, signal);
  return new QuotaExchange({ clock, metrics, open });
}
