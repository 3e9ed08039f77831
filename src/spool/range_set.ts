/**
 * The settled byte ranges of a segment.
 *
 * Records are settled in any order, but the end of one is the start of the next, so ranges only ever touch and never
 * overlap: a prefix that is settled without gaps, and the ranges beyond it.
 *
 * Why not maps: while some projects wait and others do not, a million ranges are nothing unusual, and two maps of them
 * take five times the memory. Here a range is {@link RANGE_BYTES} bytes of a sorted array with its spare room where
 * the last change was. What is settled next lies mostly there, or extends the prefix, and then takes constant time; at worst
 * the ranges of one segment are moved.
 */

/** Bytes of memory for each range beyond the prefix; the array has spare room for at most as many again. */
export const RANGE_BYTES = 16;

/** Ranges that there is room for at first. */
const ROOM_MIN = 8;

/** Set of byte ranges that never overlap. */
export class RangeSet {
  /** Everything below is settled. */
  prefix = 0;
  /** Starts and ends in turn, ascending: the ranges from `#head` to `#left`, spare room, and those from `#right` on. */
  #bounds = new Float64Array(2 * ROOM_MIN);
  #head = 0;
  #left = 0;
  #right = ROOM_MIN;

  /** The set whose {@link RangeSet.bounds} are `bounds`. */
  static from(bounds: readonly number[]): RangeSet {
    const set = new RangeSet();
    for (let at = 0; at < bounds.length; at += 2) set.add(bounds[at]!, bounds[at + 1]!);
    return set;
  }

  /** Ranges beyond the prefix. */
  get #size(): number {
    return this.#left - this.#head + this.#room - this.#right;
  }

  get #room(): number {
    return this.#bounds.length / 2;
  }

  /** Adds a range that overlaps none. */
  add(from: number, to: number): void {
    if (from === this.prefix) return this.#extendPrefix(to);
    this.#moveRoom(this.#search(from));
    const bounds = this.#bounds;
    const joinsLeft = this.#left > this.#head && bounds[2 * this.#left - 1] === from;
    const joinsRight = this.#right < this.#room && bounds[2 * this.#right] === to;
    if (joinsLeft && joinsRight) bounds[2 * this.#left - 1] = bounds[2 * this.#right++ + 1]!;
    else if (joinsLeft) bounds[2 * this.#left - 1] = to;
    else if (joinsRight) bounds[2 * this.#right] = from;
    else this.#insert(from, to);
  }

  /** Adds a range that may overlap others. */
  fill(from: number, to: number): void {
    let at = from;
    const bounds = this.bounds();
    for (let index = 0; index < bounds.length && bounds[index]! < to; index += 2) {
      const [start, end] = [bounds[index]!, bounds[index + 1]!];
      if (end <= at) continue;
      if (start > at) this.add(at, start);
      at = end;
    }
    if (at < to) this.add(at, to);
  }

  /** End of the range that contains `at`, or undefined. */
  endAround(at: number): number | undefined {
    if (at < this.prefix) return this.prefix;
    if (this.#size === 0) return undefined;
    const index = this.#search(at + 1) - 1;
    if (index < 0) return undefined;
    const end = this.#bounds[2 * this.#placeOf(index) + 1]!;
    return end > at ? end : undefined;
  }

  /** Start and end of every range, ascending. */
  bounds(): number[] {
    const first = this.prefix > 0 ? [0, this.prefix] : [];
    const bounds = this.#bounds;
    return [
      ...first,
      ...bounds.subarray(2 * this.#head, 2 * this.#left),
      ...bounds.subarray(2 * this.#right),
    ];
  }

  #extendPrefix(to: number): void {
    this.prefix = to;
    if (this.#size === 0) return;
    const first = this.#placeOf(0);
    if (this.#bounds[2 * first] !== to) return;
    this.prefix = this.#bounds[2 * first + 1]!;
    if (first === this.#head && this.#left > this.#head) this.#head++;
    else this.#right++;
  }

  #insert(from: number, to: number): void {
    if (this.#left === this.#right) this.#grow();
    this.#bounds[2 * this.#left] = from;
    this.#bounds[2 * this.#left + 1] = to;
    this.#left++;
  }

  /** Where the range with this index lies. */
  #placeOf(index: number): number {
    const place = this.#head + index;
    return place < this.#left ? place : place - this.#left + this.#right;
  }

  /** Index of the first range that starts at `from` or behind it. */
  #search(from: number): number {
    const bounds = this.#bounds;
    const [head, left, right] = [this.#head, this.#left, this.#right];
    const isBehindLeft = left === head || bounds[2 * left - 2]! < from;
    let low = isBehindLeft ? left - head : 0;
    let high = isBehindLeft ? this.#size : left - head;
    if (isBehindLeft && (right === this.#room || bounds[2 * right]! >= from)) return low;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (bounds[2 * this.#placeOf(middle)]! < from) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** Brings the spare room in front of the range with this index. */
  #moveRoom(index: number): void {
    const target = this.#head + index;
    const count = this.#left - target;
    const bounds = this.#bounds;
    if (count > 0) bounds.copyWithin(2 * (this.#right - count), 2 * target, 2 * this.#left);
    else if (count < 0) bounds.copyWithin(2 * this.#left, 2 * this.#right, 2 * (this.#right - count));
    this.#left -= count;
    this.#right -= count;
  }

  #grow(): void {
    const [bounds, head, left, right] = [this.#bounds, this.#head, this.#left, this.#right];
    const behind = bounds.length - 2 * right;
    const grown = new Float64Array(2 * Math.max(ROOM_MIN, 2 * this.#size));
    grown.set(bounds.subarray(2 * head, 2 * left));
    grown.set(bounds.subarray(2 * right), grown.length - behind);
    this.#bounds = grown;
    this.#head = 0;
    this.#left = left - head;
    this.#right = (grown.length - behind) / 2;
  }
}
