/**
 * The bound on what the spool of a node occupies on disk, shared by all its partitions.
 *
 * Two 64-bit counters in shared memory: bytes in use and bytes allowed. Writers reserve before they write, readers
 * release after they deleted. A writer that dies between the two leaves at most one group commit reserved, until the
 * node starts again and measures.
 */

/** What a writer needs of a budget. */
export interface SpaceBudget {
  /** Takes `bytes` out of what is free, or takes nothing and says false. */
  tryReserve(bytes: number): boolean;
  /** Gives `bytes` back. */
  release(bytes: number): void;
}

const USED = 0;
const MAX = 1;

/** {@link SpaceBudget} over shared memory; construct it from `buffer` in every other isolate. */
export class DiskBudget implements SpaceBudget {
  readonly #cells: BigInt64Array;

  private constructor(readonly buffer: SharedArrayBuffer) {
    this.#cells = new BigInt64Array(buffer);
  }

  /** A new budget of `bytesMax`, of which `bytesUsed` are in use. */
  static create(bytesMax: number, bytesUsed = 0): DiskBudget {
    const budget = new DiskBudget(new SharedArrayBuffer(16));
    Atomics.store(budget.#cells, MAX, BigInt(bytesMax));
    Atomics.store(budget.#cells, USED, BigInt(bytesUsed));
    return budget;
  }

  /** The budget another isolate created. */
  static attach(buffer: SharedArrayBuffer): DiskBudget {
    return new DiskBudget(buffer);
  }

  get bytesUsed(): number {
    return Number(Atomics.load(this.#cells, USED));
  }

  get bytesMax(): number {
    return Number(Atomics.load(this.#cells, MAX));
  }

  tryReserve(bytes: number): boolean {
    const amount = BigInt(bytes);
    const used = Atomics.add(this.#cells, USED, amount) + amount;
    if (used <= Atomics.load(this.#cells, MAX)) return true;
    Atomics.sub(this.#cells, USED, amount);
    return false;
  }

  release(bytes: number): void {
    Atomics.sub(this.#cells, USED, BigInt(bytes));
  }
}
