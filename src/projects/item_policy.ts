/**
 * What a project's own rules take out of an envelope: inbound filters, dynamic sampling, quotas that count, in this
 * order (control reference, sections 6 to 8).
 *
 * Rules are compiled once per state of a project. An event is parsed at most once, and only if a rule has to read it; one
 * that cannot be parsed passes, as the upstream says better than this node what is wrong with it.
 */
import type { DataCategory } from "../protocol/data_category.ts";
import type { EnvelopeItem } from "../protocol/envelope.ts";
import type { Quantity } from "../protocol/item_type.ts";
import { parseSamplingContext } from "../protocol/sampling_context.ts";
import { filterItems } from "./filters/filter_items.ts";
import { type GenericFilters, genericFiltersDocument } from "./filters/filter_settings.ts";
import { InboundFilters } from "./filters/inbound_filters.ts";
import { readPayload } from "./item_payload.ts";
import {
  type ItemVerdict,
  NOTHING,
  pass,
  type PolicedEnvelope,
  type PolicedQuantity,
  takeOut,
} from "./item_verdict.ts";
import { type ProjectState, scopeIdsOf } from "./project_state.ts";
import { type Counting, enforceQuotas, takeQuantities } from "./quotas/enforce_quotas.ts";
import type { QuotaCounters } from "./quotas/quota_counters.ts";
import { sample, sampledReason, Sampler, type SamplingDecision } from "./sampling/sampler.ts";

/** A body that only the upstream can read: what is known of it without reading it. */
export interface PolicedBody extends Pick<PolicedEnvelope, "key" | "remoteAddr" | "userAgent"> {
  readonly quantities: readonly Quantity[];
}

/** Finds the state of another project, for the rules of the one a trace began in. */
export type StateOf = (key: string) => ProjectState | null;

interface Rules {
  readonly filters: InboundFilters;
  readonly sampler: Sampler | null;
}

/** Rules of all projects of one isolate. */
export class ItemPolicy {
  #globalRaw: unknown = null;
  #global: GenericFilters | null = null;
  #rules = new WeakMap<ProjectState, Rules>();

  /** @param globalFilters the generic filters of all projects, as received; what cannot be read counts as none */
  constructor(readonly counters: QuotaCounters, readonly globalFilters: () => unknown = () => null) {}

  /** Whether the project, or the one a trace began in, has rules that could take anything out. */
  hasRules(state: ProjectState, root: ProjectState | null): boolean {
    const { filters, sampler } = this.#rulesOf(state);
    return !filters.isEmpty || sampler !== null || state.countedQuotas.length > 0 ||
      this.#rootSampler(root, state) !== null;
  }

  /** All three, one after the other. */
  apply(policed: PolicedEnvelope, state: ProjectState, stateOf: StateOf, nowMs: number): ItemVerdict {
    const filtered = this.filter(policed, state);
    const sampled = this.sample(withItems(policed, filtered.kept), state, stateOf, nowMs);
    const counted = this.count(withItems(policed, sampled.kept), state, nowMs);
    if (counted.kept === policed.items) return counted;
    return { ...counted, dropped: [...filtered.dropped, ...sampled.dropped, ...counted.dropped] };
  }

