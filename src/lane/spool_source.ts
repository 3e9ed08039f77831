/**
 * What the forwarder works on: records of the lane's partition, policed once more, each settled exactly once.
 *
 * Policy runs again here because a record may have waited: its project may have been closed, a limit learned, its time
 * run out. What a limit takes out of an envelope is cut out; the rest travels.
 *
 * What cannot be sent waits without standing in anybody's way. A record whose project's state is not known yet is given
 * back, and its project put on hold until the state comes. A record that is to be tried again, is large and has no turn
 * yet, or belongs to a trace of a project that is not known, waits by its place alone (waiting_records.ts) and is read
 * again when it may go.
 */
import type { Clock } from "../core/clock.ts";
import type { OutcomeLedger } from "../outcomes/outcome_ledger.ts";
import type { Admission } from "../projects/admission.ts";
import type { ItemPolicy } from "../projects/item_policy.ts";
import { ownedLimits } from "../projects/rate_limit_table.ts";
import type { Reason } from "../protocol/outcome.ts";
import type { RateLimit } from "../protocol/rate_limit.ts";
import { decodeRequestMeta, type RequestMeta } from "../protocol/request_meta.ts";
import { encodeLargeBody } from "../spool/large_body.ts";
import type { DeadLetter } from "../spool/dead_letter.ts";
import type { PartitionReader, RecordPosition, StoredRecord } from "../spool/partition_reader.ts";
import { RecordLost } from "../spool/read_record.ts";
import { SpoolError } from "../spool/spool_error.ts";
import { logger } from "../telemetry/log.ts";
import { METRICS } from "../telemetry/catalogue.ts";
import type { Metrics } from "../telemetry/registry.ts";
import type { BodyEncoder } from "../upstream/body_encoding.ts";
import type { ForwardResult } from "../upstream/classify.ts";
import type { ForwardSource } from "../upstream/forwarder.ts";
import { streamOf } from "./job_envelope.ts";
import { type ParkedRecord, parkedRecord, type RecordHistory } from "./parked_records.ts";
import { PendingProjects } from "./pending_projects.ts";
import { type PolicedJob, RecordPolicy } from "./record_policy.ts";
import { WaitingRecords } from "./waiting_records.ts";

const log = logger("lane");

/** Pause after the disk could not be read. */
const DISK_PAUSE_MS = 1000;

/** Until a record that waited and could not be read then is tried again. */
const REREAD_PAUSE_MS = 5000;

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
interface SpoolJob extends PolicedJob {
  readonly record: StoredRecord;
  readonly position: RecordPosition;
}

const NEW: RecordHistory = { attempts: 0, serverErrors: 0, isCounted: false, policedItems: null };

/** {@link ForwardSource} over a partition. */
export class SpoolSource implements ForwardSource<SpoolJob> {
  readonly #o: SpoolSourceOptions;
  readonly #pending = new PendingProjects();
  readonly #waiting: WaitingRecords;
  readonly #policy: RecordPolicy;
  #pausedUntilMs = -Infinity;
  /** Whether the last job was a parked one; the next is not then, so that they cannot keep fresh records out. */
  #wasParked = false;

  constructor(options: SpoolSourceOptions) {
    this.#o = options;
    this.#waiting = new WaitingRecords(options.reader, () => options.largeConcurrentMax);
    this.#policy = new RecordPolicy(options);
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
    // What came up since nothing was found.
    if (this.#waiting.isDue(now)) return;
    const stop = new AbortController();
    const abort = (): void => stop.abort();
    signal.addEventListener("abort", abort, { once: true });
    const due = this.#waiting.nextDueMs;
    const timer = due === Infinity ? null : clock.after(Math.max(0, due - now), abort);
    this.#waiting.onDue = abort;
    if (!this.#waiting.isFull) await reader.wait(stop.signal);
    else await new Promise((resolve) => stop.signal.addEventListener("abort", resolve, { once: true }));
    this.#waiting.onDue = null;
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
    const { clock, reader, onWanted } = this.#o;
    this.#pending.prune((projectHash) => reader.isOnHold(projectHash));
    const isPending = (key: string): boolean => this.#isPending(key);
    this.#waiting.rootsChanged(isPending, onWanted, clock.monotonic());
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

  async #again(parked: ParkedRecord): Promise<SpoolJob | null> {
    const { position, history } = parked;
    const { reader, ledger, clock, metrics } = this.#o;
    try {
      const record = await reader.reread(position);
      return await this.#police(record, position, history);
    } catch (error) {
      if (error instanceof SpoolError) {
        log.error("a record that waited cannot be read now: {error}", { error });
        this.#waiting.park({ ...parked, dueMs: clock.monotonic() + REREAD_PAUSE_MS });
        return null;
      }
      if (!(error instanceof RecordLost)) throw error;
      log.error("a record that waited is lost: {error}", { error });
      metrics.add(METRICS.spoolCorrupt);
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
    const isTooOld = clock.monotonic() - record.receivedMs > recordAgeMsMax && !record.requeued;
    if (isTooOld) return this.#drop(position, meta, "timestamp");
    const verdict = admission.decide(meta, nowMs, record.receivedAtMs);
    if (verdict.kind === "refused") return this.#drop(position, meta, verdict.reason);
    if (verdict.kind === "pending") return this.#waitFor(meta.key, record);
    if (this.#awaitsRoot(meta, record, position, history)) return null;
    const { receivedMs, body, large } = record;
    if (large && !this.#waiting.large.isFree) return this.#waitForTurn(record, position, history);
    // A request that named no project waits for nothing else: its key says where it belongs, once that is known.
    const settled = meta.projectId === "" ? { ...meta, projectId: verdict.projectId } : meta;
    const job = {
      meta: settled,
      record,
      position,
      ...history,
      receivedMs,
      body,
      stream: large && streamOf(this.#o.reader, large),
    };
    const left = this.#policy.apply(job, verdict, nowMs);
    return left instanceof Promise
      ? left.then((left) => left ?? this.#nothingLeft(position))
      : left ?? this.#nothingLeft(position);
  }

  #nothingLeft(position: RecordPosition): null {
    this.#o.reader.settle(position);
    return null;
  }

  #waitFor(key: string, record: StoredRecord): null {
    const { reader, onWanted } = this.#o;
    this.#pending.add(key, record.projectHash);
    reader.giveBack(record);
    onWanted(key);
    return null;
  }

  /** Whether the record waits for the project its trace began in; it does so alone, not its project. */
  #awaitsRoot(
    { isPoliced, rootKey }: RequestMeta,
    { projectHash }: StoredRecord,
    position: RecordPosition,
    history: RecordHistory,
  ): boolean {
    const { clock, onWanted } = this.#o;
    if (rootKey === undefined || isPoliced || history.policedItems || !this.#isPending(rootKey)) return false;
    onWanted(rootKey);
    return this.#waiting.awaitRoot(rootKey, { position, projectHash, history }, clock.monotonic());
  }

  #isPending(key: string): boolean {
    return this.#o.admission.projects.lookup(key).kind === "pending";
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
}
