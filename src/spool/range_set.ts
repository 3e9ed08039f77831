/**
 * The settled byte ranges of a segment.
 *
 * Records are settled in any order, but the end of one is the start of the next, so ranges only ever touch and never
 * overlap. That makes every operation constant time whatever the depth: a prefix that is settled without gaps, and
 * the ranges beyond it by their start and by their end.
 */

/** Half-open range of bytes. */
export type ByteRange = readonly [from: number, to: number];

/** Set of byte ranges that never overlap. */
export class RangeSet {
  /** Everything below is settled. */
  prefix = 0;
  readonly #byStart = new Map<number, number>();
  readonly #byEnd = new Map<number, number>();

  /** The set whose {@link RangeSet.toRanges} are `ranges`. */
  static from(ranges: readonly ByteRange[]): RangeSet {
    const set = new RangeSet();
    for (const [from, to] of ranges) set.add(from, to);
    return set;
  }

  /** Adds a range that overlaps none. */
  add(from: number, to: number): void {
    if (from !== this.prefix) {
      const start = this.#byEnd.get(from) ?? from;
      const end = this.#byStart.get(to) ?? to;
      this.#byEnd.delete(from);
      this.#byStart.delete(to);
      this.#byStart.set(start, end);
      this.#byEnd.set(end, start);
      return;
    }
    this.prefix = this.#byStart.get(to) ?? to;
    this.#byStart.delete(to);
    this.#byEnd.delete(this.prefix);
  }

  /** End of the settled range that starts at `from`, or undefined. */
  endOf(from: number): number | undefined {
    return from === 0 && this.prefix > 0 ? this.prefix : this.#byStart.get(from);
  }

  /** All ranges in ascending order. */
  toRanges(): ByteRange[] {
    const ranges: ByteRange[] = [...this.#byStart].sort((a, b) => a[0] - b[0]);
    if (this.prefix > 0) ranges.unshift([0, this.prefix]);
    return ranges;
  }
}
