/**
 * The way of a submission from the listener to the disk: policy, removal of what is limited, size checks, spool.
 *
 * The order is Relay's (ingestion reference, section 5.1): project checks (403), limits (429), item sizes (413), and
 * last the spool. Whatever is refused or removed on the way is counted here, once.
 */
import type { Clock } from "../core/clock.ts";
import {
  type Ingress,
  type PassthroughSubmission,
  SPOOL_FULL,
  type Submission,
} from "../listener/ingress.ts";
import { countOutcomes } from "../outcomes/count_outcomes.ts";
import type { Admission, AdmissionRequest, AdmissionVerdict } from "../projects/admission.ts";
import { enforceLimits, type Enforcement, matchingLimits } from "../projects/enforce_limits.ts";
import type { DataCategory } from "../protocol/data_category.ts";
import { DATA_CATEGORIES } from "../protocol/data_category.ts";
import {
  type Envelope,
  type EnvelopeChange,
  type EnvelopeItem,
  rewriteEnvelope,
} from "../protocol/envelope.ts";
import { checkItemLimits, type ItemLimits } from "../protocol/item_limits.ts";
import { type Quantity, totalQuantities } from "../protocol/item_type.ts";
import type { RateLimit } from "../protocol/rate_limit.ts";
import { RequestError } from "../protocol/request_error.ts";
import { encodeRequestMeta, type RequestMeta } from "../protocol/request_meta.ts";
import type { SpoolRecord } from "../spool/record.ts";
import { SpoolError } from "../spool/spool_error.ts";
import type { SpoolPressure } from "../spool/spool_pressure.ts";
import { METRICS } from "../telemetry/catalogue.ts";
import type { Metrics } from "../telemetry/registry.ts";

const NO_LIMITS: readonly RateLimit[] = [];

/** Where accepted records go. */
export interface RecordSink {
  /**
   * Resolves once the record may be acknowledged.
   *
   * @throws {SpoolError} it is refused
   */
  append(record: SpoolRecord): Promise<void>;
  /** Resolves when everything acknowledged is on disk. */
  close(): Promise<void>;
}

/** Options of {@link Submitter}. */
export interface SubmitterOptions {
  readonly admission: Admission;
  readonly sink: RecordSink;
  readonly pressure: SpoolPressure;
  readonly clock: Clock;
  readonly metrics: Metrics;
  readonly itemLimits: ItemLimits;
  readonly acceptUnknownItems: boolean;
  /** The state of this key's project is not known yet. */
  readonly onWanted: (key: string) => void;
}

/** {@link Ingress} of a lane. */
export class Submitter implements Ingress {
  readonly #o: SubmitterOptions;

  constructor(options: SubmitterOptions) {
    this.#o = options;
  }

  async submit(submission: Submission): Promise<readonly RateLimit[]> {
    const { admission, clock } = this.#o;
    const { meta, envelope } = submission;
    const nowMs = clock.now();
    const sent = this.#knownItems(envelope.items);
    if (sent.length === 0) return NO_LIMITS;
    const verdict = admission.decide(asking(meta, envelope), nowMs);
    if (verdict.kind === "refused") throw this.#refused(verdict, totalQuantities(sent));
    const { projectId, limits } = verdict.kind === "pending" ? this.#pending(meta, nowMs) : verdict;
    const { kept, applied, dropped } = enforceLimits(sent, this.#limits(limits, nowMs), nowMs);
    this.#countLimited(dropped);
    if (kept.length === 0) return applied;
    this.#checkSizes(kept);
    const change = changeTo(envelope, kept, projectId !== meta.projectId);
    const stored: RequestMeta = {
      ...meta,
      projectId,
      quantities: totalQuantities(kept),
      contentEncoding: change ? "" : meta.contentEncoding,
    };
    const body = change ? rewriteEnvelope(envelope, change) : submission.body;
    return await this.#append(stored, body, nowMs) ?? applied;
  }

  async submitPassthrough({ meta, body }: PassthroughSubmission): Promise<readonly RateLimit[]> {
    const { admission, clock, metrics } = this.#o;
    const { quantities } = meta;
    const nowMs = clock.now();
    const verdict = admission.decide(meta, nowMs);
    if (verdict.kind === "refused") throw this.#refused(verdict, quantities);
    const { projectId, limits } = verdict.kind === "pending" ? this.#pending(meta, nowMs) : verdict;
    const applied = matchingLimits(quantities, this.#limits(limits, nowMs), nowMs);
    if (applied[0]) {
      countOutcomes(metrics, "rate_limited", applied[0].reason ?? "none", quantities);
      return applied;
    }
    return await this.#append(movedPassthrough(meta, projectId), [body], nowMs) ?? NO_LIMITS;
  }

  /** What is taken unseen is policed when the state of its project is known. */
  #pending({ key, projectId }: AdmissionRequest, nowMs: number): {
    readonly projectId: string;
    readonly limits: readonly RateLimit[];
  } {
    this.#o.onWanted(key);
    return { projectId, limits: this.#o.admission.limits.active(key, nowMs) };
  }

  /** Limits of the project, and behind them what a spool that fills up has to refuse. */
  #limits(limits: readonly RateLimit[], nowMs: number): readonly RateLimit[] {
    const shed = this.#o.pressure.limits(nowMs);
    return shed.length === 0 ? limits : [...limits, ...shed];
  }

  projectIdOf(key: string): string | null {
    const lookup = this.#o.admission.projects.lookup(key);
    return lookup.kind === "known" ? lookup.state.projectId : null;
  }

  /** Gives a record to the spool; what is returned stands for a spool that is full. */
  async #append(
    meta: RequestMeta,
    body: readonly Uint8Array[],
    receivedAtMs: number,
  ): Promise<readonly RateLimit[] | null> {
    const { sink, metrics } = this.#o;
    try {
      await sink.append({
        receivedAtMs,
        projectHash: hashOf(meta.key),
        categoryBits: categoryBits(meta.quantities),
        meta: encodeRequestMeta(meta),
        body,
      });
    } catch (error) {
      return this.#unspooled(error, meta.quantities, receivedAtMs);
    }
    metrics.add(METRICS.envelopesAccepted);
    return null;
  }

