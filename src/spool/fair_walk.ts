/**
 * Fairness between projects: what a walk finds, handed out in turns, one project after the other.
 *
 * Why: the log is in the order of arrival, so without this a project that sends a thousand times as much as the others
 * also gets a thousand turns for each of theirs, and theirs wait behind it. Here reading goes ahead of handing out: a few
 * records of each project are held in memory, and what a project has beyond that is put off, as stretches of the log
 * that are read again when its turn comes. So a quiet project's record is found as fast as the log can be read.
 *
 * Limits: {@link FairLimits}. At the bound of what is put off (some 60 bytes of memory a stretch) reading waits until
 * something was handed out. What is put off is read twice.
 *
 * Within a project the order of the log is kept.
 */
import type { FoundRecord, SegmentWalk, SpoolLoss, Stretch } from "./segment_walk.ts";

/** Bounds of a {@link FairWalk}. */
export interface FairLimits {
  /** Records of one project in memory. */
  readonly perProject: number;
  /** Records in memory, and their bytes. */
  readonly heldMax: number;
  readonly heldBytesMax: number;
  /** How far reading goes ahead: bytes of log put off, and the stretches they make. */
  readonly putOffBytesMax: number;
  readonly stretchesMax: number;
}

/** What a lane uses. */
export const FAIR_LIMITS: FairLimits = {
  perProject: 64,
  heldMax: 1024,
  heldBytesMax: 8 * 1024 * 1024,
  putOffBytesMax: 256 * 1024 * 1024,
  stretchesMax: 100_000,
};
/** Records read ahead for each one handed out. */
const READ_AHEAD = 8;
/** Failed reads of one stretch after which it is left where it is until the next start. */
const READ_ATTEMPTS_MAX = 5;

/** Options of {@link FairWalk}. */
export interface FairWalkOptions {
  readonly limits: FairLimits;
  readonly walk: SegmentWalk;
  /** A walk over stretches that were put off. */
  readonly openWalk: () => SegmentWalk;
  /** Called for each record that is read for the first time. */
  readonly onRead: (found: FoundRecord) => void;
  /** Whether a record, and with it what lies behind it, has no place here any more. */
  readonly isStale: (found: FoundRecord) => boolean;
  /** Takes what has no place here any more; `found` is the first record of it that was not read before, if any. */
  readonly onStale: (left: readonly Stretch[], found: FoundRecord | null, recordsRead: number) => void;
  readonly onLoss: (loss: SpoolLoss) => void;
}

type PutOff = Stretch & { readonly to: number; readonly records: number };

/** What is known of one project's records. */
interface Queue {
  /** In memory, the next one first. */
  held: FoundRecord[];
  /** Behind those, on disk. */
  putOff: PutOff[];
  /** Part of what was put off is being read. */
  isRefilling: boolean;
  failures: number;
}

/** The walk over the stretch that was refilled from last; kept open, because it mostly goes on there. */
interface Source {
  readonly walk: SegmentWalk;
  /** Whose stretch it is; null while it is being read. */
  readonly queue: Queue | null;
  readonly segment: number;
  readonly from: number;
  readonly to: number;
}

/** Hands out what a walk finds in turns. */
export class FairWalk {
  readonly #o: FairWalkOptions;
  /** In the order of their turns. */
  readonly #queues = new Map<number, Queue>();
  /** Those with nothing in memory but something on disk. */
  readonly #starving = new Set<Queue>();
  #held = 0;
  #heldBytes = 0;
  #putOff = 0;
  #putOffBytes = 0;
  #stretches = 0;
  #source: Source | null = null;
  #reading: Promise<void> | null = null;
  /** The last read of the walk found nothing. */
  #isDry = false;
  #failure: { readonly error: unknown } | null = null;

  constructor(options: FairWalkOptions) {
    this.#o = options;
  }

  /** Records that were read and not handed out. */
  get size(): number {
    return this.#held + this.#putOff;
  }

  /** Whether a call of {@link FairWalk.next} may find something. */
  get mayHaveMore(): boolean {
    return this.size > 0 || this.#reading !== null || this.#failure !== null || this.#o.walk.mayHaveMore;
  }

  /** Adds a stretch to the end of the walk's way. */
  add(stretch: Stretch): void {
    this.#o.walk.add(stretch);
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
    return this.#reading || this.#failure ? this.#nextLater() : null;
  }

  /** Gives files back, after what is being read. */
  async close(): Promise<void> {
    await this.#reading;
    this.#closeSource();
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
      if (this.#isDry && this.#starving.size === 0) return null;
      this.#readAhead();
      if (!this.#reading && this.#held === 0) return null;
    }
  }

  #readAhead(): void {
    if (this.#reading || this.#failure) return;
    const { putOffBytesMax, stretchesMax } = this.#o.limits;
    for (const queue of this.#starving) return this.#read(this.#refill(queue));
    for (let count = 0; count < READ_AHEAD && this.#o.walk.mayHaveMore; count++) {
      if (this.#putOffBytes >= putOffBytesMax || this.#stretches >= stretchesMax) return;
      const found = this.#o.walk.next();
      if (found === null) return;
      if (found instanceof Promise) {
        return this.#read(found.then((later) => this.#storeLater(later)));
      }
      this.#store(found);
    }
  }

  /** Keeps at most one read under way. Its failure waits for whoever asks next. */
  #read(work: Promise<void>): void {
    this.#reading = work
      .catch((error) => {
        this.#failure = { error };
      })
      .finally(() => {
        this.#reading = null;
      });
  }

  #storeLater(found: FoundRecord | null): void {
    this.#isDry = found === null;
    if (found) this.#store(found);
  }

  #store(found: FoundRecord): void {
    if (this.#o.isStale(found)) return this.#fallBehind(found);
    const queue = this.#queueOf(found.header.projectHash);
    if (queue.putOff.length === 0 && this.#hasRoom(queue, found)) this.#hold(queue, found);
    else this.#postpone(queue, found);
    this.#o.onRead(found);
  }

  #queueOf(projectHash: number): Queue {
    let queue = this.#queues.get(projectHash);
    if (!queue) {
      this.#queues.set(projectHash, queue = { held: [], putOff: [], isRefilling: false, failures: 0 });
    }
    return queue;
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
    this.#starving.delete(queue);
  }

  #postpone(queue: Queue, { segment, offset, bytes }: FoundRecord): void {
    const last = queue.putOff.at(-1);
    if (last && last.segment === segment && last.to === offset) {
      queue.putOff[queue.putOff.length - 1] = { ...last, to: offset + bytes, records: last.records + 1 };
    } else {
      queue.putOff.push({ segment, from: offset, to: offset + bytes, fileBytes: null, records: 1 });
      this.#stretches++;
    }
    this.#putOff++;
    this.#putOffBytes += bytes;
    if (queue.held.length === 0) this.#starving.add(queue);
  }

