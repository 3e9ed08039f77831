/**
 * What a project's own rules take out of an envelope: inbound filters, dynamic sampling, quotas that count, in this
 * order (control reference, sections 6 to 8).
 *
 * Rules are compiled once per state of a project. An event is parsed at most once, and only if a rule has to read it; one
 * that cannot be parsed passes, as the upstream says better than this node what is wrong with it.
 */
import { fromUtf8 } from "../core/bytes.ts";
import type { DataCategory } from "../protocol/data_category.ts";
import type { Envelope, EnvelopeItem, ScannedEnvelope } from "../protocol/envelope.ts";
import { itemQuantities, type Quantity } from "../protocol/item_type.ts";
import type { RateLimit } from "../protocol/rate_limit.ts";
import { parseSamplingContext } from "../protocol/sampling_context.ts";
import type { JsonRecord } from "./condition_field.ts";
import type { FilterSubject } from "./filters/filter.ts";
import { type GenericFilters, genericFiltersDocument } from "./filters/filter_settings.ts";
import { InboundFilters } from "./filters/inbound_filters.ts";
import { type ProjectState, scopeIdsOf } from "./project_state.ts";
import { type Counting, enforceQuotas, takeQuantities } from "./quotas/enforce_quotas.ts";
import type { QuotaCounters } from "./quotas/quota_counters.ts";
import { sample, sampledReason, Sampler, type SamplingDecision } from "./sampling/sampler.ts";

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

/** Quantity that was taken out. */
export interface PolicedQuantity {
  readonly outcome: "filtered" | "rate_limited";
  readonly category: DataCategory;
  readonly quantity: number;
  /** Name of a filter, `Sampled:<rules>`, or the reason code of a quota. */
  readonly reason: string | null;
}

/** A body that only the upstream can read: what is known of it without reading it. */
export interface PolicedBody extends Pick<PolicedEnvelope, "key" | "remoteAddr" | "userAgent"> {
  readonly quantities: readonly Quantity[];
}

/** What is left, and what became of the rest. */
export interface ItemVerdict {
  readonly kept: readonly EnvelopeItem[];
  readonly dropped: readonly PolicedQuantity[];
  /** Limits to announce to the client. */
  readonly applied: readonly RateLimit[];
}

/** Finds the state of another project, for the rules of the one a trace began in. */
export type StateOf = (key: string) => ProjectState | null;

interface Rules {
  readonly filters: InboundFilters;
  readonly sampler: Sampler | null;
}

const NOTHING: readonly never[] = [];
/** Items that go together when a replay is filtered. */
const REPLAY: ReadonlySet<string> = new Set(["replay_event", "replay_recording", "replay_video"]);
/** Items that are held against address, release and user agent, unread. */
const GENERAL: ReadonlySet<string> = new Set(["log", "span", "trace_metric"]);

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
    const subject = { event: null, trace: null, clientAddress: remoteAddr, userAgent };
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
    const { items } = policed;
    const { filters } = this.#rulesOf(state);
    if (filters.isEmpty || items.length === 0) return pass(items);
    // Filters that are asked without the event do not look at its trace, either.
    const trace = filters.needsEvent ? parseSamplingContext(policed.envelope.headers.trace) : null;
    const reasonOf = (kind: FilterSubject["kind"], event: JsonRecord | null): string | null =>
      filters.match({ kind, event, trace, clientAddress: policed.remoteAddr, userAgent: policed.userAgent });
    const read = (item: EnvelopeItem): JsonRecord | null =>
      filters.needsEvent ? payloadOf(policed.envelope, item) : null;

    const event = items.find(({ type }) => type.createsEvent);
    const ofEvent = event ? reasonOf("event", read(event)) : null;
    const replay = items.find(({ type }) => type.type === "replay_event");
    const ofReplay = replay ? reasonOf("event", read(replay)) : null;
    return takeOut(items, "filtered", (item) => {
      if (ofEvent !== null && item.type.requiresEvent) return ofEvent;
      if (REPLAY.has(item.type.type)) return ofReplay;
      if (item.type.limitGroup === "session") return reasonOf("session", sessionOf(read(item)));
      return GENERAL.has(item.type.type) ? reasonOf("request", null) : null;
    });
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
    const event = needsEvent ? payloadOf(envelope, transaction) : null;
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

function pass(items: readonly EnvelopeItem[]): ItemVerdict {
  return { kept: items, dropped: NOTHING, applied: NOTHING };
}

/** The same envelope with what is left of it. */
function withItems(policed: PolicedEnvelope, items: readonly EnvelopeItem[]): PolicedEnvelope {
  return items === policed.items ? policed : { ...policed, items };
}

/** Takes out the items for which there is a reason. */
function takeOut(
  items: readonly EnvelopeItem[],
  outcome: PolicedQuantity["outcome"],
  reasonOf: (item: EnvelopeItem) => string | null,
): ItemVerdict {
  const kept: EnvelopeItem[] = [];
  const dropped: PolicedQuantity[] = [];
  for (const item of items) {
    const reason = reasonOf(item);
    if (reason === null) kept.push(item);
    else {for (const [category, quantity] of itemQuantities(item)) {
        dropped.push({ outcome, category, quantity, reason });
      }}
  }
  return kept.length === items.length ? pass(items) : { kept, dropped, applied: NOTHING };
}

/** Payload of an item as an object; `null` when it is none. */
function payloadOf({ bytes, payloads }: PolicedEnvelope["envelope"], item: EnvelopeItem): JsonRecord | null {
  // Of an envelope that was not held only the payloads of events were kept.
  const payload = payloads ? payloads.get(item) : bytes.subarray(item.payloadStart, item.payloadEnd);
  if (payload === undefined) return null;
  try {
    const value = JSON.parse(fromUtf8(payload));
    return typeof value === "object" && value !== null && !Array.isArray(value) ? value : null;
  } catch {
    return null;
  }
}

/** What filters read of a session stands among its attributes. */
function sessionOf(session: JsonRecord | null): JsonRecord | null {
  const attributes = session?.attrs;
  return typeof attributes === "object" && attributes !== null ? attributes as JsonRecord : null;
}
