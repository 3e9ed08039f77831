/**
 * What the checks of a project say about one envelope, or about a body that only the upstream can read, in their order,
 * each with its reason.
 */
import type { Envelope, EnvelopeItem } from "../protocol/envelope.ts";
import { areWhole } from "../protocol/item_container.ts";
import { checkItemLimits } from "../protocol/item_limits.ts";
import type { RateLimit } from "../protocol/rate_limit.ts";
import { RequestError } from "../protocol/request_error.ts";
import type { RequestMeta } from "../protocol/request_meta.ts";
import type { Admission, AdmissionRequest, AdmissionVerdict } from "./admission.ts";
import { enforceLimits, matchingLimits } from "./enforce_limits.ts";
import type { ItemPolicy } from "./item_policy.ts";
import type { PolicedQuantity } from "./item_verdict.ts";
import { policyBy, type PolicyFacts } from "./policy_facts.ts";
import { type ProjectState, scopeIdsOf } from "./project_state.ts";
import { sampledReason } from "./sampling/sampler.ts";
import { traceRoot } from "./sampling/trace_root.ts";

/** One check. */
export interface PolicyStep {
  readonly check: "items" | "project" | "limits" | "sizes" | "filters" | "sampling" | "quotas";
  readonly verdict: "pass" | "refused" | "removes" | "waits";
  /** Why, in words. */
  readonly detail: string;
  /** Types of the items that are left after it; `body` stands for one that is no envelope. */
  readonly left: readonly string[];
}

/** What is explained. */
export interface PolicySubject {
  readonly meta: RequestMeta;
  /** Null for a body that travels or falls as a whole. */
  readonly envelope: Envelope | null;
}

type Admitted = AdmissionVerdict & { readonly kind: "admitted" };

/** Asks all checks until one leaves nothing. */
export function explainPolicy(subject: PolicySubject, facts: PolicyFacts, nowMs: number): PolicyStep[] {
  return new Explanation(subject, facts, nowMs).steps;
}

class Explanation {
  readonly steps: PolicyStep[] = [];
  readonly #subject: PolicySubject;
  readonly #facts: PolicyFacts;
  readonly #nowMs: number;
  readonly #admission: Admission;
  readonly #policy: ItemPolicy;
  /** Of learned limits. */
  #learned: ReadonlySet<RateLimit> = new Set();

  constructor(subject: PolicySubject, facts: PolicyFacts, nowMs: number) {
    this.#subject = subject;
    this.#facts = facts;
    this.#nowMs = nowMs;
    const { admission, policy } = policyBy(facts, nowMs);
    this.#admission = admission;
    this.#policy = policy;
    const { meta, envelope } = subject;
    if (envelope === null) this.#explainWhole(meta);
    else this.#explainItems(meta, envelope);
  }

