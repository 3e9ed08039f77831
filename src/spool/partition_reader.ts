/**
 * The forward half's end of a partition: records come out in the order they were made durable, each at least once.
 *
 * Reading and settling are apart. The reader is a cursor that goes once through the segments; where a record ended is
 * reported later and in any order by {@link PartitionReader.settle}, and a record nobody settles is read again after a
 * restart. Segments are opened one at a time and looked at no earlier than their turn comes, so opening a partition
 * costs the same however much waits in it.
 *
 * Of the segment being written only the bytes are read that the control block says are durable; every other one to
 * the end of its file.
 */
import type { Clock } from "../core/clock.ts";
import { METRICS } from "../telemetry/catalogue.ts";
import { logger } from "../telemetry/log.ts";
import type { Metrics } from "../telemetry/registry.ts";
import { CHECKPOINT_FILES, readCheckpoint } from "./checkpoint.ts";
import type { ControlBlock, WritePosition } from "./control_block.ts";
import type { SpaceBudget } from "./disk_budget.ts";
import type { RecordPosition } from "./record.ts";
import { SegmentLedger } from "./segment_ledger.ts";
import { DEAD_FOLDER, listSegments, type SegmentFile, segmentPath } from "./segment_name.ts";
import { type ScanStep, SegmentScanner } from "./segment_scanner.ts";
import { SpoolError } from "./spool_error.ts";
import { type Storage, StorageError, type StorageFile } from "./storage.ts";

export type { RecordPosition };

/** Failed reads in a row after which the rest of a complete segment is left where it is until the next start. */
const READ_ATTEMPTS_MAX = 5;

/** A record read from disk. `meta` and `body` may be held for any time, but pin up to 128 KiB around them. */
export interface StoredRecord {
  readonly position: RecordPosition;
  readonly receivedAtMs: number;
  readonly projectHash: number;
  readonly categoryBits: readonly [number, number];
  readonly meta: Uint8Array;
  readonly body: Uint8Array;
  /** Whether an earlier life of the reader may have handed it out already. */
  readonly redelivered: boolean;
}

/**
 * Bytes that will never come out.
 * - `corrupt`: a damaged record, or several if their headers are damaged
 * - `torn`: the end of a segment that a crash cut short; not acknowledged unless the disk lies
 * - `unreadable`: the disk fails there; kept, and tried again at the next start
 * - `missing`: the file is gone
 */
export interface SpoolLoss {
  readonly kind: "corrupt" | "torn" | "unreadable" | "missing";
  readonly segment: number;
  readonly offset: number;
  readonly bytes: number;
}

/** Options of {@link PartitionReader.open}. */
export interface PartitionReaderOptions {
  readonly storage: Storage;
  /** Folder of the partition. */
  readonly folder: string;
  readonly control: ControlBlock;
  readonly budget: SpaceBudget;
  readonly clock: Clock;
  readonly metrics: Metrics;
  /** Longest time a settlement stays in memory only, ms. */
  readonly checkpointIntervalMs: number;
  /** Bytes read at once unless a record is larger; default 128 KiB. */
  readonly chunkBytes?: number;
  /** Called for bytes that were skipped, so that they can be accounted for. */
  readonly onLoss?: (loss: SpoolLoss) => void;
}

/** The segment being read. */
interface Current {
  readonly number: number;
  readonly file: StorageFile;
  readonly scanner: SegmentScanner;
  /** Bytes known to be readable. */
  limit: number;
  /** Whether the segment is complete, and `limit` the length of its file. */
  isComplete: boolean;
}

/** Reader of one partition. */
export class PartitionReader {
  readonly #o: PartitionReaderOptions;
  readonly #ledger: SegmentLedger;
  /** Where the writer was when this reader was opened: what lies before may have been handed out already. */
  readonly #openedAt: WritePosition;
  /** Segments that existed then and are still to be read, the next one last. */
  readonly #existing: SegmentFile[];
  readonly #unsettled = new Set<RecordPosition>();
  /** Number to look for when those are read. */
  #following: number;
  #current: Current | null = null;
  #readAttempts = 0;

  private constructor(
    options: PartitionReaderOptions,
    ledger: SegmentLedger,
    openedAt: WritePosition,
    existing: readonly SegmentFile[],
    highest: number,
  ) {
    this.#o = options;
    this.#ledger = ledger;
    const last = existing.at(-1)?.number ?? 0;
    this.#existing = existing.toReversed();
    this.#openedAt = openedAt.segment > 0 ? openedAt : { segment: last + 1, offset: 0, sequence: 0 };
    this.#following = Math.max(highest, last, openedAt.segment - 1) + 1;
    options.control.reportRead(null, 0);
  }

