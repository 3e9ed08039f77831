/**
 * The way of a submission from the listener to the disk: policy, removal of what is limited, size checks, spool.
 *
 * The order is Relay's (ingestion reference, section 5.1): project checks (403), limits (429), item sizes (413), and
 * last the spool. Whatever is refused or removed on the way is counted here, once.
 */
import type { Clock } from "../core/clock.ts";
import {
  type Ingress,
  type LargeSubmission,
  type PassthroughSubmission,
  type Screened,
  SPOOL_FULL,
  type Submission,
} from "../listener/ingress.ts";
import type { OutcomeLedger, OutcomeScope } from "../outcomes/outcome_ledger.ts";
import type { Admission, AdmissionRequest, AdmissionVerdict } from "../projects/admission.ts";
import { enforceLimits, type LimitedQuantity, matchingLimits } from "../projects/enforce_limits.ts";
import type { ItemPolicy } from "../projects/item_policy.ts";
import type { ItemVerdict, PolicedQuantity } from "../projects/item_verdict.ts";
import type { ProjectState } from "../projects/project_state.ts";
import { traceRoot } from "../projects/sampling/trace_root.ts";
import {
  type Envelope,
  type EnvelopeChange,
  type EnvelopeItem,
  rewriteEnvelope,
} from "../protocol/envelope.ts";
import { checkItemLimits, type ItemLimits } from "../protocol/item_limits.ts";
import { areWhole } from "../protocol/item_container.ts";
import { type Quantity, totalQuantities } from "../protocol/item_type.ts";
import type { RateLimit } from "../protocol/rate_limit.ts";
import { RequestError } from "../protocol/request_error.ts";
import type { RequestMeta } from "../protocol/request_meta.ts";
import { bytesLength } from "../core/bytes.ts";
import { encodeLargeBody, LARGE_BYTES_MIN } from "../spool/large_body.ts";
import type { LargeUpload } from "../spool/large_upload.ts";
import { rewriteLarge } from "./large_submission.ts";
import { hashOf, spoolRecord } from "./spool_record.ts";
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
  /**
   * Starts a body of its own file.
   *
   * @throws {SpoolError} it is refused
   */
  openLarge(): Promise<LargeUpload>;
  /** Resolves when everything acknowledged is on disk. */
  close(): Promise<void>;
}

/** Options of {@link Submitter}. */
export interface SubmitterOptions {
  readonly admission: Admission;
  readonly sink: RecordSink;
  /** What has to give way at present. */
  readonly pressure: Pick<SpoolPressure, "limits" | "fullLimit">;
  readonly clock: Clock;
  readonly metrics: Metrics;
  readonly ledger: OutcomeLedger;
  readonly policy: ItemPolicy;
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

