/**
 * What lanes know of endpoints, in memory they share with the control plane.
 *
 * Each half counts what it sees in cells of its own, the control plane adds them up, judges (`outlier_ejection.ts`,
 * probes) and publishes one number per endpoint: the share of its weight it counts with, 0 for out. So what one lane
 * learns reaches the others within a look of the control plane, without a message per request, and every cell has one
 * writer (aligned doubles do not tear).
 *
 * An endpoint has a slot as long as it exists; slots are given out by the control plane and used again. Counters only
 * ever grow, so that a reader takes differences; a half that is replaced goes on where its predecessor ended.
 *
 * Limits: {@link ENDPOINTS_MAX} endpoints of all upstreams together; metrics per endpoint have no more series.
 */

/** Most endpoints of a node. */
export const ENDPOINTS_MAX = 256;

/** What a writer keeps per endpoint. */
export const HEALTH_CELLS = [
  "answered",
  "failed",
  "answerMs",
  "trailing",
  "retries",
  "inFlight",
  "connections",
  "breakerOpen",
] as const;

/** One number of {@link HEALTH_CELLS}. */
export type HealthCell = typeof HEALTH_CELLS[number];

const WIDTH = HEALTH_CELLS.length;
const INDEX = Object.fromEntries(HEALTH_CELLS.map((name, index) => [name, index])) as Record<
  HealthCell,
  number
>;

/** The whole table; the control plane's view. */
export class HealthTable {
  readonly #cells: Float64Array;
  readonly #writers: number;

  /** @param writers number of halves and others that count, each by its own index */
  constructor(writers: number, readonly buffer: SharedArrayBuffer = HealthTable.createBuffer(writers)) {
    this.#writers = writers;
    this.#cells = new Float64Array(buffer);
  }

  private static createBuffer(writers: number): SharedArrayBuffer {
    return new SharedArrayBuffer(ENDPOINTS_MAX * (1 + writers * WIDTH) * Float64Array.BYTES_PER_ELEMENT);
  }

  /** Share of its weight an endpoint counts with; 0 takes it out. */
  publish(slot: number, share: number): void {
    this.#cells[slot] = share;
  }

  /** Sum over all writers. */
  total(slot: number, cell: HealthCell): number {
    let total = 0;
    for (let writer = 0; writer < this.#writers; writer++) total += this.#cells[at(writer, slot, cell)]!;
    return total;
  }

  /** Largest number of any writer. */
  most(slot: number, cell: HealthCell): number {
    let most = 0;
    for (let writer = 0; writer < this.#writers; writer++) {
      most = Math.max(most, this.#cells[at(writer, slot, cell)]!);
    }
    return most;
  }
}

/** View of one writer. */
export class HealthWriter {
  readonly #cells: Float64Array;

  constructor(buffer: SharedArrayBuffer, readonly writer: number) {
    this.#cells = new Float64Array(buffer);
  }

  /** Share of its weight an endpoint counts with, as the control plane published it. */
  share(slot: number): number {
    return this.#cells[slot]!;
  }

  add(slot: number, cell: HealthCell, amount: number): void {
    const index = at(this.writer, slot, cell);
    this.#cells[index] = this.#cells[index]! + amount;
  }

  set(slot: number, cell: HealthCell, value: number): void {
    this.#cells[at(this.writer, slot, cell)] = value;
  }

  /** Nothing is under way any more on an endpoint: it is new to this writer, or gone from it. */
  clear(slot: number): void {
    for (const cell of ["trailing", "inFlight", "connections", "breakerOpen"] as const) {
      this.set(slot, cell, 0);
    }
  }
}

function at(writer: number, slot: number, cell: HealthCell): number {
  return ENDPOINTS_MAX + (writer * ENDPOINTS_MAX + slot) * WIDTH + INDEX[cell];
}