  /**
   * Opens the partition for reading, whatever state a crash left it in.
   *
   * @throws {SpoolError} `io_error` when the folder or the checkpoint cannot be read
   */
  static async open(options: PartitionReaderOptions): Promise<PartitionReader> {
    const { storage, folder, control } = options;
    try {
      await storage.ensureFolder(folder);
      // Before the files are listed: whatever is created after that has this number or a higher one.
      const openedAt = control.position();
      const { segments, others } = await listSegments(storage, folder);
      const { state, ...checkpoint } = await readCheckpoint(storage, folder);
      const log = logger("spool");
      if (state === "damaged") log.warn("The checkpoint is damaged; everything is sent again", { folder });
      const foreign = others.filter((name) => name !== DEAD_FOLDER && !CHECKPOINT_FILES.has(name));
      if (foreign.length > 0) log.warn("Foreign files are ignored", { folder, files: foreign });
      const ledger = new SegmentLedger(options, checkpoint, segments.map(({ number }) => number));
      return new PartitionReader(options, ledger, openedAt, segments, checkpoint.highest);
    } catch (cause) {
      throw SpoolError.from(cause);
    }
  }

  /** Records handed out that are not settled. */
  get inHand(): number {
    return this.#unsettled.size;
  }

  /**
   * The next record, or null when there is nothing durable to read now; a promise only if the disk has to be read.
   * Must not be called again before that resolved.
   *
   * @throws {SpoolError} `io_error`: the disk cannot be read. Nothing was skipped; try again after a while.
   */
  next(): StoredRecord | null | Promise<StoredRecord | null> {
    const current = this.#current;
    if (!current) return this.#find(null);
    const step = this.#nextStep(current);
    if (step instanceof Promise || step.kind !== "record") return this.#find(step);
    return this.#handOut(current, step);
  }

