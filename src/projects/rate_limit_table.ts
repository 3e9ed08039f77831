/**
 * Rate limits an upstream has announced, by public key, until they expire.
 *
 * Both halves of every lane hold a copy: the forward half learns from a 429, the control plane passes the limits on,
 * and the ingest halves refuse at the edge what would only travel to be refused.
 *
 * Limits: `keysMax` keys, the one learned longest ago goes first; a limit that has expired is dropped when its key is
 * next looked up or learned.
 */
import type { RateLimit } from "../protocol/rate_limit.ts";

const NONE: readonly RateLimit[] = [];

/** Learned rate limits of one isolate. */
export class RateLimitTable {
  readonly #byKey = new Map<string, readonly RateLimit[]>();

  constructor(private readonly keysMax = 10_000) {}

  /** Merges limits into those of a key: same categories, scope and namespaces keep the later expiry. */
  learn(key: string, limits: readonly RateLimit[], nowMs: number): void {
    const merged = new Map<string, RateLimit>();
    for (const limit of [...(this.#byKey.get(key) ?? NONE), ...limits]) {
      if (limit.expiresAtMs <= nowMs) continue;
      const id = `${limit.scope}:${limit.categories.toSorted()}:${limit.namespaces.toSorted()}`;
      const known = merged.get(id);
      if (!known || known.expiresAtMs < limit.expiresAtMs) merged.set(id, limit);
    }
    this.#byKey.delete(key);
    if (merged.size > 0) this.#byKey.set(key, [...merged.values()]);
    if (this.#byKey.size > this.keysMax) this.#byKey.delete(this.#byKey.keys().next().value!);
  }

  /** The limits of a key that have not expired. */
  active(key: string, nowMs: number): readonly RateLimit[] {
    const limits = this.#byKey.get(key);
    if (!limits) return NONE;
    if (limits.every((limit) => limit.expiresAtMs > nowMs)) return limits;
    const left = limits.filter((limit) => limit.expiresAtMs > nowMs);
    if (left.length > 0) this.#byKey.set(key, left);
    else this.#byKey.delete(key);
    return left;
  }

  /** All limits that have not expired, by key. */
  *all(nowMs: number): Generator<{ readonly key: string; readonly limits: readonly RateLimit[] }> {
    for (const key of [...this.#byKey.keys()]) {
      const limits = this.active(key, nowMs);
      if (limits.length > 0) yield { key, limits };
    }
  }
}
