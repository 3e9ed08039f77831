/** Accounting for what did, and did not, reach the upstream. */
import type { Quantity } from "../protocol/item_type.ts";
import type { Outcome, Reason } from "../protocol/outcome.ts";
import { METRICS } from "../telemetry/catalogue.ts";
import type { Metrics } from "../telemetry/registry.ts";

/**
 * Counts quantities under an outcome. Items that no category stands for (client reports, unknown types) are counted
 * once as `default`, so that nothing disappears without a trace.
 *
 * @param reason a reason of this node, or a code that an upstream or a quota made up, which is counted as `other`
 */
export function countOutcomes(
  metrics: Metrics,
  outcome: Outcome,
  reason: Reason | (string & Record<never, never>),
  quantities: readonly Quantity[],
): void {
  const label = isSampled(reason) ? "sampled" : reason;
  if (quantities.length === 0) metrics.add(METRICS.outcomes, 1, outcome, label, "default");
  for (const [category, quantity] of quantities) {
    metrics.add(METRICS.outcomes, quantity, outcome, label, category);
  }
}

/** Whether the reason is that of dynamic sampling, which names its rules. */
export function isSampled(reason: string): boolean {
  return reason.startsWith("Sampled:");
}
