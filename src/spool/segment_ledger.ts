/**
 * What is settled in which segment of a partition: kept in memory, written to the checkpoint, and turned into deleted
 * files.
 *
 * A segment's file goes first and its entry in the checkpoint second. In the other order a crash between the two would
 * send the whole segment again; in this one it leaves an entry for a file that is gone, which harms nobody because
 * its number is never given away again. The file of a large body goes the other way round, after the checkpoint that
 * calls its record settled: a record that is read again must find it.
 *
 * A segment of which only little is left is made to take less room (segment_shrinker.ts), one after each checkpoint.
 *
 * A checkpoint names every gap, and there are many when some projects wait and others do not; so the time between two
 * grows with what one takes, to {@link WRITE_PAUSES} times that.
 */
import type { Clock, Timer } from "../core/clock.ts";
import { METRICS } from "../telemetry/catalogue.ts";
import { logger } from "../telemetry/log.ts";
import type { Metrics } from "../telemetry/registry.ts";
import { type Checkpoint, writeCheckpoint } from "./checkpoint.ts";
import type { SpaceBudget } from "./disk_budget.ts";
import { type LargeBody, largePath, removeIfThere } from "./large_body.ts";
import { RangeSet } from "./range_set.ts";
import { planShrink, type ShrinkPlan, shrinkSegment } from "./segment_shrinker.ts";
import { type SegmentFile, segmentPath } from "./segment_name.ts";
import type { Storage } from "./storage.ts";

/** Times longer than the last checkpoint took that the next one waits at least. */
const WRITE_PAUSES = 20;
/** Time after a segment could not be shrunk before another one is tried. */
const SHRINK_RETRY_MS = 60_000;

/** Options of {@link SegmentLedger}. */
export interface LedgerOptions {
  readonly storage: Storage;
  readonly folder: string;
  readonly budget: SpaceBudget;
  readonly clock: Clock;
  readonly metrics: Metrics;
  /** What the file-system keeps or leaves out as one, bytes; default as `planShrink`. */
  readonly blockBytes?: number | undefined;
  /** Longest time a settlement stays in memory only as long as checkpoints are quick, ms. */
  readonly checkpointIntervalMs: number;
}

interface Segment {
  readonly settled: RangeSet;
  /** Length once the segment is complete and read to its end. */
  end: number | null;
  /** Bytes of its length that it does not occupy. */
  saved: number;
}

/** Settlements of one partition. */
export class SegmentLedger {
  readonly #o: LedgerOptions;
  readonly #segments = new Map<number, Segment>();
  #highest: number;
  /** Segments of which nothing is needed any more, with their lengths. */
  readonly #finished = new Map<number, number>();
  /** Large bodies whose records are settled. */
  #bodies: LargeBody[] = [];
  #isDirty = false;
  /** Monotonic time from which on a segment may be shrunk, ms. */
  #shrinkFromMs = -Infinity;
  #writeMs = 0;
  #isClosed = false;
  #timer: Timer | null = null;
  #busy: Promise<void> = Promise.resolve();

  /** Starts from a checkpoint, of which only what concerns existing segments is kept. */
  constructor(options: LedgerOptions, checkpoint: Checkpoint, existing: readonly SegmentFile[]) {
    this.#o = options;
    this.#highest = Math.max(checkpoint.highest, existing.at(-1)?.number ?? 0);
    for (const { number, bytes, length } of existing) {
      const bounds = checkpoint.segments.get(number) ?? [];
      const saved = length - bytes;
      if (bounds.length + saved === 0) continue;
      this.#segments.set(number, { settled: RangeSet.from(bounds), end: null, saved });
    }
  }

  /** Where the settled range ends that the byte at `offset` is part of, or undefined. */
  settledUntil(number: number, offset: number): number | undefined {
    return this.#segments.get(number)?.settled.endAround(offset);
  }

  /** Notes that these bytes of a segment need not be read again. Each byte at most once. */
  settle(number: number, from: number, to: number): void {
    const segment = this.#segment(number);
    segment.settled.add(from, to);
    this.#change(number, segment);
  }

  /** The same for bytes without records, some of which may be settled. */
  settleGap(number: number, from: number, to: number): void {
    const segment = this.#segment(number);
    segment.settled.fill(from, to);
    this.#change(number, segment);
  }

  /** Notes that the body of a settled record is not needed any more. */
  discard(body: LargeBody): void {
    this.#bodies.push(body);
  }

  /** Notes that a segment is complete and was read to its end. */
  finish(number: number, end: number): void {
    const segment = this.#segment(number);
    segment.end = end;
    this.#change(number, segment);
  }

  /** Forgets a segment whose file is gone. */
  forget(number: number): void {
    this.#segments.delete(number);
  }