  #explainItems(meta: RequestMeta, envelope: Envelope): void {
    const { required_features: requiredFeatures } = envelope.headers;
    let items = this.#knownItems(envelope.items);
    if (items.length === 0) return;
    const admitted = this.#admitted(requiredFeatures ? { ...meta, requiredFeatures } : meta, typesOf(items));
    if (admitted === null) return;
    const step = (check: PolicyStep["check"], kept: readonly EnvelopeItem[], detail: string): boolean => {
      this.#step(check, areWhole(kept, items) ? "pass" : "removes", detail, typesOf(kept));
      items = kept;
      return kept.length > 0;
    };
    const limited = enforceLimits(items, admitted.limits, this.#nowMs);
    if (!step("limits", limited.kept, this.#limitsText(limited.applied))) return;
    if (!this.#haveSize(items)) return;
    const { state } = admitted;
    if (state === null) return;

    const { key, eventId, remoteAddr, userAgent } = meta;
    const policed = () => ({ envelope, items, key, eventId, remoteAddr, userAgent });
    const stateOf = (other: string) => this.#admission.stateOf(other);
    const filtered = this.#policy.filter(policed(), state);
    if (!step("filters", filtered.kept, reasonsOf(filtered.dropped) || "none matches")) return;

    const decision = this.#policy.samplingDecision(policed(), state, stateOf, this.#nowMs);
    const sampled = this.#policy.sample(policed(), state, stateOf, this.#nowMs);
    const sampling = decision.kind === "no_match"
      ? "no rule applies"
      : `${decision.kind}, rate ${decision.rate}, rules ${decision.ruleIds.join(",")}, ${
        sampledReason(decision.ruleIds)
      }`;
    const root = traceRoot(envelope, items, key);
    const awaited = root !== null && this.#admission.projects.lookup(root).kind === "pending"
      ? `; waits for the rules of the project its trace began in, ${root}`
      : "";
    if (!step("sampling", sampled.kept, sampling + awaited)) return;

    const standing = this.#standing(key, state);
    const counted = this.#policy.count(policed(), state, this.#nowMs);
    step("quotas", counted.kept, because(reasonsOf(counted.dropped), standing));
  }

  #explainWhole(meta: RequestMeta): void {
    const admitted = this.#admitted(meta, ["body"]);
    if (admitted === null) return;
    const step = (check: PolicyStep["check"], falls: boolean, detail: string): boolean => {
      this.#step(check, falls ? "removes" : "pass", detail, falls ? [] : ["body"]);
      return !falls;
    };
    const applied = matchingLimits(meta.quantities, admitted.limits, this.#nowMs);
    if (!step("limits", applied.length > 0, this.#limitsText(applied))) return;
    const { state } = admitted;
    if (state === null) return;
    const standing = this.#standing(meta.key, state);
    const { dropped } = this.#policy.applyWhole(meta, state, this.#nowMs);
    const isFiltered = dropped[0]?.outcome === "filtered";
    if (!step("filters", isFiltered, isFiltered ? reasonsOf(dropped) : "none matches")) return;
    step("quotas", dropped.length > 0, because(reasonsOf(dropped), standing));
  }

  #step(
    check: PolicyStep["check"],
    verdict: PolicyStep["verdict"],
    detail: string,
    left: readonly string[] = [],
  ): void {
    this.steps.push({ check, verdict, detail, left });
  }

  #knownItems(items: readonly EnvelopeItem[]): readonly EnvelopeItem[] {
    if (this.#facts.acceptUnknownItems) return items;
    const known = items.filter(({ type }) => type.type !== "unknown");
    if (known.length < items.length) {
      const why = "items of an unknown type (routing.accept_unknown_items)";
      this.#step("items", "removes", why, typesOf(known));
    }
    return known;
  }

  /** Null when it ends here. */
  #admitted(request: AdmissionRequest, left: readonly string[]): Admitted | null {
    const verdict = this.#admission.decide(request, this.#nowMs);
    if (verdict.kind === "refused") {
      const why = this.#refusalText(verdict.name, request);
      this.#step("project", "refused", `${verdict.name} (${verdict.reason})${why && `: ${why}`}`);
      return null;
    }
    if (verdict.kind === "pending") {
      this.#step("project", "waits", "the state of the project is not known; the record waits for it", left);
      return null;
    }
    const { state, projectId } = verdict;
    this.#learned = new Set(this.#admission.limits.activeFor(request.key, state, this.#nowMs));
    const open = state ? `project ${projectId} is open` : "nothing is known of the project; it is forwarded";
    this.#step("project", "pass", open, left);
    return verdict;
  }

  /** Why admission refused, where its name says too little. */
  #refusalText(name: string, { key, projectId, origin }: AdmissionRequest): string {
    const state = this.#admission.stateOf(key);
    if (name === "Cors") return `${origin} is not among ${state?.allowedDomains.join(", ") || "no domains"}`;
    if (name !== "ProjectId") return "";
    if (state === null) return "no project is known for the key";
    return state.disabled
      ? "the key or its project is disabled, or the upstream knows none that trusts this node"
      : `the key belongs to project ${state.projectId}, not ${projectId}`;
  }

  #haveSize(items: readonly EnvelopeItem[]): boolean {
    try {
      checkItemLimits({ items }, this.#facts.itemLimits);
      return true;
    } catch (error) {
      if (!(error instanceof RequestError)) throw error;
      this.#step("sizes", "refused", error.message);
      return false;
    }
  }

  #limitsText(applied: readonly RateLimit[]): string {
    const texts = applied.map((limit) => {
      const source = this.#learned.has(limit)
        ? `learned from the upstream, until ${new Date(limit.expiresAtMs).toISOString()}`
        : "a quota of limit 0";
      return `${limit.reason ?? "no reason"} (${limit.scope}), ${source}`;
    });
    return texts.join("; ") || "none applies";
  }

  /** How the quotas stand before this is counted. */
  #standing(key: string, state: ProjectState): string {
    const ids = scopeIdsOf(key, state);
    return state.countedQuotas.map((quota) => {
      const { own, others } = this.#policy.counters.standing(quota, ids, this.#nowMs);
      const elsewhere = others > 0 ? `, of which ${others} at other nodes` : "";
      return `${quota.id}: ${own + others} of ${quota.limit} in ${quota.windowSeconds} s${elsewhere}`;
    }).join(", ");
  }
}

function typesOf(items: readonly EnvelopeItem[]): string[] {
  return items.map(({ type }) => type.type);
}

function because(reasons: string, standing: string): string {
  return [reasons, standing].filter((text) => text !== "").join("; ") || "none counts";
}

function reasonsOf(dropped: readonly PolicedQuantity[]): string {
  return [...new Set(dropped.map(({ reason }) => reason ?? "no reason"))].join(", ");
}
