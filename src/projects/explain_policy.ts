/** What the checks of a project say about one envelope, in their order, each with its reason. */
import type { Envelope, EnvelopeItem } from "../protocol/envelope.ts";
import type { RequestMeta } from "../protocol/request_meta.ts";
import type { Admission } from "./admission.ts";
import { enforceLimits } from "./enforce_limits.ts";
import type { ItemPolicy, ItemVerdict } from "./item_policy.ts";
import { sampledReason } from "./sampling/sampler.ts";
import { traceRoot } from "./sampling/trace_root.ts";

/** One check. */
export interface PolicyStep {
  readonly check: "project" | "limits" | "filters" | "sampling" | "quotas";
  readonly verdict: "pass" | "refused" | "removes" | "waits";
  /** Why, in words. */
  readonly detail: string;
  /** Types of the items that are left after it. */
  readonly left: readonly string[];
}

/** Asks all checks until one leaves nothing. Quotas are asked as if nothing had been counted in this window. */
export function explainPolicy(
  { meta, envelope }: { readonly meta: RequestMeta; readonly envelope: Envelope },
  { admission, policy }: { readonly admission: Admission; readonly policy: ItemPolicy },
  nowMs: number,
): PolicyStep[] {
  const steps: PolicyStep[] = [];
  let items: readonly EnvelopeItem[] = envelope.items;
  const step = (check: PolicyStep["check"], kept: readonly EnvelopeItem[], detail: string): void => {
    const verdict = kept.length < items.length ? "removes" : "pass";
    items = kept;
    steps.push({ check, verdict, detail, left: kept.map(({ type }) => type.type) });
  };
  const { required_features: requiredFeatures } = envelope.headers;
  const verdict = admission.decide(requiredFeatures ? { ...meta, requiredFeatures } : meta, nowMs);
  if (verdict.kind === "refused") {
    return [{
      check: "project",
      verdict: "refused",
      detail: `${verdict.name} (${verdict.reason})`,
      left: [],
    }];
  }
  if (verdict.kind === "pending") {
    const detail = "the state of the project is not known; the record waits for it";
    return [{ check: "project", verdict: "waits", detail, left: [] }];
  }
  const { state, limits, projectId } = verdict;
  step(
    "project",
    items,
    state ? `project ${projectId} is open` : "nothing is known of the project; it is forwarded",
  );

  const limited = enforceLimits(items, limits, nowMs);
  const reasons = limited.applied.map(({ reason, scope }) => `${reason ?? "no reason"} (${scope})`);
  step("limits", limited.kept, reasons.join(", ") || "none applies");
  if (state === null) return steps;

  const { key, eventId, remoteAddr, userAgent } = meta;
  const policed = () => ({ envelope, items, key, eventId, remoteAddr, userAgent });
  const stateOf = (key: string) => admission.stateOf(key);
  const filtered = policy.filter(policed(), state);
  step("filters", filtered.kept, reasonsOf(filtered) || "none matches");

  const decision = policy.samplingDecision(policed(), state, stateOf, nowMs);
  const sampled = policy.sample(policed(), state, stateOf, nowMs);
  const sampling = decision.kind === "no_match"
    ? "no rule applies"
    : `${decision.kind}, rate ${decision.rate}, rules ${decision.ruleIds.join(",")}, ${
      sampledReason(decision.ruleIds)
    }`;
  const root = traceRoot(envelope, items, key);
  const awaited = root !== null && admission.projects.lookup(root).kind === "pending"
    ? `; waits for the rules of the project its trace began in, ${root}`
    : "";
  step("sampling", sampled.kept, sampling + awaited);

  const counted = policy.count(policed(), state, nowMs);
  const quotas = state.countedQuotas.map(({ id, limit, windowSeconds }) =>
    `${id}: ${limit} in ${windowSeconds} s`
  );
  step("quotas", counted.kept, reasonsOf(counted) || quotas.join(", ") || "none counts");
  return steps;
}

function reasonsOf({ dropped }: ItemVerdict): string {
  return [...new Set(dropped.map(({ reason }) => reason ?? "no reason"))].join(", ");
}