  #knownItems(items: readonly EnvelopeItem[]): readonly EnvelopeItem[] {
    if (this.#o.acceptUnknownItems) return items;
    const known = items.filter(({ type }) => type.type !== "unknown");
    const unknown = items.length - known.length;
    if (unknown > 0) countOutcomes(this.#o.metrics, "invalid", "unknown_item", [["default", unknown]]);
    return known;
  }

  #refused(
    { reason, name }: AdmissionVerdict & { kind: "refused" },
    quantities: readonly Quantity[],
  ): RequestError {
    countOutcomes(this.#o.metrics, "invalid", reason, quantities);
    return RequestError.json(403, reason, `event submission rejected with_reason: ${name}`);
  }

  #countLimited(dropped: Enforcement["dropped"]): void {
    for (const { category, quantity, reason } of dropped) {
      countOutcomes(this.#o.metrics, "rate_limited", reason ?? "none", [[category, quantity]]);
    }
  }

  #checkSizes(items: readonly EnvelopeItem[]): void {
    try {
      checkItemLimits({ items }, this.#o.itemLimits);
    } catch (error) {
      if (error instanceof RequestError) {
        countOutcomes(this.#o.metrics, "invalid", error.reason, totalQuantities(items));
      }
      throw error;
    }
  }

  /** No room is a limit for everything, which SDKs honour; a disk that fails is a 503, so that a balancer goes elsewhere. */
  #unspooled(error: unknown, quantities: readonly Quantity[], nowMs: number): readonly RateLimit[] {
    if (!(error instanceof SpoolError)) throw error;
    if (!error.isFull) {
      countOutcomes(this.#o.metrics, "invalid", "queue_failed", quantities);
      throw RequestError.json(503, "queue_failed", "failed to queue envelope");
    }
    countOutcomes(this.#o.metrics, "rate_limited", SPOOL_FULL, quantities);
    return [this.#o.pressure.fullLimit(nowMs)];
  }
}

function asking(meta: Submission["meta"], { headers }: Envelope): AdmissionRequest {
  const { required_features: requiredFeatures } = headers;
  return requiredFeatures === undefined ? meta : { ...meta, requiredFeatures };
}

/** What has to be rewritten before the record is stored; `null` when the bytes can stay as they came. */
function changeTo(
  { headers, items, eventId }: Envelope,
  kept: readonly EnvelopeItem[],
  isMoved: boolean,
): EnvelopeChange | null {
  const dropsDsn = isMoved && headers.dsn !== undefined;
  if (kept.length === items.length && !dropsDsn) return null;
  const id = eventId !== null && headers.event_id === undefined ? { event_id: eventId } : null;
  const dsn = dropsDsn ? { dsn: undefined } : null;
  return { items: kept, ...(id || dsn ? { headers: { ...id, ...dsn } } : {}) };
}

/** The record for the project that its key belongs to. */
function movedPassthrough(meta: PassthroughSubmission["meta"], projectId: string): RequestMeta {
  if (projectId === meta.projectId) return meta;
  const { path, contentType } = meta.passthrough;
  const moved = path.replace(/^\/api\/[^/]*\//, `/api/${projectId}/`);
  return { ...meta, projectId, passthrough: { path: moved, contentType } };
}

const categoryNumber: ReadonlyMap<DataCategory, number> = new Map(
  DATA_CATEGORIES.map((name, index) => [name, index]),
);

function categoryBits(quantities: readonly Quantity[]): readonly [number, number] {
  let low = 0;
  let high = 0;
  for (const [category] of quantities) {
    const number = categoryNumber.get(category)!;
    if (number < 32) low |= 1 << number;
    else high |= 1 << (number - 32);
  }
  return [low >>> 0, high >>> 0];
}

/** FNV-1a of the public key: which project a record belongs to, without reading its meta. */
function hashOf(key: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < key.length; i++) hash = Math.imul(hash ^ key.charCodeAt(i), 0x01000193);
  return hash >>> 0;
}