  /**
   * What the rules say to a body that travels or falls as a whole: the filters that read nothing, and quotas that count.
   * Nothing dropped means that it travels.
   */
  applyWhole(
    { key, quantities, remoteAddr, userAgent }: PolicedBody,
    state: ProjectState,
    nowMs: number,
  ): Pick<ItemVerdict, "dropped" | "applied"> {
    const { filters } = this.#rulesOf(state);
    const subject = { event: null, trace: null, part: null, clientAddress: remoteAddr, userAgent };
    const reason = filters.match({ kind: "request", ...subject });
    const limit = reason === null ? takeQuantities(quantities, this.#counting(key, state), nowMs) : null;
    if (reason === null && limit === null) return { dropped: NOTHING, applied: NOTHING };
    const dropped = quantities.map(([category, quantity]): PolicedQuantity =>
      limit
        ? { outcome: "rate_limited", category, quantity, reason: limit.reason }
        : { outcome: "filtered", category, quantity, reason }
    );
    return { dropped, applied: limit ? [limit] : NOTHING };
  }

  /** Inbound filters. An event takes what depends on it along, and so does a replay. */
  filter(policed: PolicedEnvelope, state: ProjectState): ItemVerdict {
    return filterItems(policed, this.#rulesOf(state).filters);
  }

  /** Dynamic sampling. A transaction takes along what belongs to it; an error is never sampled. */
  sample(policed: PolicedEnvelope, state: ProjectState, stateOf: StateOf, nowMs: number): ItemVerdict {
    const { items } = policed;
    const decision = this.samplingDecision(policed, state, stateOf, nowMs);
    if (decision.kind !== "drop") return pass(items);
    const reason = sampledReason(decision.ruleIds);
    const { kept, dropped, applied } = takeOut(
      items,
      "filtered",
      (item) => item.type.requiresEvent ? reason : null,
    );
    return { kept, dropped: dropped.filter(({ category }) => !HAS_INDEXED.has(category)), applied };
  }

  /** What dynamic sampling makes of the envelope's transaction, if it has one. */
  samplingDecision(
    { envelope, items, key, eventId }: PolicedEnvelope,
    state: ProjectState,
    stateOf: StateOf,
    nowMs: number,
  ): SamplingDecision {
    const transaction = items.find(({ type }) => type.type === "transaction");
    const trace = transaction ? parseSamplingContext(envelope.headers.trace) : null;
    const own = this.#rulesOf(state).sampler;
    const isOwnTrace = trace?.publicKey === key;
    const root = isOwnTrace ? own : trace && this.#rootSampler(stateOf(trace.publicKey), state);
    if (!transaction || !own && !root) return { kind: "no_match" };
    const needsEvent = own?.needsEvent || root?.needsEvent;
    const event = needsEvent ? readPayload(envelope, transaction) : null;
    return sample({ event, trace, eventId }, { own, root }, nowMs);
  }

  /** Quotas that count. */
  count({ items, key }: PolicedEnvelope, state: ProjectState, nowMs: number): ItemVerdict {
    if (state.countedQuotas.length === 0 || items.length === 0) return pass(items);
    const { kept, applied, dropped } = enforceQuotas(items, this.#counting(key, state), nowMs);
    if (kept === items) return pass(items);
    return { kept, applied, dropped: dropped.map((quantity) => ({ ...quantity, outcome: "rate_limited" })) };
  }

  #counting(key: string, state: ProjectState): Counting {
    return { quotas: state.countedQuotas, ids: scopeIdsOf(key, state), counters: this.counters };
  }

  /** Trace rules of a project hold for projects of its own organisation. */
  #rootSampler(root: ProjectState | null, { organizationId }: ProjectState): Sampler | null {
    if (!root || root.disabled || root.organizationId !== organizationId) return null;
    return this.#rulesOf(root).sampler;
  }

  #rulesOf(state: ProjectState): Rules {
    const raw = this.globalFilters();
    if (raw !== this.#globalRaw) {
      const read = genericFiltersDocument.safeParse(raw);
      this.#globalRaw = raw;
      this.#global = read.success ? read.data : null;
      this.#rules = new WeakMap();
    }
    let rules = this.#rules.get(state);
    if (!rules) {
      const filters = new InboundFilters(state.filters, this.#global);
      rules = { filters, sampler: state.sampling && new Sampler(state.sampling) };
      this.#rules.set(state, rules);
    }
    return rules;
  }
}

/** Categories of which an indexed one is reported instead when something is sampled out. */
const HAS_INDEXED: ReadonlySet<DataCategory> = new Set(["transaction", "span", "profile"]);

/** The same envelope with what is left of it. */
function withItems(policed: PolicedEnvelope, items: readonly EnvelopeItem[]): PolicedEnvelope {
  return items === policed.items ? policed : { ...policed, items };
}
