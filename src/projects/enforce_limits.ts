/**
 * What rate limits take out of an envelope.
 *
 * Source: ingestion reference, section 5.5; control reference, section 6 ("Enforcement on the fast path"). An event
 * that is limited takes every item with it that requires the event. Crash attachments make the event and stay, and the
 * limit on them is not reported. Limits on items that were not sent are not looked at.
 */
import type { DataCategory } from "../protocol/data_category.ts";
import type { EnvelopeItem } from "../protocol/envelope.ts";
import { createsEvent, itemQuantities, limitCategories, type Quantity } from "../protocol/item_type.ts";
import { limitApplies, type RateLimit } from "../protocol/rate_limit.ts";

/** Quantity that a limit removed. */
export interface LimitedQuantity {
  readonly category: DataCategory;
  readonly quantity: number;
  readonly reason: string | null;
}

/** Result of {@link enforceLimits}. */
export interface Enforcement {
  readonly kept: readonly EnvelopeItem[];
  /** Limits to announce to the client, each once. */
  readonly applied: readonly RateLimit[];
  readonly dropped: readonly LimitedQuantity[];
}

/** Holds items against limits; without a match the items come back as they are. */
export function enforceLimits(
  items: readonly EnvelopeItem[],
  limits: readonly RateLimit[],
  nowMs: number,
): Enforcement {
  const matching = (categories: readonly DataCategory[]): RateLimit | null => {
    for (const category of categories) {
      const limit = limits.find((limit) => limitApplies(limit, category, nowMs));
      if (limit) return limit;
    }
    return null;
  };
  const hits = limits.length === 0 ? [] : items.map((item) => matching(limitCategories(item)));
  const event = items.find(createsEvent);
  const eventLimit = event ? matching(event.type.createsEvent ? event.type.limitedBy : ["error"]) : null;
  if (eventLimit === null && hits.every((hit) => hit === null)) {
    return { kept: items, applied: [], dropped: [] };
  }
  const kept: EnvelopeItem[] = [];
  const applied = new Set<RateLimit>();
  const dropped: LimitedQuantity[] = [];
  for (const [index, item] of items.entries()) {
    const hit = item.type.requiresEvent && eventLimit ? eventLimit : hits[index]!;
    if (hit === null || !eventLimit && isCrashAttachment(item)) {
      kept.push(item);
      continue;
    }
    applied.add(hit);
    if (!item.type.removedWhenLimited) {
      kept.push(item);
      continue;
    }
    for (const [category, quantity] of itemQuantities(item)) {
      dropped.push({ category, quantity, reason: hit.reason });
    }
  }
  return { kept, applied: [...applied], dropped };
}

/** Limits that hold for any of the categories; for records that are kept or dropped as a whole. */
export function matchingLimits(
  quantities: readonly Quantity[],
  limits: readonly RateLimit[],
  nowMs: number,
): readonly RateLimit[] {
  if (limits.length === 0) return limits;
  return limits.filter((limit) => quantities.some(([category]) => limitApplies(limit, category, nowMs)));
}

function isCrashAttachment(item: EnvelopeItem): boolean {
  return item.type.type === "attachment" && createsEvent(item);
}
