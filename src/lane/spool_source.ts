/**
 * What the forwarder works on: records of the lane's partition, policed once more, each settled exactly once.
 *
 * Policy runs again here because a record may have waited: its project may have been closed, a limit learned, its time
 * run out. What a limit takes out of an envelope is cut out; the rest travels.
 *
 * What cannot be sent waits without standing in anybody's way. A record whose project's state is not known yet is given
 * back, and its project put on hold until the state comes. A record that is to be tried again, or is large and has no turn
 * yet, waits by its place alone (waiting_records.ts) and is read again when it may go.
 */
import type { Clock } from "../core/clock.ts";
import type { OutcomeLedger } from "../outcomes/outcome_ledger.ts";
import type { Admission } from "../projects/admission.ts";
import { enforceLimits, type Enforcement, matchingLimits } from "../projects/enforce_limits.ts";
import type { ItemPolicy, PolicedQuantity } from "../projects/item_policy.ts";
import { ownedLimits } from "../projects/rate_limit_table.ts";
import type { ProjectState } from "../projects/project_state.ts";
import type { Envelope, EnvelopeItem } from "../protocol/envelope.ts";
import { totalQuantities } from "../protocol/item_type.ts";
import type { Reason } from "../protocol/outcome.ts";
import type { RateLimit } from "../protocol/rate_limit.ts";
import { decodeRequestMeta, type RequestMeta } from "../protocol/request_meta.ts";
import { encodeLargeBody } from "../spool/large_body.ts";
import type { DeadLetter } from "../spool/dead_letter.ts";
import type { PartitionReader, RecordPosition, StoredRecord } from "../spool/partition_reader.ts";
import { SpoolError } from "../spool/spool_error.ts";
import { logger } from "../telemetry/log.ts";
import type { Metrics } from "../telemetry/registry.ts";
import type { BodyEncoder } from "../upstream/body_encoding.ts";
import type { ForwardResult } from "../upstream/classify.ts";
import type { ForwardJob, ForwardSource } from "../upstream/forwarder.ts";
import { type ReadEnvelope, readEnvelope, streamOf } from "./job_envelope.ts";
import { type ParkedRecord, parkedRecord, type RecordHistory } from "./parked_records.ts";
import { PendingProjects } from "./pending_projects.ts";
import { WaitingRecords } from "./waiting_records.ts";

const log = logger("lane");

/** Pause after the disk could not be read. */
const DISK_PAUSE_MS = 1000;

/** Options of {@link SpoolSource}. */
export interface SpoolSourceOptions {
  readonly reader: PartitionReader;
  readonly deadLetter: DeadLetter;
  readonly admission: Admission;
  readonly encoder: BodyEncoder;
  readonly clock: Clock;
  readonly metrics: Metrics;
  readonly ledger: OutcomeLedger;
  readonly policy: ItemPolicy;
  /** Records older than this are dropped, ms. */
  readonly recordAgeMsMax: number;
  /** Most records under way at once whose bodies have files of their own. */
  readonly largeConcurrentMax: number;
  /** The upstream announced limits for a key, a project or an organisation. */
  readonly onLimits: (owner: string, limits: readonly RateLimit[]) => void;
  /** Records wait for the state of this key. */
  readonly onWanted: (key: string) => void;
}

/** A record on its way upstream. */
interface SpoolJob extends ForwardJob, RecordHistory {
  readonly record: StoredRecord;
  readonly position: RecordPosition;
}

const NEW: RecordHistory = { attempts: 0, serverErrors: 0, isCounted: false, policedItems: null };

/** What a record is held against once more. */
interface Rules {
  readonly limits: readonly RateLimit[];
  /** Of the project whose own rules are still to be asked. */
  readonly state: ProjectState | null;
}

/** {@link ForwardSource} over a partition. */
export class SpoolSource implements ForwardSource<SpoolJob> {
  readonly #o: SpoolSourceOptions;
  readonly #pending = new PendingProjects();
  readonly #waiting: WaitingRecords;
  #pausedUntilMs = -Infinity;
  /** Whether the last job was a parked one; the next is not then, so that they cannot keep fresh records out. */
  #wasParked = false;

  constructor(options: SpoolSourceOptions) {
    this.#o = options;
    this.#waiting = new WaitingRecords(options.reader, () => options.largeConcurrentMax);
  }

