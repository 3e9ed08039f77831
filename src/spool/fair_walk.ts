/**
 * Fairness between projects: what a walk finds, handed out in turns, one project after the other.
 *
 * Why: the log is in the order of arrival, so without this a project that sends a thousand times as much as the others
 * also gets a thousand turns for each of theirs, and theirs wait behind it. Here reading goes ahead of handing out: a few
 * records of each project are kept in memory, and what a project has beyond that is put off, as stretches of the log
 * that are read again when its turn comes. So a quiet project's record is found as fast as the log can be read.
 *
 * Limits: {@link FairLimits}. At the bound of what is put off (`stretch_list.ts`) reading waits until something was
 * handed out. What is put off is read twice. What is released from a hold comes as stretches, too, and is not bounded here.
 *
 * Within a project the order of the log is kept.
 */
import type { FairLimits } from "./fair_limits.ts";
import { stretchOf } from "./held_projects.ts";
import type { FoundRecord, SegmentWalk, SpoolLoss, Stretch } from "./segment_walk.ts";
import { StretchCursor, unread } from "./stretch_cursor.ts";
import { type RecordStretch, StretchList, type StretchPool } from "./stretch_list.ts";
import { type InLine, TurnLine } from "./turn_line.ts";

/** Records read ahead for each one handed out. */
const READ_AHEAD = 8;
/** Records of projects on hold that are passed over in one go. */
const DIVERTED_MAX = 256;
/** Failed reads of one stretch after which it is left where it is (unreadable_stretches.ts). */
const READ_ATTEMPTS_MAX = 5;

/** Options of {@link FairWalk}. */
export interface FairWalkOptions {
  readonly limits: FairLimits;
  /** Memory of what is put off. */
  readonly pool: StretchPool;
  readonly walk: SegmentWalk;
  /** A walk over stretches that were put off. */
  readonly openWalk: () => SegmentWalk;
  /** Called for each record that is read for the first time. */
  readonly onRead: (found: FoundRecord) => void;
  /** Takes a record whose project is on hold. */
  readonly divert: (found: FoundRecord) => boolean;
  /** When a record was received, on the monotonic clock, ms. */
  readonly receivedMs: (found: FoundRecord) => number;
  /** Whether reading has to wait because nothing more can be put on hold. */
  readonly isBlocked: () => boolean;
  /** Whether a record, and with it what lies behind it, has no place here any more. */
  readonly isStale: (found: FoundRecord) => boolean;
  /** Takes what has no place here any more; `found` is the first record of it that was not read before, if any. */
  readonly onStale: (left: readonly Stretch[], found: FoundRecord | null, recordsRead: number) => void;
  readonly onLoss: (loss: SpoolLoss) => void;
}

/** What is known of one project's records. */
interface Queue extends InLine<Queue> {
  readonly projectHash: number;
  /** In memory, the next one first. */
  held: FoundRecord[];
  /** Behind those, on disk: what was on hold, then what was put off. */
  readonly released: StretchList;
  readonly putOff: StretchList;
  /** Part of what is on disk is being read. */
  isRefilling: boolean;
  failures: number;
}

/** Hands out what a walk finds in turns. */
export class FairWalk {
  readonly #o: FairWalkOptions;
  readonly #cursor: StretchCursor;
  readonly #queues = new Map<number, Queue>();
  /** Those with something in memory, in the order of their turns. */
  readonly #ready = new TurnLine<Queue>();
  /** Those with nothing in memory but something on disk. */
  readonly #starving = new TurnLine<Queue>();
  #held = 0;
  #heldBytes = 0;
  #released = 0;
  #putOff = 0;
  #putOffBytes = 0;
  #stretches = 0;
  #reading: Promise<void> | null = null;
  /** The last read was of what is on disk for a project; the next is not then, so that others are found meanwhile. */
  #wasRefill = false;
  /** The last read of the walk found nothing. */
  #isDry = false;
  #failure: { readonly error: unknown } | null = null;

  constructor(options: FairWalkOptions) {
    this.#o = options;
    this.#cursor = new StretchCursor(options.openWalk);
  }

  /** Records that were read and not handed out. */
  get size(): number {
    return this.#held + this.#putOff + this.#released;
  }

