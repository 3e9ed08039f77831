/**
 * Client reports: how the upstream learns of outcomes. One envelope per project, with one item.
 *
 * Source: control reference, section 10. Filtered, sampled and limited have lists of their own, which only relays send;
 * everything else is discarded.
 */
import { utf8 } from "../core/bytes.ts";
import { buildEnvelope } from "../protocol/envelope.ts";
import { isSampled } from "./count_outcomes.ts";
import type { OutcomeScope, OutcomeSum } from "./outcome_ledger.ts";

/** A client report as it goes to the upstream. */
export interface ClientReport extends OutcomeScope {
  /** Envelope, as chunks. */
  readonly body: readonly Uint8Array[];
  /** How much it tells of. */
  readonly quantity: number;
}

type List = "discarded_events" | "rate_limited_events" | "filtered_events" | "filtered_sampling_events";

/** One report per key and project. */
export function clientReports(sums: readonly OutcomeSum[], nowMs: number): ClientReport[] {
  const byScope = Map.groupBy(sums, ({ key, projectId }) => `${key} ${projectId}`);
  return [...byScope.values()].map((sums) => {
    const lists: Partial<Record<List, object[]>> = {};
    for (const sum of sums) {
      const { reason, category, quantity } = sum;
      (lists[listOf(sum)] ??= []).push({ reason, category, quantity });
    }
    const payload = utf8(JSON.stringify({ timestamp: Math.floor(nowMs / 1000), ...lists }));
    const { key, projectId } = sums[0]!;
    return {
      key,
      projectId,
      body: buildEnvelope({}, [{ headers: { type: "client_report" }, payload }]),
      quantity: sums.reduce((total, { quantity }) => total + quantity, 0),
    };
  });
}

function listOf({ outcome, reason }: OutcomeSum): List {
  if (outcome === "rate_limited") return "rate_limited_events";
  if (outcome !== "filtered") return "discarded_events";
  return isSampled(reason) ? "filtered_sampling_events" : "filtered_events";
}
