/**
 * Lists of stretches of the log that are to be read later, one list per project, in memory that hardly grows with them.
 *
 * Why not arrays of objects: there may be a million stretches in a hundred thousand lists, and lists are cut, joined and
 * emptied at the front all the time. Here a stretch is {@link STRETCH_BYTES} bytes in blocks that all lists share, and
 * every operation takes constant time.
 */

/** Bytes of memory for each stretch in a list. */
export const STRETCH_BYTES = 36;

/** Stretches of one block of memory. */
const BLOCK = 8192;
const NONE = -1;

/** Records of one project that lie next to each other in a segment. */
export interface RecordStretch {
  readonly segment: number;
  readonly from: number;
  readonly to: number;
  /** How many. */
  readonly records: number;
  /** No record in it was received before this time; monotonic clock, ms. */
  readonly oldestMs: number;
}

interface Block {
  readonly segment: Uint32Array;
  readonly records: Uint32Array;
  readonly next: Int32Array;
  readonly from: Float64Array;
  readonly to: Float64Array;
  readonly oldestMs: Float64Array;
}

/** Memory of the lists of one reader. */
export class StretchPool {
  readonly #blocks: Block[] = [];
  #free = NONE;
  #used = 0;

  /** Stretches in all lists. */
  get used(): number {
    return this.#used;
  }

  /** Takes a place for a stretch. */
  take(stretch: RecordStretch): number {
    if (this.#free === NONE) this.#grow();
    const id = this.#free;
    this.#free = this.next(id);
    this.#used++;
    const block = this.#blockOf(id);
    const at = id % BLOCK;
    block.segment[at] = stretch.segment;
    block.oldestMs[at] = stretch.oldestMs;
    block.from[at] = stretch.from;
    block.next[at] = NONE;
    this.extend(id, stretch.to, stretch.records);
    return id;
  }

  /** Moves the end of a stretch. */
  extend(id: number, to: number, records: number): void {
    const block = this.#blockOf(id);
    block.to[id % BLOCK] = to;
    block.records[id % BLOCK] = records;
  }

  /** The stretch at a place. */
  read(id: number): RecordStretch {
    const { segment, from, to, records, oldestMs } = this.#blockOf(id);
    const at = id % BLOCK;
    return {
      segment: segment[at]!,
      from: from[at]!,
      to: to[at]!,
      records: records[at]!,
      oldestMs: oldestMs[at]!,
    };
  }

  /** The place behind this one in its list, or a negative number. */
  next(id: number): number {
    return this.#blockOf(id).next[id % BLOCK]!;
  }

  /** Puts a place behind another one. */
  link(id: number, next: number): void {
    this.#blockOf(id).next[id % BLOCK] = next;
  }

  /** Gives a place back. */
  give(id: number): void {
    this.link(id, this.#free);
    this.#free = id;
    this.#used--;
  }

  #blockOf(id: number): Block {
    return this.#blocks[id / BLOCK | 0]!;
  }

  #grow(): void {
    const first = this.#blocks.length * BLOCK;
    this.#blocks.push({
      segment: new Uint32Array(BLOCK),
      records: new Uint32Array(BLOCK),
      next: Int32Array.from({ length: BLOCK }, (_, at) => at + 1 < BLOCK ? first + at + 1 : NONE),
      from: new Float64Array(BLOCK),
      to: new Float64Array(BLOCK),
      oldestMs: new Float64Array(BLOCK),
    });
    this.#free = first;
  }
}

/** A list of stretches in the order in which they are to be read. */
export class StretchList {
  readonly #pool: StretchPool;
  #head = NONE;
  #tail = NONE;
  #length = 0;
  #records = 0;
  #bytes = 0;

  constructor(pool: StretchPool) {
    this.#pool = pool;
  }

  /** Stretches. */
  get length(): number {
    return this.#length;
  }

  /** Records in all of them. */
  get records(): number {
    return this.#records;
  }

  /** Bytes of log that they span. */
  get bytes(): number {
    return this.#bytes;
  }

  /** The first one, or null. */
  peek(): RecordStretch | null {
    return this.#head === NONE ? null : this.#pool.read(this.#head);
  }

  /**
   * Adds a stretch at the end. One that continues the last one joins it, unless it is younger by more than `spanMs`.
   *
   * @returns whether it took memory
   */
  push(stretch: RecordStretch, spanMs = Infinity): boolean {
    this.#count(stretch, 1);
    if (this.#tail !== NONE) {
      const last = this.#pool.read(this.#tail);
      const continues = last.segment === stretch.segment && last.to === stretch.from &&
        stretch.oldestMs >= last.oldestMs && stretch.oldestMs - last.oldestMs <= spanMs;
      if (continues) {
        this.#pool.extend(this.#tail, stretch.to, last.records + stretch.records);
        return false;
      }
    }
    const id = this.#pool.take(stretch);
    if (this.#tail === NONE) this.#head = id;
    else this.#pool.link(this.#tail, id);
    this.#tail = id;
    this.#length++;
    return true;
  }

  /** Adds a stretch in front of all others. */
  unshift(stretch: RecordStretch): void {
    this.#count(stretch, 1);
    const id = this.#pool.take(stretch);
    this.#pool.link(id, this.#head);
    this.#head = id;
    if (this.#tail === NONE) this.#tail = id;
    this.#length++;
  }

  /** Takes the first one, or null. */
  shift(): RecordStretch | null {
    const id = this.#head;
    if (id === NONE) return null;
    const stretch = this.#pool.read(id);
    this.#head = this.#pool.next(id);
    if (this.#head === NONE) this.#tail = NONE;
    this.#pool.give(id);
    this.#length--;
    this.#count(stretch, -1);
    return stretch;
  }

  /** Moves everything of another list of the same pool behind what is here; that one is empty then. */
  append(other: StretchList): void {
    if (other.#head === NONE) return;
    if (this.#tail === NONE) this.#head = other.#head;
    else this.#pool.link(this.#tail, other.#head);
    this.#tail = other.#tail;
    this.#length += other.#length;
    this.#records += other.#records;
    this.#bytes += other.#bytes;
    other.#head = other.#tail = NONE;
    other.#length = other.#records = other.#bytes = 0;
  }

  #count({ from, to, records }: RecordStretch, sign: 1 | -1): void {
    this.#records += sign * records;
    this.#bytes += sign * (to - from);
  }
}