  /**
   * Deletes what is finished and writes the checkpoint, after those under way.
   *
   * @throws {StorageError} nothing is forgotten; the next one tries again
   */
  checkpoint(): Promise<void> {
    this.#timer?.cancel();
    this.#timer = null;
    const turn = this.#busy.then(() => this.#write());
    this.#busy = turn.catch(() => {});
    return turn;
  }

  /** Writes the last checkpoint; afterwards nothing happens by itself. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await this.checkpoint();
  }

  #segment(number: number): Segment {
    let segment = this.#segments.get(number);
    if (!segment) this.#segments.set(number, segment = { settled: new RangeSet(), end: null, saved: 0 });
    if (number > this.#highest) this.#highest = number;
    return segment;
  }

  #change(number: number, segment: Segment): void {
    const { settled, end } = segment;
    if (end !== null && settled.prefix >= end) this.#finished.set(number, end);
    this.#isDirty = true;
    this.#schedule();
  }

  #schedule(): void {
    if (this.#isClosed) return;
    const delayMs = Math.max(this.#o.checkpointIntervalMs, WRITE_PAUSES * this.#writeMs);
    this.#timer ??= this.#o.clock.after(delayMs, () => {
      this.checkpoint().catch((error) => {
        logger("spool").error("The checkpoint cannot be written", { folder: this.#o.folder, error });
      });
    });
  }

  async #write(): Promise<void> {
    if (!this.#isDirty) return;
    this.#isDirty = false;
    const bodies = this.#bodies;
    this.#bodies = [];
    const startMs = this.#o.clock.monotonic();
    try {
      const failures = await this.#deleteFinished();
      const plans: ShrinkPlan[] = [];
      const segments = this.#bounds(plans);
      await writeCheckpoint(this.#o.storage, this.#o.folder, { highest: this.#highest, segments });
      this.#writeMs = this.#o.clock.monotonic() - startMs;
      failures.push(...await this.#deleteBodies(bodies.splice(0)));
      for (const plan of plans) await this.#shrink(plan);
      if (failures.length > 0) throw failures[0];
    } catch (error) {
      this.#bodies.push(...bodies);
      this.#isDirty = true;
      this.#schedule();
      throw error;
    }
  }

  /** What the checkpoint is to say. The first segment that this allows to be shrunk goes into `plans`. */
  *#bounds(plans: ShrinkPlan[]): Generator<readonly [number, readonly number[]]> {
    const mayShrink = !this.#isClosed && this.#o.clock.monotonic() >= this.#shrinkFromMs;
    for (const [segment, { settled, end, saved }] of this.#segments) {
      const bounds = settled.bounds();
      if (bounds.length > 0) yield [segment, bounds];
      if (!mayShrink || plans.length > 0 || end === null || settled.prefix >= end) continue;
      const { blockBytes } = this.#o;
      const plan = planShrink({ segment, end, bounds, occupied: end - saved, blockBytes });
      if (plan) plans.push(plan);
    }
  }

  async #shrink(plan: ShrinkPlan): Promise<void> {
    const { storage, folder, budget, clock, metrics } = this.#o;
    const segment = this.#segment(plan.segment);
    const before = plan.end - segment.saved;
    try {
      const after = await shrinkSegment(storage, folder, plan, before);
      if (after === null) {
        this.#shrinkFromMs = Infinity;
        return logger("spool").warn("The file-system keeps no holes; segments go as a whole", { folder });
      }
      segment.saved = plan.end - after;
      budget.release(before - after);
      metrics.add(METRICS.spoolShrunk);
      metrics.add(METRICS.spoolShrunkBytes, before - after);
      // There may be more of them.
      this.#change(plan.segment, segment);
    } catch (error) {
      this.#shrinkFromMs = clock.monotonic() + SHRINK_RETRY_MS;
      logger("spool").warn("A segment could not be shrunk", { folder, segment: plan.segment, error });
    }
  }

  /** Deletes what is finished; what cannot be deleted stays finished. */
  async #deleteFinished(): Promise<unknown[]> {
    const { storage, folder, budget } = this.#o;
    const failures: unknown[] = [];
    for (const [number, end] of [...this.#finished]) {
      try {
        // What somebody else deleted leaves the budget when the spool is measured (space_watch.ts).
        const { saved } = this.#segment(number);
        if (await removeIfThere(storage, segmentPath(folder, number))) budget.release(end - saved);
        this.#finished.delete(number);
        this.#segments.delete(number);
      } catch (error) {
        failures.push(error);
      }
    }
    return failures;
  }

  async #deleteBodies(bodies: readonly LargeBody[]): Promise<unknown[]> {
    const { storage, folder, budget } = this.#o;
    const failures: unknown[] = [];
    for (const body of bodies) {
      try {
        if (await removeIfThere(storage, largePath(folder, body.name))) budget.release(body.bytes);
      } catch (error) {
        this.#bodies.push(body);
        failures.push(error);
      }
    }
    return failures;
  }
}
