/**
 * What a node did in the last minutes and hours, for charts: samples of a second for ten minutes, of a minute for a day.
 *
 * Rings of fixed size; a sample of a minute is the mean of its seconds. Rates are per second, times milliseconds.
 */

/** One look at the node. */
export interface HistorySample {
  readonly requests: number;
  readonly refused: number;
  readonly accepted: number;
  readonly delivered: number;
  readonly failed: number;
  readonly answerP50: number;
  readonly answerP99: number;
  readonly waiting: number;
  readonly spoolBytes: number;
  /** Share of the time in which an upstream was down or failing. */
  readonly trouble: number;
}

/** Names of a sample's numbers. */
export const HISTORY_FIELDS = [
  "requests",
  "refused",
  "accepted",
  "delivered",
  "failed",
  "answerP50",
  "answerP99",
  "waiting",
  "spoolBytes",
  "trouble",
] as const satisfies readonly (keyof HistorySample)[];

/** Samples of one length, oldest first: a list for each field. */
export interface HistorySpan {
  readonly seconds: number;
  readonly values: Readonly<Record<keyof HistorySample, readonly number[]>>;
}

const SECONDS_KEPT = 600;
const MINUTES_KEPT = 1440;
const WIDTH = HISTORY_FIELDS.length;

class Ring {
  readonly #cells: Float64Array;
  #count = 0;

  constructor(readonly size: number, readonly seconds: number) {
    this.#cells = new Float64Array(size * WIDTH);
  }

  push(values: readonly number[]): void {
    this.#cells.set(values, (this.#count++ % this.size) * WIDTH);
  }

  /** Mean of the last `count` samples. */
  mean(count: number): number[] {
    return HISTORY_FIELDS.map((_, field) => {
      let sum = 0;
      for (let i = 1; i <= count; i++) sum += this.#at(this.#count - i, field);
      return sum / count;
    });
  }

  get span(): HistorySpan {
    const first = Math.max(0, this.#count - this.size);
    const list = (field: number): number[] =>
      Array.from({ length: this.#count - first }, (_, i) => rounded(this.#at(first + i, field)));
    const values = Object.fromEntries(HISTORY_FIELDS.map((name, field) => [name, list(field)]));
    return { seconds: this.seconds, values: values as unknown as HistorySpan["values"] };
  }

  #at(index: number, field: number): number {
    return this.#cells[(index % this.size) * WIDTH + field]!;
  }
}

/** The samples of a node. */
export class History {
  readonly #seconds = new Ring(SECONDS_KEPT, 1);
  readonly #minutes = new Ring(MINUTES_KEPT, 60);
  #pushed = 0;

  /** Takes the sample of a second. */
  push(sample: HistorySample): void {
    this.#seconds.push(HISTORY_FIELDS.map((name) => sample[name]));
    if (++this.#pushed % 60 === 0) this.#minutes.push(this.#seconds.mean(60));
  }

  /** The last ten minutes by seconds, the last day by minutes. */
  get spans(): { readonly minutes: HistorySpan; readonly day: HistorySpan } {
    return { minutes: this.#seconds.span, day: this.#minutes.span };
  }
}

function rounded(value: number): number {
  return Math.round(value * 100) / 100;
}

/**
 * Quantile of a histogram's observations, linear within a bucket; 0 without any.
 *
 * @param counts per bucket, not cumulative, the last one without bound
 */
export function quantile(q: number, bounds: readonly number[], counts: readonly number[]): number {
  const total = counts.reduce((sum, count) => sum + count, 0);
  if (total === 0) return 0;
  let rank = q * total;
  for (const [index, bound] of bounds.entries()) {
    const count = counts[index]!;
    const low = index === 0 ? 0 : bounds[index - 1]!;
    if (rank <= count) return low + (bound - low) * rank / count;
    rank -= count;
  }
  return bounds.at(-1)!;
}
