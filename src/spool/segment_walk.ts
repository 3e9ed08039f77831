/**
 * A walk over a partition: goes once through stretches of segments, one file open at a time, and hands out what it
 * finds there.
 *
 * A reader has two of them. One follows the writer, from where it was when the reader was opened; the other goes through
 * the backlog, stretch by stretch. What the first one has no time for is handed to the second as further stretches, so
 * both stay sequential reads however deep the backlog is, and a stretch costs the same however much lies in it.
 *
 * Of the segment being written only the bytes are read that the control block says are durable; every other one to
 * the end of its file, unless its stretch ends before.
 */
import type { ControlBlock } from "./control_block.ts";
import type { SpaceBudget } from "./disk_budget.ts";
import type { SegmentLedger } from "./segment_ledger.ts";
import { segmentPath } from "./segment_name.ts";
import { type ScanStep, SegmentScanner } from "./segment_scanner.ts";
import { type Storage, StorageError, type StorageFile } from "./storage.ts";

/** Failed reads in a row after which the rest of a complete segment is left where it is (unreadable_stretches.ts). */
const READ_ATTEMPTS_MAX = 5;

/** A part of a segment that is to be read. */
export interface Stretch {
  readonly segment: number;
  readonly from: number;
  /** Where it ends; null for the end of the file. */
  readonly to: number | null;
  /** Length of the file when it was listed; null when it may never have been created. */
  readonly fileBytes: number | null;
}

/**
 * Bytes that will never come out.
 * - `corrupt`: a damaged record, or several if their headers are damaged
 * - `torn`: the end of a segment that a crash cut short; not acknowledged unless the disk lies
 * - `unreadable`: the disk fails there; kept, and tried again later
 * - `missing`: the file is gone
 */
export interface SpoolLoss {
  readonly kind: "corrupt" | "torn" | "unreadable" | "missing";
  readonly segment: number;
  readonly offset: number;
  readonly bytes: number;
}

/** A record as it was found. */
export type FoundRecord = ScanStep & { readonly kind: "record" } & { readonly segment: number };

/** Options of {@link SegmentWalk}. */
export interface SegmentWalkOptions {
  readonly storage: Storage;
  readonly folder: string;
  readonly control: ControlBlock;
  readonly budget: SpaceBudget;
  readonly ledger: SegmentLedger;
  readonly chunkBytes?: number;
  readonly onLoss: (loss: SpoolLoss) => void;
}

/** The segment being read. */
interface Current {
  stretch: Stretch;
  readonly file: StorageFile;
  readonly scanner: SegmentScanner;
  /** Bytes known to be readable. */
  limit: number;
  /** Whether `limit` is where the stretch ends. */
  isComplete: boolean;
}

/** Cursor over stretches, and behind them over what the writer appends if it follows it. */
export class SegmentWalk {
  readonly #o: SegmentWalkOptions;
  /** Stretches to come, the next one first. */
  readonly #stretches: Stretch[] = [];
  /** Segment to open when there is no stretch left; null for a walk that does not follow the writer. */
  #following: number | null = null;
  #current: Current | null = null;
  #readAttempts = 0;
  /** Whether the stretch gone to is read together with what lies behind it. */
  #readsAhead = false;

  constructor(options: SegmentWalkOptions) {
    this.#o = options;
  }

  /** Adds a stretch to the end of the way. */
  add(stretch: Stretch): void {
    const last = this.#stretches.at(-1);
    const continues = last?.segment === stretch.segment && last.to === stretch.from;
    if (continues) this.#stretches[this.#stretches.length - 1] = { ...stretch, from: last.from };
    else this.#stretches.push(stretch);
  }

  /** Goes to a stretch at once, whatever was to come; a file that is open is gone on with. */
  goTo(stretch: Stretch & { readonly to: number }, readsAhead: boolean): void {
    this.#stretches.length = 0;
    this.#readsAhead = readsAhead;
    const current = this.#current;
    if (current?.stretch.segment !== stretch.segment) {
      this.close();
      this.#stretches.push(stretch);
      return;
    }
    current.stretch = stretch;
    current.limit = stretch.to;
    current.isComplete = true;
    current.scanner.offset = stretch.from;
    current.scanner.readAheadTo = this.#readableTo(stretch.segment);
  }

  /** Goes on with the segments from `segment` on, as the writer makes them. */
  follow(segment: number): void {
    this.#following = segment;
  }