  /** Most of the time the record is in memory already, and then nothing is awaited. */
  next(): SpoolJob | null | Promise<SpoolJob | null> {
    const job = this.#next();
    return job instanceof Promise ? job.then((found) => this.#started(found)) : this.#started(job);
  }

  #started(job: SpoolJob | null): SpoolJob | null {
    if (job?.stream) this.#waiting.large.started();
    return job;
  }

  #ended({ stream }: SpoolJob): void {
    if (stream) this.#waiting.large.ended();
  }

  #next(): SpoolJob | null | Promise<SpoolJob | null> {
    const now = this.#o.clock.monotonic();
    if (now < this.#pausedUntilMs) return null;
    const isDue = this.#waiting.isDue(now);
    if (isDue && !this.#wasParked || this.#waiting.isFull) return this.#find(null);
    this.#wasParked = false;
    const record = this.#o.reader.next();
    if (record === null) return isDue ? this.#find(null) : null;
    if (record instanceof Promise) return this.#find(record);
    const job = this.#police(record, record.position, NEW);
    return job === null || job instanceof Promise ? this.#find(job) : job;
  }

  /** Goes on until there is a job or nothing to read. */
  async #find(first: Promise<StoredRecord | SpoolJob | null> | null): Promise<SpoolJob | null> {
    const { clock, reader } = this.#o;
    try {
      let found = await first;
      for (;;) {
        if (found && "record" in found) return found;
        const job = found && await this.#police(found, found.position, NEW);
        if (job) return job;
        const parked = this.#waiting.take(clock.monotonic());
        const again = parked && await this.#again(parked);
        if (again) {
          this.#wasParked = true;
          return again;
        }
        if (parked) found = null;
        else if (this.#waiting.isFull || (found = await reader.next()) === null) return null;
      }
    } catch (error) {
      if (!(error instanceof SpoolError)) throw error;
      log.error("the spool cannot be read: {error}", { error });
      this.#pausedUntilMs = clock.monotonic() + DISK_PAUSE_MS;
      return null;
    }
  }

  async wait(signal: AbortSignal): Promise<void> {
    const { clock, reader } = this.#o;
    const now = clock.monotonic();
    if (now < this.#pausedUntilMs) return await clock.sleep(this.#pausedUntilMs - now, signal);
    // A turn that came up since nothing was found.
    if (this.#waiting.large.isDue) return;
    const stop = new AbortController();
    const abort = (): void => stop.abort();
    signal.addEventListener("abort", abort, { once: true });
    const due = this.#waiting.nextDueMs;
    const timer = due === Infinity ? null : clock.after(Math.max(0, due - now), abort);
    this.#waiting.large.onTurn = abort;
    if (!this.#waiting.isFull) await reader.wait(stop.signal);
    else await new Promise((resolve) => stop.signal.addEventListener("abort", resolve, { once: true }));
    this.#waiting.large.onTurn = null;
    timer?.cancel();
    signal.removeEventListener("abort", abort);
  }

  settle(job: SpoolJob, result: ForwardResult): void {
    this.#ended(job);
    const { ledger, clock, admission, onLimits, reader } = this.#o;
    const { key, quantities } = job.meta;
    if (result.kind === "delivered") ledger.countHere("accepted", "none", quantities);
    else if (result.kind === "rate_limited") {
      for (const { owner, limits } of ownedLimits(key, admission.stateOf(key), result.limits)) {
        admission.limits.learn(owner, limits, clock.now());
        onLimits(owner, limits);
      }
      ledger.countHere("rate_limited", result.limits[0]?.reason ?? "generic", quantities);
    } else this.#countLost(job.meta, result);
    reader.settle(job.position);
  }

  /** New states came: what waited for them goes on. */
  projectsChanged(): void {
    const { admission, reader, onWanted } = this.#o;
    this.#pending.prune((projectHash) => reader.isOnHold(projectHash));
    const isPending = (key: string): boolean => admission.projects.lookup(key).kind === "pending";
    for (const projectHash of this.#pending.takeKnown(isPending, onWanted)) {
      this.#waiting.release(projectHash);
    }
  }

  retryLater(job: SpoolJob, delayMs: number, result: ForwardResult): void {
    this.#ended(job);
    const attempts = job.attempts + 1;
    const serverErrors = job.serverErrors + (result.kind === "server_error" ? 1 : 0);
    const dueMs = this.#o.clock.monotonic() + delayMs;
    this.#waiting.park(parkedRecord({ ...job, attempts, serverErrors }, dueMs));
  }

  postpone(job: SpoolJob, upstream: string): void {
    this.#ended(job);
    this.#waiting.postpone(parkedRecord(job, Infinity), upstream);
  }

  resume(upstream: string): boolean {
    return this.#waiting.resume(upstream, this.#o.clock.monotonic());
  }

  async deadLetter(job: SpoolJob, result: ForwardResult): Promise<void> {
    this.#ended(job);
    const { deadLetter, reader } = this.#o;
    const { receivedAtMs, projectHash, categoryBits, meta, body, large } = job.record;
    const stored = large ? { body: [encodeLargeBody(large)], isLarge: true } : { body: [body] };
    const reason = "message" in result ? result.message : result.kind;
    try {
      await deadLetter.append({ receivedAtMs, projectHash, categoryBits, meta, ...stored }, reason);
    } catch (error) {
      if (!(error instanceof SpoolError)) throw error;
      log.error("a rejected record could not be kept: {error}", { error });
    }
    this.#countLost(job.meta, result);
    reader.settle(job.position);
  }

  lost(job: SpoolJob): void {
    const { meta, position } = job;
    this.#ended(job);
    this.#o.ledger.count(meta, "invalid", "corrupt_record", meta.quantities);
    this.#o.reader.settle(position);
  }

  #countLost({ quantities }: RequestMeta, { kind }: ForwardResult): void {
    const reason: Reason = kind === "rejected" ? "upstream_rejected" : "upstream_error";
    this.#o.ledger.countHere("invalid", reason, quantities);
  }

  async #again({ position, history }: ParkedRecord): Promise<SpoolJob | null> {
    const { reader, ledger } = this.#o;
    try {
      const record = await reader.reread(position);
      return await this.#police(record, position, history);
    } catch (error) {
      if (!(error instanceof SpoolError)) throw error;
      log.error("a record that waited for a retry cannot be read: {error}", { error });
      ledger.countHere("invalid", "corrupt_record", []);
      reader.settle(position);
      return null;
    }
  }

  /** The job for a record, or `null` when policy let nothing of it pass. */
  #police(
    record: StoredRecord,
    position: RecordPosition,
    history: RecordHistory,
  ): SpoolJob | null | Promise<SpoolJob | null> {
    const { clock, admission, recordAgeMsMax } = this.#o;
    const meta = this.#metaOf(record, position);
    if (meta === null) return null;
    const nowMs = clock.now();
    const isTooOld = nowMs - record.receivedAtMs > recordAgeMsMax && !record.requeued;
    if (isTooOld) return this.#drop(position, meta, "timestamp");
    const verdict = admission.decide(meta, nowMs, record.receivedAtMs);
    if (verdict.kind === "refused") return this.#drop(position, meta, verdict.reason);
    if (verdict.kind === "pending") return this.#waitFor(meta.key, record);
    const { receivedAtMs, body, large } = record;
    if (large && !this.#waiting.large.isFree) return this.#waitForTurn(record, position, history);
    // A request that named no project waits for nothing else: its key says where it belongs, once that is known.
    const settled = meta.projectId === "" ? { ...meta, projectId: verdict.projectId } : meta;
    const job = {
      meta: settled,
      record,
      position,
      ...history,
      receivedAtMs,
      body,
      stream: large && streamOf(this.#o.reader, large),
    };
    const applied = matchingLimits(meta.quantities, verdict.limits, nowMs);
    const state = this.#rulesFor(meta, verdict.state);
    if (applied.length === 0 && state === null) return job;
    return meta.passthrough
      ? this.#policeWhole(job, applied, state, nowMs)
      : this.#limited(job, { limits: verdict.limits, state }, nowMs);
  }

  /** The state whose rules are still to be asked about a record: it came before its project was known. */
  #rulesFor({ isPoliced }: RequestMeta, state: ProjectState | null): ProjectState | null {
    const isAsked = isPoliced || state === null || !this.#o.policy.hasRules(state);
    return isAsked ? null : state;
  }

  #waitFor(key: string, record: StoredRecord): null {
    const { reader, onWanted } = this.#o;
    this.#pending.add(key, record.projectHash);
    reader.giveBack(record);
    onWanted(key);
    return null;
  }

  #waitForTurn({ projectHash }: StoredRecord, position: RecordPosition, history: RecordHistory): null {
    this.#waiting.awaitTurn({ position, projectHash, history });
    return null;
  }

  #metaOf(record: StoredRecord, position: RecordPosition): RequestMeta | null {
    try {
      return decodeRequestMeta(record.meta);
    } catch (error) {
      if (!(error instanceof SyntaxError)) throw error;
      this.#o.ledger.countHere("invalid", "corrupt_record", []);
      this.#o.reader.settle(position);
      return null;
    }
  }

  #drop(position: RecordPosition, meta: RequestMeta, reason: Reason): null {
    this.#o.ledger.count(meta, "invalid", reason, meta.quantities);
    this.#o.reader.settle(position);
    return null;
  }

  /** The same for a body that travels or falls as a whole. */
  #policeWhole(
    job: SpoolJob,
    applied: readonly RateLimit[],
    state: ProjectState | null,
    nowMs: number,
  ): SpoolJob | null {
    const { policy, ledger, reader } = this.#o;
    const { meta } = job;
    if (applied[0]) ledger.count(meta, "rate_limited", applied[0].reason ?? "none", meta.quantities);
    else {
      if (state === null || job.policedItems) return job;
      const { dropped } = policy.applyWhole(meta, state, nowMs);
      this.#countPoliced(meta, dropped);
      if (dropped.length === 0) return { ...job, policedItems: [] };
    }
    reader.settle(job.position);
    return null;
  }

  #countPoliced(meta: RequestMeta, dropped: readonly PolicedQuantity[]): void {
    for (const { outcome, category, quantity, reason } of dropped) {
      this.#o.ledger.count(meta, outcome, reason ?? "none", [[category, quantity]]);
    }
  }

  /** The job with what limits and, if they are still to be asked, the project's rules leave of it. */
  async #limited(job: SpoolJob, rules: Rules, nowMs: number): Promise<SpoolJob | null> {
    const read = await readEnvelope(job, this.#o.encoder);
    if (read === null) return job;
    const { envelope, keep } = read;
    const limited = enforceLimits(envelope.items, rules.limits, nowMs);
    const kept = rules.state ? this.#ask(job, envelope, limited.kept, rules.state, nowMs) : limited.kept;
    const asked = rules.state
      ? { ...job, policedItems: kept.map((item) => envelope.items.indexOf(item)) }
      : job;
    if (kept.length === envelope.items.length) return asked;
    return this.#cut(asked, { kept, dropped: limited.dropped }, keep);
  }

  /** The job with what is kept of its envelope, or `null` when that is nothing. */
  #cut(
    job: SpoolJob,
    { kept, dropped }: Pick<Enforcement, "kept" | "dropped">,
    keep: ReadEnvelope["keep"],
  ): SpoolJob | null {
    const { ledger, reader } = this.#o;
    if (!job.isCounted) {
      for (const { category, quantity, reason } of dropped) {
        ledger.count(job.meta, "rate_limited", reason ?? "none", [[category, quantity]]);
      }
    }
    if (kept.length === 0) {
      reader.settle(job.position);
      return null;
    }
    const meta: RequestMeta = { ...job.meta, contentEncoding: "", quantities: totalQuantities(kept) };
    return { ...job, meta, ...keep(kept), isCounted: true };
  }

  /** Asks the project's rules, or remembers what they said before an earlier try. */
  #ask(
    { meta, policedItems }: SpoolJob,
    envelope: Envelope,
    items: readonly EnvelopeItem[],
    state: ProjectState,
    nowMs: number,
  ): readonly EnvelopeItem[] {
    const { policy, admission } = this.#o;
    if (policedItems) return items.filter((item) => policedItems.includes(envelope.items.indexOf(item)));
    const { key, eventId, remoteAddr, userAgent } = meta;
    const policed = { envelope, items, key, eventId, remoteAddr, userAgent };
    const { kept, dropped } = policy.apply(policed, state, (key) => admission.stateOf(key), nowMs);
    this.#countPoliced(meta, dropped);
    return kept;
  }
}