  /** Resolves when there may be more to read, after a second at the latest, or as soon as `signal` aborts. */
  async wait(signal?: AbortSignal): Promise<void> {
    const { control, clock } = this.#o;
    const seen = control.wakes;
    if (!this.#mayHaveMore()) await control.wait(seen, clock, signal);
  }

  /** Notes that the record reached its end. It is on disk after the checkpoint interval; settling twice is harmless. */
  settle(position: RecordPosition): void {
    if (!this.#unsettled.delete(position)) return;
    this.#ledger.settle(position.segment, position.offset, position.offset + position.bytes);
    this.#o.metrics.add(METRICS.spoolSettled);
    this.#o.control.reportRead(null, this.#unsettled.size);
  }

  /**
   * Reads a record again that was handed out and is not settled.
   *
   * @throws {SpoolError} `io_error`: the disk fails, or the bytes are no longer what they were
   */
  async reread(position: RecordPosition): Promise<StoredRecord> {
    try {
      const { storage, folder } = this.#o;
      const file = await storage.open(segmentPath(folder, position.segment), "read");
      try {
        const step = await new SegmentScanner(file, position.offset).next(position.offset + position.bytes);
        if (step.kind !== "record") throw new StorageError("io", "The record is damaged");
        return this.#stored(step, position);
      } finally {
        file.close();
      }
    } catch (cause) {
      throw SpoolError.from(cause);
    }
  }

  /** Writes the checkpoint now and deletes the segments that are done. */
  async checkpoint(): Promise<void> {
    try {
      await this.#ledger.checkpoint();
    } catch (cause) {
      throw SpoolError.from(cause);
    }
  }

  /** Writes the last checkpoint; what is not settled is read again by the next reader. */
  async close(): Promise<void> {
    this.#current?.file.close();
    this.#current = null;
    try {
      await this.#ledger.close();
    } catch (cause) {
      throw SpoolError.from(cause);
    }
  }

  /** Goes on until there is a record or nothing to read. */
  async #find(step: ScanStep | Promise<ScanStep> | null): Promise<StoredRecord | null> {
    try {
      for (;;) {
        const current = this.#current;
        if (!current) {
          if (!await this.#openNext()) return null;
        } else {
          const done = await (step ?? this.#nextStep(current));
          this.#readAttempts = 0;
          step = null;
          if (done.kind === "record") return this.#handOut(current, done);
          if (done.kind === "gap") this.#skip(current, done.from, done.to, done.isCut);
          else if (!await this.#extend(current)) return null;
        }
      }
    } catch (cause) {
      if (++this.#readAttempts >= READ_ATTEMPTS_MAX) this.#leaveSegment();
      throw SpoolError.from(cause);
    }
  }

  #nextStep({ number, scanner, limit }: Current): ScanStep | Promise<ScanStep> {
    if (number <= this.#openedAt.segment) {
      const settled = this.#ledger.settledUntil(number, scanner.offset);
      if (settled !== undefined) scanner.offset = settled;
    }
    return scanner.next(limit);
  }

  /** Opens the next segment, skipping those that are gone; false when there is none yet. */
  async #openNext(): Promise<boolean> {
    const { storage, folder, chunkBytes } = this.#o;
    for (;;) {
      const upcoming = this.#upcoming();
      if (!upcoming) return false;
      const { number, bytes } = upcoming;
      try {
        const file = await storage.open(segmentPath(folder, number), "read");
        const scanner = new SegmentScanner(file, 0, chunkBytes);
        this.#current = { number, file, scanner, limit: 0, isComplete: false };
        this.#pass(number);
        return true;
      } catch (error) {
        if (!StorageError.isNotFound(error)) throw error;
        this.#ledger.forget(number);
        this.#pass(number);
        if (bytes > 0) {
          this.#o.budget.release(bytes);
          this.#lose("missing", number, 0, bytes);
        }
      }
    }
  }

  /** The segment after the current one and what is known to be in it; null as long as there is none. */
  #upcoming(): SegmentFile | null {
    const existing = this.#existing.at(-1);
    if (existing) return existing;
    const { segment, offset } = this.#o.control.position();
    if (this.#following < segment) return { number: this.#following, bytes: 0 };
    return this.#following === segment && offset > 0 ? { number: segment, bytes: offset } : null;
  }

  #pass(number: number): void {
    if (this.#existing.at(-1)?.number === number) this.#existing.pop();
    else this.#following = number + 1;
  }

  /** Called at the limit: moves it on, or ends the segment. False when there is nothing more yet. */
  async #extend(current: Current): Promise<boolean> {
    const written = this.#o.control.position();
    if (current.number === written.segment) {
      const hasMore = written.offset > current.limit;
      current.limit = written.offset;
      return hasMore;
    }
    if (!current.isComplete) {
      current.limit = await current.file.size();
      current.isComplete = true;
      return true;
    }
    this.#current = null;
    current.file.close();
    this.#ledger.finish(current.number, current.limit);
    return true;
  }

  #handOut(current: Current, step: ScanStep & { kind: "record" }): StoredRecord {
    const { control, metrics } = this.#o;
    const position = { segment: current.number, offset: step.offset, bytes: step.bytes };
    const record = this.#stored(step, position);
    this.#unsettled.add(position);
    if (record.redelivered) metrics.add(METRICS.duplicatesPossible);
    const first = control.firstSegment;
    const isCounted = first > 0 && current.number >= first;
    control.reportRead(isCounted ? step.header.sequence + 1 : null, this.#unsettled.size);
    return record;
  }

  #stored(step: ScanStep & { kind: "record" }, position: RecordPosition): StoredRecord {
    const { header, meta, body } = step;
    const { segment, offset } = this.#openedAt;
    return {
      position,
      receivedAtMs: header.receivedAtMs,
      projectHash: header.projectHash,
      categoryBits: [header.categoryLow, header.categoryHigh],
      meta,
      body,
      redelivered: position.segment < segment || position.segment === segment && position.offset < offset,
    };
  }

  /** Settles bytes that are no record. */
  #skip(current: Current, from: number, to: number, isCut: boolean): void {
    this.#ledger.settle(current.number, from, to);
    this.#lose(isCut && current.isComplete ? "torn" : "corrupt", current.number, from, to - from);
  }

  /** Gives up on a complete segment that cannot be read, without settling anything of it. */
  #leaveSegment(): void {
    const left = this.#current ?? this.#upcoming();
    if (!left || left.number === this.#o.control.position().segment) return;
    this.#readAttempts = 0;
    if (!this.#current) {
      this.#pass(left.number);
    } else {
      this.#current.file.close();
      this.#current = null;
    }
    const offset = "scanner" in left ? left.scanner.offset : 0;
    const end = "scanner" in left ? left.limit : left.bytes;
    this.#lose("unreadable", left.number, offset, Math.max(0, end - offset));
  }

  #lose(kind: SpoolLoss["kind"], segment: number, offset: number, bytes: number): void {
    const { metrics, folder, onLoss } = this.#o;
    if (kind === "torn") metrics.add(METRICS.spoolTornBytes, bytes);
    else metrics.add(METRICS.spoolCorrupt);
    logger("spool").warn("Bytes of a segment were skipped", { kind, folder, segment, offset, bytes });
    onLoss?.({ kind, segment, offset, bytes });
  }

  #mayHaveMore(): boolean {
    if (!this.#current) return this.#upcoming() !== null;
    const { segment, offset } = this.#o.control.position();
    return segment !== this.#current.number || offset > this.#current.limit;
  }
}
