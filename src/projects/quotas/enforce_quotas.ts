/**
 * What quotas that count take out of an envelope.
 *
 * The rules of removal are those of rate limits (control reference, section 6): an event that is refused takes every
 * item with it that requires the event, and items that limits only announce are neither counted nor removed. Counted is
 * by the categories whose limits hold for an item, in the unit of the category.
 */
import type { DataCategory } from "../../protocol/data_category.ts";
import type { EnvelopeItem } from "../../protocol/envelope.ts";
import { createsEvent, itemQuantities, limitCategories, type Quantity } from "../../protocol/item_type.ts";
import type { RateLimit } from "../../protocol/rate_limit.ts";
import type { Enforcement, LimitedQuantity } from "../enforce_limits.ts";
import type { CountedQuota, ScopeIds } from "./quota.ts";
import type { QuotaCharge, QuotaCounters } from "./quota_counters.ts";

/** What is counted, for whom, and where. */
export interface Counting {
  readonly quotas: readonly CountedQuota[];
  readonly ids: ScopeIds;
  readonly counters: QuotaCounters;
}

/** Counts quantities that are taken or refused together; the limit of the quota they go beyond, or `null`. */
export function takeQuantities(
  quantities: readonly Quantity[],
  { quotas, ids, counters }: Counting,
  nowMs: number,
): RateLimit | null {
  const charges = chargesOf(quotas, quantities);
  return charges.length === 0 ? null : counters.take(charges, ids, nowMs);
}

/** Counts the items, and takes out what goes beyond a quota. */
export function enforceQuotas(
  items: readonly EnvelopeItem[],
  counting: Counting,
  nowMs: number,
): Enforcement {
  const take = (quantities: readonly Quantity[]) => takeQuantities(quantities, counting, nowMs);
  const event = items.find(({ type }) => type.createsEvent) ?? items.find(createsEvent);
  const eventLimit = event ? take(event.type.createsEvent ? limitedQuantities(event) : [["error", 1]]) : null;
  const kept: EnvelopeItem[] = [];
  const applied = new Set<RateLimit>();
  const dropped: LimitedQuantity[] = [];
  for (const item of items) {
    const isEvent = item === event && item.type.createsEvent;
    const hit = eventLimit && item.type.requiresEvent
      ? eventLimit
      : isEvent || !item.type.removedWhenLimited || createsEvent(item)
      ? null
      : take(limitedQuantities(item));
    if (hit === null) {
      kept.push(item);
      continue;
    }
    applied.add(hit);
    for (const [category, quantity] of itemQuantities(item)) {
      dropped.push({ category, quantity, reason: hit.reason });
    }
  }
  return dropped.length === 0 && applied.size === 0 ? { kept: items, applied: [], dropped } : {
    kept,
    applied: [...applied],
    dropped,
  };
}

/** Quantities in the categories by which the item is limited. */
function limitedQuantities(item: EnvelopeItem): readonly Quantity[] {
  const categories = limitCategories(item);
  return itemQuantities(item).filter(([category]) => categories.includes(category));
}

/** What each quota has to count. */
function chargesOf(quotas: readonly CountedQuota[], quantities: readonly Quantity[]): QuotaCharge[] {
  const counts = (quota: CountedQuota, category: DataCategory): boolean =>
    quota.categories.includes(category);
  return quotas.flatMap((quota) => {
    const quantity = quantities.reduce((sum, [category, n]) => counts(quota, category) ? sum + n : sum, 0);
    return quantity > 0 ? [{ quota, quantity }] : [];
  });
}
