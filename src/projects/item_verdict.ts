/** What policy says to the items of an envelope: what is left, and what became of the rest. */
import type { Envelope, EnvelopeItem, ScannedEnvelope } from "../protocol/envelope.ts";
import { itemQuantities, type Quantity } from "../protocol/item_type.ts";
import type { RateLimit } from "../protocol/rate_limit.ts";
import type { LimitedQuantity } from "./enforce_limits.ts";

/** What is policed. */
export interface PolicedEnvelope {
  readonly envelope: Pick<Envelope, "bytes" | "headers"> & Partial<Pick<ScannedEnvelope, "payloads">>;
  readonly items: readonly EnvelopeItem[];
  readonly key: string;
  /** 32 hex digits or null. */
  readonly eventId: string | null;
  /** Address and user agent of the client. */
  readonly remoteAddr: string;
  readonly userAgent: string | null;
}

/** Quantity that was taken out; its reason is the name of a filter, `Sampled:<rules>`, or the reason code of a quota. */
export interface PolicedQuantity extends LimitedQuantity {
  readonly outcome: "filtered" | "rate_limited";
}

/** What is left, and what became of the rest. */
export interface ItemVerdict {
  /** Items of the envelope, or what is left of them. */
  readonly kept: readonly EnvelopeItem[];
  readonly dropped: readonly PolicedQuantity[];
  /** Limits to announce to the client. */
  readonly applied: readonly RateLimit[];
}

/** What is left of an item, and the quantities that were taken out of it, by reason. */
export interface ItemCut {
  readonly kept: EnvelopeItem | null;
  readonly dropped: readonly (readonly [reason: string, quantities: readonly Quantity[]])[];
}

/** No rules, no limits. */
export const NOTHING: readonly never[] = [];

/** Everything stays. */
export function pass(items: readonly EnvelopeItem[]): ItemVerdict {
  return { kept: items, dropped: NOTHING, applied: NOTHING };
}

/** Takes out the items, or parts of items, for which there is a reason. */
export function takeOut(
  items: readonly EnvelopeItem[],
  outcome: PolicedQuantity["outcome"],
  judge: (item: EnvelopeItem) => string | ItemCut | null,
): ItemVerdict {
  const kept: EnvelopeItem[] = [];
  const dropped: PolicedQuantity[] = [];
  for (const item of items) {
    const verdict = judge(item);
    if (verdict === null) {
      kept.push(item);
      continue;
    }
    const cut = typeof verdict === "string"
      ? { kept: null, dropped: [[verdict, itemQuantities(item)] as const] }
      : verdict;
    if (cut.kept) kept.push(cut.kept);
    for (const [reason, quantities] of cut.dropped) {
      for (const [category, quantity] of quantities) dropped.push({ outcome, category, quantity, reason });
    }
  }
  return dropped.length === 0 && kept.length === items.length
    ? pass(items)
    : { kept, dropped, applied: NOTHING };
}