  submit(submission: Submission): Promise<readonly RateLimit[]> {
    const { envelope, body, receivedAtMs } = submission;
    return this.#submit(submission, (stored, change) => {
      const chunks = change ? rewriteEnvelope(envelope, change) : body;
      return this.#append(stored, chunks, receivedAtMs);
    });
  }

  submitLarge(submission: LargeSubmission): Promise<readonly RateLimit[]> {
    const { meta, envelope, body, headers, receivedAtMs } = submission;
    return this.#submit(submission, async (stored, cut) => {
      const change = headers ? { ...cut, headers: { ...headers, ...cut?.headers } } : cut;
      if (!change) return await this.#appendLarge(stored, body, receivedAtMs);
      const { sink } = this.#o;
      const encoding = meta.contentEncoding;
      let upload: LargeUpload | null = null;
      try {
        upload = await rewriteLarge(sink, { envelope, body, encoding, change });
        return await this.#appendLarge({ ...stored, contentEncoding: "" }, upload, receivedAtMs);
      } catch (error) {
        return this.#unspooled(error, stored);
      } finally {
        await upload?.discard();
      }
    });
  }

  openLarge(): Promise<LargeUpload> {
    return this.#o.sink.openLarge();
  }

  screen(sender: Screened, items: readonly EnvelopeItem[]): void {
    const { admission, clock, acceptUnknownItems } = this.#o;
    const verdict = admission.decide(sender, clock.now(), sender.receivedAtMs);
    if (verdict.kind === "refused") throw this.#refused(verdict, sender, totalQuantities(items));
    // What a limit takes out is not held against sizes, and which that is shows at the end.
    if (verdict.kind === "pending") return;
    if (this.#limits(sender.key, verdict.limits, clock.now()).length > 0) return;
    const known = acceptUnknownItems ? items : items.filter(({ type }) => type.type !== "unknown");
    this.#checkSizes(sender, known);
  }

  unspooled(
    error: SpoolError,
    meta: Pick<RequestMeta, "key" | "projectId" | "quantities">,
  ): readonly RateLimit[] {
    return this.#unspooled(error, meta);
  }

  async #submit(
    { meta, envelope, receivedAtMs }: Omit<Submission, "body">,
    store: (stored: RequestMeta, change: EnvelopeChange | null) => Promise<readonly RateLimit[] | null>,
  ): Promise<readonly RateLimit[]> {
    const { admission, clock } = this.#o;
    const nowMs = clock.now();
    const sent = this.#knownItems(envelope.items, meta);
    if (sent.length === 0) return NO_LIMITS;
    const verdict = admission.decide(asking(meta, envelope), nowMs, receivedAtMs);
    if (verdict.kind === "refused") throw this.#refused(verdict, meta, totalQuantities(sent));
    const isPending = verdict.kind === "pending";
    const { projectId, limits, state } = isPending ? this.#pending(meta, nowMs) : verdict;
    const scope = { key: meta.key, projectId };
    const limited = enforceLimits(sent, this.#limits(meta.key, limits, nowMs), nowMs);
    this.#countDropped(scope, limited.dropped);
    if (limited.kept.length === 0) return limited.applied;
    this.#checkSizes(scope, limited.kept);
    const rootKey = traceRoot(envelope, limited.kept, meta.key);
    const isRootPending = rootKey !== null && this.#isWanted(rootKey);
    const policed = state && !isRootPending
      ? this.#police({ meta, envelope }, limited.kept, state, nowMs)
      : null;
    const kept = policed?.kept ?? limited.kept;
    const applied = policed ? [...limited.applied, ...policed.applied] : limited.applied;
    if (kept.length === 0) return applied;
    const change = changeTo(envelope, kept, projectId !== meta.projectId);
    const stored: RequestMeta = {
      ...meta,
      projectId,
      quantities: totalQuantities(kept),
      contentEncoding: change ? "" : meta.contentEncoding,
      ...policed && { isPoliced: true },
      ...rootKey !== null && (isPending || isRootPending) && { rootKey },
    };
    return await store(stored, change) ?? applied;
  }

  /** Whether the state of a project is not known yet, though it is needed; it is asked for then. */
  #isWanted(key: string): boolean {
    const isPending = this.#o.admission.projects.lookup(key).kind === "pending";
    if (isPending) this.#o.onWanted(key);
    return isPending;
  }

  /** What the project's own rules leave. */
  #police(
    { meta, envelope }: Pick<Submission, "meta" | "envelope">,
    items: readonly EnvelopeItem[],
    state: ProjectState,
    nowMs: number,
  ): ItemVerdict {
    const { admission, policy } = this.#o;
    const { key, eventId, remoteAddr, userAgent } = meta;
    const policed = { envelope, items, key, eventId, remoteAddr, userAgent };
    const verdict = policy.apply(policed, state, (key) => admission.stateOf(key), nowMs);
    this.#countDropped({ key, projectId: state.projectId ?? meta.projectId }, verdict.dropped);
    return verdict;
  }

  async submitPassthrough(
    { meta, body, receivedAtMs }: PassthroughSubmission,
  ): Promise<readonly RateLimit[]> {
    const { admission, clock, ledger } = this.#o;
    const { quantities } = meta;
    const nowMs = clock.now();
    const verdict = admission.decide(meta, nowMs, receivedAtMs);
    if (verdict.kind === "refused") throw this.#refused(verdict, meta, quantities);
    const { projectId, limits, state } = verdict.kind === "pending" ? this.#pending(meta, nowMs) : verdict;
    const applied = matchingLimits(quantities, this.#limits(meta.key, limits, nowMs), nowMs);
    if (applied[0]) {
      ledger.count({ key: meta.key, projectId }, "rate_limited", applied[0].reason ?? "none", quantities);
      return applied;
    }
    const policed = state && this.#o.policy.applyWhole(meta, state, nowMs);
    if (policed && policed.dropped.length > 0) {
      this.#countDropped({ key: meta.key, projectId }, policed.dropped);
      return policed.applied;
    }
    const stored = movedPassthrough(state ? { ...meta, isPoliced: true } : meta, projectId);
    const refusal = body instanceof Uint8Array
      ? await this.#append(stored, [body], receivedAtMs)
      : await this.#appendLarge(stored, body, receivedAtMs);
    return refusal ?? NO_LIMITS;
  }

  /** What is taken unseen is policed when the state of its project is known. */
  #pending({ key, projectId }: AdmissionRequest, nowMs: number): {
    readonly projectId: string;
    readonly limits: readonly RateLimit[];
    readonly state: null;
  } {
    this.#o.onWanted(key);
    return { projectId, limits: this.#o.admission.limits.active(key, nowMs), state: null };
  }

  /** Limits of the project, and behind them what a spool that fills up has to refuse. */
  #limits(key: string, limits: readonly RateLimit[], nowMs: number): readonly RateLimit[] {
    const shed = this.#o.pressure.limits(nowMs, hashOf(key));
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
    const { sink } = this.#o;
    if (bytesLength(body) <= LARGE_BYTES_MIN) return await this.#spool(meta, body, receivedAtMs);
    let upload: LargeUpload | null = null;
    try {
      upload = await sink.openLarge();
      await upload.write(body);
      return await this.#appendLarge(meta, upload, receivedAtMs);
    } catch (error) {
      return this.#unspooled(error, meta);
    } finally {
      await upload?.discard();
    }
  }

  /** The same for a body that is on disk already, which is kept if its record is. */
  async #appendLarge(
    meta: RequestMeta,
    upload: LargeUpload,
    receivedAtMs: number,
  ): Promise<readonly RateLimit[] | null> {
    let body: Uint8Array;
    try {
      body = encodeLargeBody(await upload.seal());
    } catch (error) {
      return this.#unspooled(error, meta);
    }
    const refusal = await this.#spool(meta, [body], receivedAtMs, true);
    if (refusal === null) upload.keep();
    return refusal;
  }

  async #spool(
    meta: RequestMeta,
    body: readonly Uint8Array[],
    receivedAtMs: number,
    isLarge = false,
  ): Promise<readonly RateLimit[] | null> {
    try {
      await this.store(meta, body, receivedAtMs, isLarge);
    } catch (error) {
      return this.#unspooled(error, meta);
    }
    this.#o.metrics.add(METRICS.envelopesAccepted);
    return null;
  }

  /**
   * Puts a record on disk that no policy is asked about.
   *
   * @throws {SpoolError} it is refused
   */
  async store(
    meta: RequestMeta,
    body: readonly Uint8Array[],
    receivedAtMs: number = this.#o.clock.now(),
    isLarge = false,
  ): Promise<void> {
    await this.#o.sink.append(spoolRecord({ meta, body, receivedAtMs, isLarge }));
  }

  #knownItems(items: readonly EnvelopeItem[], scope: OutcomeScope): readonly EnvelopeItem[] {
    if (this.#o.acceptUnknownItems) return items;
    const known = items.filter(({ type }) => type.type !== "unknown");
    const unknown = items.length - known.length;
    if (unknown > 0) this.#o.ledger.count(scope, "invalid", "unknown_item", [["default", unknown]]);
    return known;
  }

  #refused(
    { reason, name }: AdmissionVerdict & { kind: "refused" },
    scope: OutcomeScope,
    quantities: readonly Quantity[],
  ): RequestError {
    this.#o.ledger.count(scope, "invalid", reason, quantities);
    return RequestError.json(403, reason, `event submission rejected with_reason: ${name}`);
  }

  #countDropped(scope: OutcomeScope, dropped: readonly (LimitedQuantity & Partial<PolicedQuantity>)[]): void {
    for (const { outcome = "rate_limited", category, quantity, reason } of dropped) {
      this.#o.ledger.count(scope, outcome, reason ?? "none", [[category, quantity]]);
    }
  }

  #checkSizes(scope: OutcomeScope, items: readonly EnvelopeItem[]): void {
    try {
      checkItemLimits({ items }, this.#o.itemLimits);
    } catch (error) {
      if (error instanceof RequestError) {
        this.#o.ledger.count(scope, "invalid", error.reason, totalQuantities(items));
      }
      throw error;
    }
  }

  /** No room is a limit for everything, which SDKs honour; a disk that fails is a 503, so that a balancer goes elsewhere. */
  #unspooled(
    error: unknown,
    meta: Pick<RequestMeta, "key" | "projectId" | "quantities">,
  ): readonly RateLimit[] {
    const { ledger, clock } = this.#o;
    if (!(error instanceof SpoolError)) throw error;
    if (!error.isFull) {
      ledger.count(meta, "invalid", "queue_failed", meta.quantities);
      throw RequestError.json(503, "queue_failed", "failed to queue envelope");
    }
    ledger.count(meta, "rate_limited", SPOOL_FULL, meta.quantities);
    return [this.#o.pressure.fullLimit(clock.now())];
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
  if (areWhole(kept, items) && !dropsDsn) return null;
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