  /** Whether a call of {@link SegmentWalk.next} may find something. */
  get mayHaveMore(): boolean {
    const { segment, offset } = this.#o.control.position();
    if (this.#current) {
      const { stretch, scanner, limit, isComplete } = this.#current;
      if (scanner.offset < limit) return true;
      return isComplete || stretch.to !== null || segment !== stretch.segment || offset > limit;
    }
    if (this.#stretches.length > 0) return true;
    if (this.#following === null) return false;
    return segment > this.#following || segment === this.#following && offset > 0;
  }

  /**
   * The next record, or null when there is none now; a promise only if the disk has to be read.
   *
   * @throws {StorageError} nothing was skipped; the same call may be tried again
   */
  next(): FoundRecord | null | Promise<FoundRecord | null> {
    const current = this.#current;
    if (!current) return this.#find(null);
    const step = this.#step(current);
    if (step instanceof Promise || step.kind !== "record") return this.#find(step);
    return { ...step, segment: current.stretch.segment };
  }

  /**
   * Leaves everything from `found` on to somebody else, and goes on where the writer is now.
   *
   * @returns what is left behind
   */
  leave(found: FoundRecord): Stretch[] {
    const written = this.#o.control.position();
    const left: Stretch[] = [];
    let from = found.offset;
    for (let segment = found.segment; segment < written.segment; segment++, from = 0) {
      left.push({ segment, from, to: null, fileBytes: null });
    }
    if (written.offset > from) {
      left.push({ segment: written.segment, from, to: written.offset, fileBytes: null });
    }
    this.close();
    this.#stretches.length = 0;
    if (written.offset > 0) {
      this.#stretches.push({ segment: written.segment, from: written.offset, to: null, fileBytes: null });
    }
    this.#following = written.offset > 0 ? written.segment + 1 : written.segment;
    return left;
  }

  /** Gives the open file back. */
  close(): void {
    this.#current?.file.close();
    this.#current = null;
  }

  #step({ stretch: { segment }, scanner, limit }: Current): ScanStep | Promise<ScanStep> {
    const settled = this.#o.ledger.settledUntil(segment, scanner.offset);
    if (settled !== undefined) scanner.offset = settled;
    return scanner.next(limit);
  }

  /** Goes on until there is a record or nothing to read. */
  async #find(step: ScanStep | Promise<ScanStep> | null): Promise<FoundRecord | null> {
    try {
      for (;;) {
        const current = this.#current;
        if (!current) {
          if (!await this.#openNext()) return null;
          continue;
        }
        const done = await (step ?? this.#step(current));
        this.#readAttempts = 0;
        step = null;
        if (done.kind === "record") return { ...done, segment: current.stretch.segment };
        if (done.kind === "gap") this.#skip(current, done);
        else if (!await this.#extend(current)) return null;
      }
    } catch (cause) {
      if (this.#current && ++this.#readAttempts >= READ_ATTEMPTS_MAX) this.#giveUp(this.#current);
      throw cause;
    }
  }

  /** Opens the next segment, skipping those that are gone; false when there is none yet. */
  async #openNext(): Promise<boolean> {
    const { storage, folder, control, chunkBytes } = this.#o;
    for (;;) {
      const stretch = this.#stretches[0] ?? this.#followed();
      if (!stretch) return false;
      const { segment, from } = stretch;
      const written = control.position();
      // What was listed or read before exists, whether or not a writer has opened in this life.
      if (stretch.to === null) {
        if (segment > written.segment && stretch.fileBytes === null) return false;
        if (segment === written.segment && written.offset === 0) return false;
      }
      try {
        const file = await storage.open(segmentPath(folder, segment), "read");
        const scanner = new SegmentScanner(file, from, chunkBytes);
        scanner.readAheadTo = this.#readableTo(segment);
        this.#current = { stretch, file, scanner, limit: from, isComplete: false };
      } catch (error) {
        if (!StorageError.isNotFound(error)) throw error;
        this.#missing(stretch);
      }
      if (this.#stretches.length > 0) this.#stretches.shift();
      else this.#following!++;
      if (this.#current) return true;
    }
  }

  /** How far a segment may be read ahead: what the writer has not made durable may still change. */
  #readableTo(segment: number): number {
    if (!this.#readsAhead) return 0;
    const written = this.#o.control.position();
    return segment === written.segment ? written.offset : Infinity;
  }

  #followed(): Stretch | null {
    if (this.#following === null) return null;
    return { segment: this.#following, from: 0, to: null, fileBytes: null };
  }

  /** Called at the limit: moves it on, or ends the stretch. False when there is nothing more yet. */
  async #extend(current: Current): Promise<boolean> {
    const { segment, to } = current.stretch;
    if (!current.isComplete) {
      const written = this.#o.control.position();
      if (to !== null || segment !== written.segment) {
        current.limit = to ?? await current.file.size();
        current.isComplete = true;
        return true;
      }
      const hasMore = written.offset > current.limit;
      current.limit = written.offset;
      return hasMore;
    }
    this.close();
    if (to === null) this.#o.ledger.finish(segment, current.limit);
    return true;
  }

  /** Settles bytes that are no record. */
  #skip(
    { stretch: { segment, to }, isComplete }: Current,
    { from, to: end, isCut, isHole }: ScanStep & { readonly kind: "gap" },
  ): void {
    this.#o.ledger.settleGap(segment, from, end);
    if (isHole) return;
    const kind = isCut && isComplete && to === null ? "torn" : "corrupt";
    this.#o.onLoss({ kind, segment, offset: from, bytes: end - from });
  }

  /** Gives up on a complete segment that cannot be read, without settling anything of it. */
  #giveUp({ stretch: { segment }, scanner, limit, isComplete }: Current): void {
    if (!isComplete) return;
    this.#readAttempts = 0;
    this.close();
    this.#o.onLoss({ kind: "unreadable", segment, offset: scanner.offset, bytes: limit - scanner.offset });
  }

  #missing({ segment, fileBytes }: Stretch): void {
    this.#o.ledger.forget(segment);
    if (fileBytes === null) return;
    this.#o.budget.release(fileBytes);
    this.#o.onLoss({ kind: "missing", segment, offset: 0, bytes: fileBytes });
  }
}
