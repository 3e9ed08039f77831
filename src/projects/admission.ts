/**
 * Whether an envelope may travel: the checks on its project, and the limits that hold for it.
 *
 * Evaluated twice by the same code: when an envelope arrives, and again before it is forwarded, because projects and
 * limits change while records wait. Order: control reference, section 1 ("Checks for an enabled project").
 */
import type { Reason } from "../protocol/outcome.ts";
import type { RateLimit } from "../protocol/rate_limit.ts";
import { isOriginAllowed } from "./allowed_domains.ts";
import type { BlockingQuota } from "./quotas/quota.ts";
import type { ProjectState } from "./project_state.ts";
import type { ProjectTable } from "./project_table.ts";
import type { RateLimitTable } from "./rate_limit_table.ts";
import { NO_INTERNAL_SENDERS, type RelaySenders, SenderCheck } from "./sender_check.ts";

/** Who sent an envelope, as far as admission asks. */
export interface AdmissionRequest {
  readonly key: string;
  /** Empty when the request names none. */
  readonly projectId: string;
  readonly origin: string | null;
  /** Features its envelope asks for. */
  readonly requiredFeatures?: readonly string[];
  /** Value of the relay signature it came with. */
  readonly relaySignature?: string;
  /** Its sender was checked when it came. */
  readonly isPoliced?: true;
}

/** Verdict of {@link Admission.decide}. */
export type AdmissionVerdict =
  | {
    readonly kind: "admitted";
    /**
     * The project to forward to; differs from the request's only if that names none, or with
     * `relay.override_project_ids`.
     */
    readonly projectId: string;
    /** Limits that are active for the key. */
    readonly limits: readonly RateLimit[];
    /** What is known of the project; `null` when nothing is and it is forwarded anyway. */
    readonly state: ProjectState | null;
  }
  | {
    readonly kind: "refused";
    readonly reason: Reason;
    /** Name of the refusal in the client's answer. */
    readonly name:
      | "ProjectId"
      | "Cors"
      | "MissingSignature"
      | "InvalidSignature"
      | `FeatureDisabled(${string})`;
  }
  /** The state of the project is not known yet: taken from the client, and held until it is. */
  | { readonly kind: "pending" };

/** Quotas of limit 0 are announced for this long: control reference, section 6. */
const BLOCKING_QUOTA_MS = 60_000;

const UNKNOWN_PROJECT: AdmissionVerdict = { kind: "refused", reason: "project_id", name: "ProjectId" };
const PENDING: AdmissionVerdict = { kind: "pending" };
const WRONG_ORIGIN: AdmissionVerdict = { kind: "refused", reason: "cors", name: "Cors" };

const UNTRUSTED: Readonly<Record<"missing_signature" | "invalid_signature", AdmissionVerdict>> = {
  missing_signature: { kind: "refused", reason: "missing_signature", name: "MissingSignature" },
  invalid_signature: { kind: "refused", reason: "invalid_signature", name: "InvalidSignature" },
};

/** Policy of one isolate over its current snapshot of projects. */
export class Admission {
  readonly #senders: SenderCheck;

  constructor(
    public projects: ProjectTable,
    readonly limits: RateLimitTable,
    senders: RelaySenders = NO_INTERNAL_SENDERS,
  ) {
    this.#senders = new SenderCheck(senders);
  }

  /** State of a key, when it is known. */
  stateOf(key: string): ProjectState | null {
    const lookup = this.projects.lookup(key);
    return lookup.kind === "known" ? lookup.state : null;
  }

  /** @param receivedAtMs when the request came, which is what its signature is held against */
  decide(request: AdmissionRequest, nowMs: number, receivedAtMs: number = nowMs): AdmissionVerdict {
    const { key, projectId, origin, requiredFeatures } = request;
    const lookup = this.projects.lookup(key);
    if (lookup.kind === "pending") return PENDING;
    if (lookup.kind === "unknown") {
      if (!lookup.forward) return UNKNOWN_PROJECT;
      return { kind: "admitted", projectId, limits: this.limits.activeFor(key, null, nowMs), state: null };
    }
    const { state } = lookup;
    if (state.disabled) return UNKNOWN_PROJECT;
    const own = state.projectId ?? projectId;
    if (own !== projectId && projectId !== "" && !this.projects.overrideProjectIds) return UNKNOWN_PROJECT;
    if (!isOriginAllowed(origin, state.allowedDomains)) return WRONG_ORIGIN;
    const missing = requiredFeatures?.find((feature) => !state.features.includes(feature));
    if (missing !== undefined) return featureDisabled(missing);
    const untrusted = state.trustedSenders && !request.isPoliced
      ? this.#senders.problem(state.trustedSenders, request.relaySignature ?? null, receivedAtMs)
      : null;
    if (untrusted !== null) return UNTRUSTED[untrusted];
    const learned = this.limits.activeFor(key, state, nowMs);
    return {
      kind: "admitted",
      projectId: own,
      limits: state.blockingQuotas.length === 0
        ? learned
        : [...state.blockingQuotas.map((quota) => blockingLimit(quota, nowMs)), ...learned],
      state,
    };
  }
}

function featureDisabled(feature: string): AdmissionVerdict {
  return { kind: "refused", reason: "feature_disabled", name: `FeatureDisabled(${feature.slice(0, 64)})` };
}

function blockingLimit(quota: BlockingQuota, nowMs: number): RateLimit {
  const { categories, scope, reason, namespaces } = quota;
  return { categories, scope, reason, namespaces, expiresAtMs: nowMs + BLOCKING_QUOTA_MS };
}
