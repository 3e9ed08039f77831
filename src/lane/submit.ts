/**
 * The way of a submission from the listener to the disk: policy, removal of what is limited, size checks, spool.
 *
 * The order is Relay's (ingestion reference, section 5.1): project checks (403), limits (429), item sizes (413), and
 * last the spool. Whatever is refused or removed on the way is counted here, once.
 */
import type { Clock } from "../core/clock.ts";
import type { Ingress, Submission } from "../listener/ingress.ts";
import { countOutcomes } from "../outcomes/count_outcomes.ts";
import type { Admission, AdmissionVerdict } from "../projects/admission.ts";
import { enforceLimits, type Enforcement } from "../projects/enforce_limits.ts";
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
import type { PartitionWriter } from "../spool/partition_writer.ts";
import { SpoolError } from "../spool/spool_error.ts";
import { METRICS } from "../telemetry/catalogue.ts";
import type { Metrics } from "../telemetry/registry.ts";

/** How long clients are asked to hold back when the spool is full. */
const SPOOL_FULL_MS = 30_000;

const NO_LIMITS: readonly RateLimit[] = [];

/** Options of {@link Submitter}. */
export interface SubmitterOptions {
  readonly admission: Admission;
  readonly writer: PartitionWriter;
  readonly clock: Clock;
  readonly metrics: Metrics;
  readonly itemLimits: ItemLimits;
  readonly acceptUnknownItems: boolean;
}

/** {@link Ingress} of a lane. */
export class Submitter implements Ingress {
  readonly #o: SubmitterOptions;

  constructor(options: SubmitterOptions) {
    this.#o = options;
  }

  async submit(submission: Submission): Promise<readonly RateLimit[]> {
    const { admission, clock, metrics } = this.#o;
    const { meta, envelope } = submission;
    const nowMs = clock.now();
    const sent = this.#knownItems(envelope.items);
    if (sent.length === 0) return NO_LIMITS;
    const verdict = admission.decide(meta, nowMs);
    if (verdict.kind === "refused") throw this.#refused(verdict, sent);
    const { kept, applied, dropped } = enforceLimits(sent, verdict.limits, nowMs);
    this.#countLimited(dropped);
    if (kept.length === 0) return applied;
    this.#checkSizes(kept);
    const quantities = totalQuantities(kept);
    const record = this.#recordOf(submission, verdict.projectId, kept, quantities);
    try {
      await this.#o.writer.append({ ...record, receivedAtMs: nowMs });
    } catch (error) {
      return this.#unspooled(error, quantities, nowMs);
    }
    metrics.add(METRICS.envelopesAccepted);
    return applied;
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
    items: readonly EnvelopeItem[],
  ): RequestError {
    countOutcomes(this.#o.metrics, "invalid", reason, totalQuantities(items));
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

  #recordOf(
    { meta, envelope, body }: Submission,
    projectId: string,
    kept: readonly EnvelopeItem[],
    quantities: readonly Quantity[],
  ): {
    projectHash: number;
    categoryBits: readonly [number, number];
    meta: Uint8Array;
    body: readonly Uint8Array[];
  } {
    const change = changeTo(envelope, kept, projectId !== meta.projectId);
    const stored: RequestMeta = {
      ...meta,
      projectId,
      quantities,
      contentEncoding: change ? "" : meta.contentEncoding,
    };
    return {
      projectHash: hashOf(meta.key),
      categoryBits: categoryBits(quantities),
      meta: encodeRequestMeta(stored),
      body: change ? rewriteEnvelope(envelope, change) : body,
    };
  }

  /** No room is a limit for everything, which SDKs honour; a disk that fails is a 503, so that a balancer goes elsewhere. */
  #unspooled(error: unknown, quantities: readonly Quantity[], nowMs: number): readonly RateLimit[] {
    if (!(error instanceof SpoolError)) throw error;
    if (!error.isFull) {
      countOutcomes(this.#o.metrics, "invalid", "queue_failed", quantities);
      throw RequestError.json(503, "queue_failed", "failed to queue envelope");
    }
    countOutcomes(this.#o.metrics, "rate_limited", "spool_full", quantities);
    return [{
      categories: [],
      scope: "organization",
      reason: "spool_full",
      namespaces: [],
      expiresAtMs: nowMs + SPOOL_FULL_MS,
    }];
  }
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
