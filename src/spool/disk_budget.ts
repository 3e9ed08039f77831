/**
 * The bound on what the spool of a node occupies on disk, shared by all its partitions.
 *
 * Three 64-bit counters in shared memory: bytes in use, bytes allowed, and what may still be taken before too little is
 * free on the volume. Writers reserve before they write, readers release after they deleted. A writer that dies between
 * the two leaves at most one group commit reserved, until the spool is measured again (`space_watch.ts`).
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
const ROOM = 2;
const FULL_SHARE = 0.999;
const UNBOUNDED = 2n ** 62n;

/** {@link SpaceBudget} over shared memory; construct it from `buffer` in every other isolate. */
export class DiskBudget implements SpaceBudget {
  readonly #cells: BigInt64Array;

  private constructor(readonly buffer: SharedArrayBuffer) {
    this.#cells = new BigInt64Array(buffer);
  }

  /** A new budget of `bytesMax`, of which `bytesUsed` are in use. */
  static create(bytesMax: number, bytesUsed = 0): DiskBudget {
    const budget = new DiskBudget(new SharedArrayBuffer(24));
    Atomics.store(budget.#cells, MAX, BigInt(bytesMax));
    Atomics.store(budget.#cells, USED, BigInt(bytesUsed));
    Atomics.store(budget.#cells, ROOM, UNBOUNDED);
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

  /** What is beyond a smaller bound stays; nothing is added until there is room again. */
  set bytesMax(bytes: number) {
    Atomics.store(this.#cells, MAX, BigInt(bytes));
  }

  /** Whether an envelope of ordinary size may already be refused. */
  get isFull(): boolean {
    return this.bytesUsed >= this.bytesMax * FULL_SHARE;
  }

  /** Sets the bytes that may be taken from now on before too little is free on the volume. */
  set roomOnVolume(bytes: number) {
    Atomics.store(this.#cells, ROOM, BigInt(Math.floor(bytes)));
  }

  tryReserve(bytes: number): boolean {
    const amount = BigInt(bytes);
    const used = Atomics.add(this.#cells, USED, amount) + amount;
    if (used <= Atomics.load(this.#cells, MAX)) {
      if (Atomics.sub(this.#cells, ROOM, amount) >= amount) return true;
      Atomics.add(this.#cells, ROOM, amount);
    }
    Atomics.sub(this.#cells, USED, amount);
    return false;
  }

  release(bytes: number): void {
    Atomics.sub(this.#cells, USED, BigInt(bytes));
  }
}