  /** Whether a call of {@link FairWalk.next} may find something. */
  get mayHaveMore(): boolean {
    if (this.size > 0 || this.#reading !== null || this.#failure !== null) return true;
    return this.#o.walk.mayHaveMore && !this.#o.isBlocked();
  }

  /** Whether each record on the walk's way was read at least once. */
  get isThrough(): boolean {
    return this.#reading === null && this.#failure === null && !this.#o.walk.mayHaveMore;
  }

  /** Adds a stretch to the end of the walk's way. */
  add(stretch: Stretch): void {
    this.#o.walk.add(stretch);
  }

  /** Gives a project what was on hold of it, which comes before what was put off. */
  adopt(projectHash: number, released: StretchList): void {
    if (released.length === 0) return;
    const queue = this.#queueOf(projectHash);
    this.#released += released.records;
    queue.released.append(released);
    this.#settleState(queue);
  }

  /** Gives up everything of a project that was not handed out, oldest first. */
  evict(projectHash: number): StretchList {
    const evicted = new StretchList(this.#o.pool);
    const queue = this.#queues.get(projectHash);
    if (!queue) return evicted;
    for (const found of queue.held.splice(0)) {
      this.#forget(found);
      evicted.push(stretchOf(found, this.#o.receivedMs(found)));
    }
    this.#released -= queue.released.records;
    this.#uncount(queue.putOff);
    evicted.append(queue.released);
    evicted.append(queue.putOff);
    this.#settleState(queue);
    this.#closeIfDone();
    return evicted;
  }

  /**
   * The next record in turn, or null when there is none now; a promise only if the disk has to be read first.
   *
   * @throws {StorageError} nothing was skipped; the same call may be tried again
   */
  next(): FoundRecord | null | Promise<FoundRecord | null> {
    this.#isDry = false;
    this.#readAhead();
    const found = this.#take();
    if (found) return found;
    return this.#reading || this.#failure || this.#starving.first ? this.#nextLater() : null;
  }

  /** Gives files back, after what is being read. */
  async close(): Promise<void> {
    await this.#reading;
    this.#cursor.close();
    this.#o.walk.close();
  }

  async #nextLater(): Promise<FoundRecord | null> {
    for (;;) {
      await this.#reading;
      if (this.#failure) {
        const { error } = this.#failure;
        this.#failure = null;
        throw error;
      }
      const found = this.#take();
      if (found) return found;
      if (this.#isDry && !this.#starving.first) return null;
      this.#readAhead();
      if (!this.#reading && this.#held === 0 && !this.#starving.first) return null;
    }
  }

  #readAhead(): void {
    if (this.#reading || this.#failure) return;
    if (!this.#wasRefill) this.#readStarving();
    this.#wasRefill = false;
    const { putOffBytesMax, stretchesMax } = this.#o.limits;
    let stored = 0;
    for (let count = 0; stored < READ_AHEAD && count < DIVERTED_MAX && !this.#reading; count++) {
      if (this.#putOffBytes >= putOffBytesMax || this.#stretches >= stretchesMax) break;
      if (!this.#o.walk.mayHaveMore || this.#o.isBlocked()) break;
      const found = this.#o.walk.next();
      if (found === null) break;
      if (found instanceof Promise) {
        this.#read(found.then((later) => this.#storeLater(later)));
      } else if (this.#store(found)) stored++;
    }
    if (stored === 0) this.#readStarving();
  }

  #readStarving(): void {
    if (this.#reading) return;
    const queue = this.#starving.first;
    if (!queue || !this.#hasRoom(queue, null)) return;
    this.#wasRefill = true;
    this.#read(this.#refill(queue));
  }

  /** Keeps at most one read under way. Its failure waits for whoever asks next. */
  #read(work: Promise<void>): void {
    this.#reading = work
      .catch((error) => {
        this.#failure = { error };
      })
      .finally(() => {
        this.#reading = null;
        this.#closeIfDone();
      });
  }

  #storeLater(found: FoundRecord | null): void {
    this.#isDry = found === null;
    if (found) this.#store(found);
  }

  /** Whether the record was kept, in memory or as put off. */
  #store(found: FoundRecord): boolean {
    if (this.#o.isStale(found)) {
      this.#fallBehind(found);
      return false;
    }
    const isKept = !this.#o.divert(found);
    if (isKept) this.#keep(found);
    this.#o.onRead(found);
    return isKept;
  }

  #keep(found: FoundRecord): void {
    const queue = this.#queueOf(found.header.projectHash);
    const isNext = queue.putOff.length === 0 && queue.released.length === 0;
    if (isNext && this.#hasRoom(queue, found)) this.#hold(queue, found);
    else this.#postpone(queue, found);
  }

  #queueOf(projectHash: number): Queue {
    let queue = this.#queues.get(projectHash);
    if (!queue) {
      const { pool } = this.#o;
      const [released, putOff] = [new StretchList(pool), new StretchList(pool)];
      const nowhere = { line: null, before: null, behind: null };
      queue = { projectHash, held: [], released, putOff, isRefilling: false, failures: 0, ...nowhere };
      this.#queues.set(projectHash, queue);
    }
    return queue;
  }

  /** Puts a queue where it belongs by what it has. */
  #settleState(queue: Queue): void {
    const isOnDisk = queue.released.length > 0 || queue.putOff.length > 0;
    if (queue.held.length > 0) return this.#ready.join(queue);
    if (isOnDisk) return this.#starving.join(queue);
    queue.line?.leave(queue);
    if (!queue.isRefilling) this.#queues.delete(queue.projectHash);
  }

  #hasRoom({ held }: Queue, found: FoundRecord | null): boolean {
    const { perProject, heldMax, heldBytesMax } = this.#o.limits;
    if (this.#held === 0) return true;
    const bytes = this.#heldBytes + (found?.bytes ?? 0);
    return held.length < perProject && this.#held < heldMax && bytes <= heldBytesMax;
  }

  #hold(queue: Queue, found: FoundRecord): void {
    queue.held.push(found);
    this.#held++;
    this.#heldBytes += found.bytes;
    this.#settleState(queue);
  }

  #forget({ bytes }: FoundRecord): void {
    this.#held--;
    this.#heldBytes -= bytes;
  }

  #postpone(queue: Queue, found: FoundRecord): void {
    if (queue.putOff.push(stretchOf(found, this.#o.receivedMs(found)))) this.#stretches++;
    this.#putOff++;
    this.#putOffBytes += found.bytes;
    this.#settleState(queue);
  }

  #uncount({ length, records, bytes }: StretchList): void {
    this.#stretches -= length;
    this.#putOff -= records;
    this.#putOffBytes -= bytes;
  }

  /** The first record of the project whose turn it is; that project goes to the end of the line. */
  #take(): FoundRecord | null {
    for (let queue = this.#ready.first; queue; queue = this.#ready.first) {
      this.#ready.leave(queue);
      this.#shed(queue);
      const found = queue.held.shift();
      if (found) this.#forget(found);
      this.#settleState(queue);
      if (found) return found;
    }
    return null;
  }

  /** What was read before a stale record is stale as well, and has to be given away before it. */
  #fallBehind(found: FoundRecord): void {
    for (const queue of [...this.#queues.values()]) {
      this.#shed(queue);
      this.#giveAway(queue, null);
      this.#settleState(queue);
    }
    this.#o.onStale(this.#o.walk.leave(found), found, 0);
  }

  /** Gives away the records in memory that have become stale while they waited for their turn. */
  #shed({ held }: Queue): void {
    let count = 0;
    while (count < held.length && this.#o.isStale(held[count]!)) count++;
    if (count === 0) return;
    const left: Stretch[] = [];
    for (const found of held.splice(0, count)) {
      this.#forget(found);
      left.push(unread(stretchOf(found, 0)));
    }
    this.#o.onStale(left, null, count);
  }

  /** Reads a project's next records again from where they were put off. */
  async #refill(queue: Queue): Promise<void> {
    const isReleased = queue.released.length > 0;
    const stretch = this.#unlist(queue, isReleased);
    queue.isRefilling = true;
    let { from, records } = stretch;
    try {
      this.#cursor.open(stretch);
      while (from < stretch.to && this.#hasRoom(queue, null)) {
        const next = this.#cursor.next();
        const found = next instanceof Promise ? await next : next;
        if (!found) {
          from = stretch.to;
        } else if (queue.held.length === 0 && this.#o.isStale(found)) {
          this.#giveAway(queue, { ...stretch, from, records });
          from = stretch.to;
        } else {
          if (!this.#o.divert(found)) this.#hold(queue, found);
          from = found.offset + found.bytes;
          records--;
        }
      }
    } catch (error) {
      this.#cursor.close();
      if (++queue.failures < READ_ATTEMPTS_MAX) throw error;
      const { segment, to } = stretch;
      this.#o.onLoss({ kind: "unreadable", segment, offset: from, bytes: to - from });
      from = to;
    } finally {
      queue.isRefilling = false;
      if (from < stretch.to) this.#relist(queue, { ...stretch, from, records }, isReleased);
      else queue.failures = 0;
      this.#settleState(queue);
    }
  }

  /** Between two stretches the file stays open, but not longer than there are any. */
  #closeIfDone(): void {
    if (this.#reading === null && this.#putOff + this.#released === 0) this.#cursor.close();
  }

  #unlist({ released, putOff }: Queue, isReleased: boolean): RecordStretch {
    const stretch = (isReleased ? released : putOff).shift()!;
    if (isReleased) this.#released -= stretch.records;
    else this.#countPutOff(stretch, -1);
    return stretch;
  }

  #relist({ released, putOff }: Queue, stretch: RecordStretch, isReleased: boolean): void {
    (isReleased ? released : putOff).unshift(stretch);
    if (isReleased) this.#released += stretch.records;
    else this.#countPutOff(stretch, 1);
  }

  #countPutOff({ from, to, records }: RecordStretch, sign: 1 | -1): void {
    this.#stretches += sign;
    this.#putOff += sign * records;
    this.#putOffBytes += sign * (to - from);
  }

  /** Everything a project has put off goes to where stale records go. */
  #giveAway({ putOff }: Queue, first: RecordStretch | null): void {
    const left: Stretch[] = first ? [unread(first)] : [];
    const records = putOff.records + (first?.records ?? 0);
    this.#uncount(putOff);
    for (let stretch = putOff.shift(); stretch; stretch = putOff.shift()) left.push(unread(stretch));
    if (left.length > 0) this.#o.onStale(left, null, records);
  }
}