  /** The first record of the project whose turn it is; that project goes to the end of the line. */
  #take(): FoundRecord | null {
    for (let turns = this.#queues.size; turns > 0; turns--) {
      const [projectHash, queue] = this.#queues.entries().next().value!;
      this.#shed(queue);
      const found = queue.held.shift();
      this.#queues.delete(projectHash);
      const isDone = queue.held.length === 0 && queue.putOff.length === 0 && !queue.isRefilling;
      if (!isDone) this.#queues.set(projectHash, queue);
      if (queue.held.length === 0 && queue.putOff.length > 0) this.#starving.add(queue);
      if (!found) continue;
      this.#held--;
      this.#heldBytes -= found.bytes;
      return found;
    }
    return null;
  }

  /** What was read before a stale record is stale as well, and has to be given away before it. */
  #fallBehind(found: FoundRecord): void {
    for (const queue of this.#queues.values()) {
      this.#shed(queue);
      if (queue.putOff.length > 0) this.#giveAway(queue, this.#unlist(queue));
    }
    this.#starving.clear();
    this.#o.onStale(this.#o.walk.leave(found), found, 0);
  }

  /** Gives away the records in memory that have become stale while they waited for their turn. */
  #shed({ held }: Queue): void {
    let count = 0;
    while (count < held.length && this.#o.isStale(held[count]!)) count++;
    if (count === 0) return;
    const left: Stretch[] = [];
    for (const { segment, offset, bytes } of held.splice(0, count)) {
      this.#held--;
      this.#heldBytes -= bytes;
      left.push({ segment, from: offset, to: offset + bytes, fileBytes: null });
    }
    this.#o.onStale(left, null, count);
  }

  /** Reads a project's next records again from where they were put off. */
  async #refill(queue: Queue): Promise<void> {
    const stretch = this.#unlist(queue);
    queue.isRefilling = true;
    let { from, records } = stretch;
    let source = this.#resume(queue, stretch);
    try {
      while (from < stretch.to && this.#hasRoom(queue, null)) {
        const next = source.walk.next();
        const found = next instanceof Promise ? await next : next;
        if (!found) {
          from = source.to;
          if (from < stretch.to) source = this.#reopen({ ...stretch, from });
        } else if (queue.held.length === 0 && this.#o.isStale(found)) {
          this.#giveAway(queue, { ...stretch, from, records });
          from = stretch.to;
        } else {
          this.#hold(queue, found);
          from = found.offset + found.bytes;
          records--;
        }
      }
    } catch (error) {
      this.#closeSource();
      if (++queue.failures < READ_ATTEMPTS_MAX) throw error;
      const { segment, to } = stretch;
      this.#o.onLoss({ kind: "unreadable", segment, offset: from, bytes: to - from });
      from = to;
    } finally {
      queue.isRefilling = false;
      if (from < stretch.to) {
        this.#relist(queue, { ...stretch, from, records });
        if (this.#source) this.#source = { ...this.#source, queue, from };
      } else {
        queue.failures = 0;
        this.#closeSource();
      }
      if (queue.putOff.length === 0) this.#starving.delete(queue);
    }
  }

  /** The walk that was left where this stretch starts, or a new one. */
  #resume(queue: Queue, stretch: PutOff): Source {
    const { segment, from } = stretch;
    const source = this.#source;
    if (source && source.queue === queue && source.segment === segment && source.from === from) return source;
    return this.#reopen(stretch);
  }

  #reopen(stretch: PutOff): Source {
    this.#closeSource();
    const walk = this.#o.openWalk();
    walk.add(stretch);
    const { segment, from, to } = stretch;
    return this.#source = { walk, queue: null, segment, from, to };
  }

  #closeSource(): void {
    this.#source?.walk.close();
    this.#source = null;
  }

  #unlist(queue: Queue): PutOff {
    const stretch = queue.putOff.shift()!;
    this.#stretches--;
    this.#putOff -= stretch.records;
    this.#putOffBytes -= stretch.to - stretch.from;
    return stretch;
  }

  #relist(queue: Queue, stretch: PutOff): void {
    queue.putOff.unshift(stretch);
    this.#stretches++;
    this.#putOff += stretch.records;
    this.#putOffBytes += stretch.to - stretch.from;
  }

  /** Everything a project has put off goes to where stale records go. */
  #giveAway(queue: Queue, first: PutOff): void {
    const left: PutOff[] = [first];
    while (queue.putOff.length > 0) left.push(this.#unlist(queue));
    this.#o.onStale(left, null, left.reduce((sum, { records }) => sum + records, 0));
  }
}
