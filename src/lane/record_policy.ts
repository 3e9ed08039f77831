/**
 * What limits, and rules that were not asked yet, leave of a record before it is sent.
 *
 * Limits are held against every record again, because they change while it waits. The rules of its project are asked only
 * if it came before they were known, and only once, whatever becomes of the tries to send it.
 */
import type { OutcomeLedger } from "../outcomes/outcome_ledger.ts";
import type { Admission } from "../projects/admission.ts";
import {
  enforceLimits,
  type Enforcement,
  type LimitedQuantity,
  matchingLimits,
} from "../projects/enforce_limits.ts";
import type { ItemPolicy } from "../projects/item_policy.ts";
import type { PolicedQuantity } from "../projects/item_verdict.ts";
import type { ProjectState } from "../projects/project_state.ts";
import type { Envelope, EnvelopeItem } from "../protocol/envelope.ts";
import { areWhole, keepElements } from "../protocol/item_container.ts";
import { totalQuantities } from "../protocol/item_type.ts";
import type { RateLimit } from "../protocol/rate_limit.ts";
import type { RequestMeta } from "../protocol/request_meta.ts";
import type { BodyEncoder } from "../upstream/body_encoding.ts";
import type { ForwardJob } from "../upstream/forwarder.ts";
import { type ReadEnvelope, readEnvelope } from "./job_envelope.ts";
import type { PolicedItem, RecordHistory } from "./parked_records.ts";

/** A record that may be sent. */
export interface PolicedJob extends ForwardJob, RecordHistory {}

/** What a record is held against. */
export interface RecordRules {
  readonly limits: readonly RateLimit[];
  /** Of its project, when that is known. */
  readonly state: ProjectState | null;
}

/** Options of {@link RecordPolicy}. */
export interface RecordPolicyOptions {
  readonly admission: Admission;
  readonly policy: ItemPolicy;
  readonly ledger: OutcomeLedger;
  readonly encoder: BodyEncoder;
}

/** Policy of one forward half over records. */
export class RecordPolicy {
  readonly #o: RecordPolicyOptions;

  constructor(options: RecordPolicyOptions) {
    this.#o = options;
  }

  /** The job with what is left of it, or `null` when that is nothing; what was taken out is counted. */
  apply<Job extends PolicedJob>(
    job: Job,
    rules: RecordRules,
    nowMs: number,
  ): Job | null | Promise<Job | null> {
    const { meta } = job;
    const applied = matchingLimits(meta.quantities, rules.limits, nowMs);
    const state = this.#stateToAsk(meta, rules.state);
    if (applied.length === 0 && state === null) return job;
    return meta.passthrough
      ? this.#whole(job, applied, state, nowMs)
      : this.#envelope(job, { limits: rules.limits, state }, nowMs);
  }

  /** The state whose rules are still to be asked about a record. */
  #stateToAsk({ isPoliced, rootKey }: RequestMeta, state: ProjectState | null): ProjectState | null {
    if (isPoliced || state === null) return null;
    const root = rootKey === undefined ? null : this.#o.admission.stateOf(rootKey);
    return this.#o.policy.hasRules(state, root) ? state : null;
  }

  /** For a body that travels or falls as a whole. */
  #whole<Job extends PolicedJob>(
    job: Job,
    [limit]: readonly RateLimit[],
    state: ProjectState | null,
    nowMs: number,
  ): Job | null {
    const { policy, ledger } = this.#o;
    const { meta } = job;
    if (limit) {
      ledger.count(meta, "rate_limited", limit.reason ?? "none", meta.quantities);
      return null;
    }
    if (state === null || job.policedItems) return job;
    const { dropped } = policy.applyWhole(meta, state, nowMs);
    this.#count(meta, dropped);
    return dropped.length === 0 ? { ...job, policedItems: [] } : null;
  }

  async #envelope<Job extends PolicedJob>(job: Job, rules: RecordRules, nowMs: number): Promise<Job | null> {
    const read = await readEnvelope(job, this.#o.encoder);
    if (read === null) return job;
    const { envelope, keep } = read;
    const limited = enforceLimits(envelope.items, rules.limits, nowMs);
    const kept = rules.state ? this.#ask(job, envelope, limited.kept, rules.state, nowMs) : limited.kept;
    const asked = rules.state
      ? { ...job, policedItems: kept.map((item) => policedItem(envelope, item)) }
      : job;
    if (areWhole(kept, envelope.items)) return asked;
    return this.#cut(asked, { kept, dropped: limited.dropped }, keep);
  }

  /** The job with what is kept of its envelope, or `null` when that is nothing. */
  #cut<Job extends PolicedJob>(
    job: Job,
    { kept, dropped }: Pick<Enforcement, "kept" | "dropped">,
    keep: ReadEnvelope["keep"],
  ): Job | null {
    if (!job.isCounted) this.#count(job.meta, dropped);
    if (kept.length === 0) return null;
    const meta: RequestMeta = { ...job.meta, contentEncoding: "", quantities: totalQuantities(kept) };
    return { ...job, meta, ...keep(kept), isCounted: true };
  }

  /** Asks the project's rules, or remembers what they said before an earlier try. */
  #ask(
    { meta, policedItems }: PolicedJob,
    envelope: Envelope,
    items: readonly EnvelopeItem[],
    state: ProjectState,
    nowMs: number,
  ): readonly EnvelopeItem[] {
    const { policy, admission } = this.#o;
    if (policedItems) {
      const left = policedItems.filter(({ index }) => items.includes(envelope.items[index]!));
      return left.map((policed) => itemLeft(envelope, policed));
    }
    const { key, eventId, remoteAddr, userAgent } = meta;
    const policed = { envelope, items, key, eventId, remoteAddr, userAgent };
    const { kept, dropped } = policy.apply(policed, state, (key) => admission.stateOf(key), nowMs);
    this.#count(meta, dropped);
    return kept;
  }

  #count(
    meta: RequestMeta,
    dropped: readonly (LimitedQuantity & Partial<Pick<PolicedQuantity, "outcome">>)[],
  ): void {
    for (const { outcome = "rate_limited", category, quantity, reason } of dropped) {
      this.#o.ledger.count(meta, outcome, reason ?? "none", [[category, quantity]]);
    }
  }
}

/** What is remembered of an item, to find it again when the record is read again. */
function policedItem({ items }: Envelope, item: EnvelopeItem): PolicedItem {
  return { index: items.indexOf(item.rest?.of ?? item), elements: item.rest?.elements ?? null };
}

function itemLeft({ bytes, items }: Envelope, { index, elements }: PolicedItem): EnvelopeItem {
  const item = items[index]!;
  return elements === null ? item : keepElements(bytes, item, elements);
}
