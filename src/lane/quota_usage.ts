/** What a half admitted by quotas, told to the control plane in batches where nodes share them. */
import type { Clock, Timer } from "../core/clock.ts";
import { QuotaCounters, type QuotaUsage } from "../projects/quotas/quota_counters.ts";

const BATCH_MS = 100;

/** Counters of a half, with a gatherer of what they admit. */
export class QuotaUsageTeller {
  readonly counters: QuotaCounters;
  readonly #sums = new Map<string, QuotaUsage>();
  #timer: Timer | null = null;

  /** @param tell null when nobody wants to know */
  constructor(
    buffer: SharedArrayBuffer,
    readonly clock: Clock,
    readonly tell: ((usage: readonly QuotaUsage[]) => void) | null,
  ) {
    this.counters = new QuotaCounters(buffer);
    if (tell) this.counters.onUsage = (usage) => this.#include(usage);
  }

  /** Tells what is left. */
  close(): void {
    this.#timer?.cancel();
    this.#flush();
  }

  #include(usage: QuotaUsage): void {
    const name = `${usage.name}:${usage.window}`;
    const quantity = (this.#sums.get(name)?.quantity ?? 0) + usage.quantity;
    this.#sums.set(name, { ...usage, quantity });
    this.#timer ??= this.clock.after(BATCH_MS, () => this.#flush());
  }

  #flush(): void {
    this.#timer = null;
    if (this.#sums.size > 0) this.tell?.([...this.#sums.values()]);
    this.#sums.clear();
  }
}
