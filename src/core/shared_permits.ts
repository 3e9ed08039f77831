/**
 * Permits that several isolates share: everyone has a floor of its own, and borrows beyond it what the others do not use.
 *
 * Layout: 32-bit cells, the permits nobody has borrowed, then for each holder what it has borrowed. The second says what
 * to give back when a holder died.
 *
 * A holder that finds none left has at least its floor in use, so it tries again when one of its own comes back.
 */
const FREE = 0;
const BORROWED = 1;
/** Of an even share, what is guaranteed: a quarter. The rest goes where there is work. */
const FLOOR_SHARE = 0.25;

/** Shared memory for `total` permits of `holders` holders. */
export function createPermits(total: number, holders: number): SharedArrayBuffer {
  const cells = new Int32Array(new SharedArrayBuffer((BORROWED + holders) * Int32Array.BYTES_PER_ELEMENT));
  cells[FREE] = shareable(total, holders);
  return cells.buffer as SharedArrayBuffer;
}

/** Makes it `total` permits in all; holders then are to be given their new floors ({@link SharedPermits.setFloor}). */
export function resizePermits(
  buffer: SharedArrayBuffer,
  before: number,
  total: number,
  holders: number,
): void {
  Atomics.add(new Int32Array(buffer), FREE, shareable(total, holders) - shareable(before, holders));
}

function shareable(total: number, holders: number): number {
  return Math.max(0, total - holders * permitFloor(total, holders));
}

/** Permits that no holder has to share. */
export function permitFloor(total: number, holders: number): number {
  return Math.max(1, Math.floor(total / holders * (holders === 1 ? 1 : FLOOR_SHARE)));
}

/** One holder's view. A new one gives back what a dead one of the same index had borrowed. */
export class SharedPermits {
  readonly #cells: Int32Array;
  readonly #index: number;
  #floor: number;
  #taken = 0;

  constructor(buffer: SharedArrayBuffer, index: number, floor: number) {
    this.#cells = new Int32Array(buffer);
    this.#index = BORROWED + index;
    this.#floor = floor;
    Atomics.add(this.#cells, FREE, Atomics.exchange(this.#cells, this.#index, 0));
  }

  /** Takes one, or says that there is none. */
  tryTake(): boolean {
    if (this.#taken >= this.#floor) {
      if (Atomics.sub(this.#cells, FREE, 1) <= 0) {
        Atomics.add(this.#cells, FREE, 1);
        return false;
      }
      Atomics.add(this.#cells, this.#index, 1);
    }
    this.#taken++;
    return true;
  }

  /** Changes how many nobody else gets; what is taken beyond them is borrowed from then on. */
  setFloor(floor: number): void {
    const moreBorrowed = Math.max(0, this.#taken - floor) - Math.max(0, this.#taken - this.#floor);
    this.#floor = floor;
    Atomics.add(this.#cells, this.#index, moreBorrowed);
    Atomics.sub(this.#cells, FREE, moreBorrowed);
  }

  /** Gives one back. */
  give(): void {
    if (--this.#taken < this.#floor) return;
    Atomics.sub(this.#cells, this.#index, 1);
    Atomics.add(this.#cells, FREE, 1);
  }
}
