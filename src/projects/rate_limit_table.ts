/**
 * Rate limits an upstream has announced, by whom they hold for, until they expire.
 *
 * A limit on an organisation or a project holds for all its keys once the ids are known from the state of a key; before,
 * and for limits on a key, it holds for the key that met it.
 *
 * Both halves of every lane hold a copy: the forward half learns from a 429, the control plane passes the limits on,
 * and the ingest halves refuse at the edge what would only travel to be refused.
 *
 * Clock: limits end at a wall clock time, because that is what is kept and passed on. When the clock was set back, all ends
 * move back with it, so that no limit holds longer than it was announced for, counted from the last time anybody asked.
 * When it was set forward limits end early, which costs one more 429.
 *
 * Limits: `ownersMax` owners, the one learned longest ago goes first; a limit that has expired is dropped when its owner is
 * next looked up or learned.
 */
import type { RateLimit } from "../protocol/rate_limit.ts";

const NONE: readonly RateLimit[] = [];
/** Steps back that are not worth moving anything for, ms. */
const STEP_MS_MAX = 1000;

/** Ids that a key shares limits by, as far as they are known. */
export interface LimitIds {
  readonly projectId: string | null;
  readonly organizationId: string | null;
}

/** Limits by whom they hold for: `project:<id>`, `organization:<id>`, or the public key. */
export function ownedLimits(
  key: string,
  ids: LimitIds | null,
  limits: readonly RateLimit[],
): { readonly owner: string; readonly limits: readonly RateLimit[] }[] {
  const byOwner = Map.groupBy(limits, ({ scope }) => {
    const id = scope === "key" ? null : ids?.[`${scope}Id`] ?? null;
    return id === null ? key : `${scope}:${id}`;
  });
  return [...byOwner].map(([owner, limits]) => ({ owner, limits }));
}

/** Learned rate limits of one isolate. */
export class RateLimitTable {
  readonly #byOwner = new Map<string, readonly RateLimit[]>();
  #latestMs = -Infinity;

  constructor(private readonly ownersMax = 10_000) {}

  /** Merges limits into those of an owner: same categories, scope and namespaces keep the later expiry. */
  learn(owner: string, limits: readonly RateLimit[], nowMs: number): void {
    this.#follow(nowMs);
    const merged = new Map<string, RateLimit>();
    for (const limit of [...(this.#byOwner.get(owner) ?? NONE), ...limits]) {
      if (limit.expiresAtMs <= nowMs) continue;
      const id = `${limit.scope}:${limit.categories.toSorted()}:${limit.namespaces.toSorted()}`;
      const known = merged.get(id);
      if (!known || known.expiresAtMs < limit.expiresAtMs) merged.set(id, limit);
    }
    this.#byOwner.delete(owner);
    if (merged.size > 0) this.#byOwner.set(owner, [...merged.values()]);
    if (this.#byOwner.size > this.ownersMax) this.#byOwner.delete(this.#byOwner.keys().next().value!);
  }

  /** The limits of an owner that have not expired. */
  active(owner: string, nowMs: number): readonly RateLimit[] {
    this.#follow(nowMs);
    const limits = this.#byOwner.get(owner);
    if (!limits) return NONE;
    if (limits.every((limit) => limit.expiresAtMs > nowMs)) return limits;
    const left = limits.filter((limit) => limit.expiresAtMs > nowMs);
    if (left.length > 0) this.#byOwner.set(owner, left);
    else this.#byOwner.delete(owner);
    return left;
  }

  /** The limits that hold for a key: its own, its project's, its organisation's. */
  activeFor(key: string, ids: LimitIds | null, nowMs: number): readonly RateLimit[] {
    if (this.#byOwner.size === 0) return NONE;
    const own = this.active(key, nowMs);
    if (ids === null) return own;
    const shared = (["project", "organization"] as const).flatMap((scope) => {
      const id = ids[`${scope}Id`];
      return id === null ? NONE : this.active(`${scope}:${id}`, nowMs);
    });
    return shared.length === 0 ? own : [...own, ...shared];
  }

  /** All limits that have not expired, by owner. */
  *all(nowMs: number): Generator<{ readonly owner: string; readonly limits: readonly RateLimit[] }> {
    for (const owner of [...this.#byOwner.keys()]) {
      const limits = this.active(owner, nowMs);
      if (limits.length > 0) yield { owner, limits };
    }
  }

  /** Moves all ends back by as much as the clock was set back since it was last looked at. */
  #follow(nowMs: number): void {
    const backMs = this.#latestMs - nowMs;
    if (backMs > 0 && backMs <= STEP_MS_MAX) return;
    this.#latestMs = nowMs;
    if (!(backMs > 0) || backMs === Infinity) return;
    for (const [owner, limits] of this.#byOwner) {
      this.#byOwner.set(
        owner,
        limits.map((limit) => ({ ...limit, expiresAtMs: limit.expiresAtMs - backMs })),
      );
    }
  }
}
