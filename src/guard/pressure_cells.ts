/**
 * What a node suffers from, in shared memory: one number from 0 (at ease) to 1 (at the bound) per source.
 *
 * Memory is measured by the control plane, because it is the process's; delay of the event loop by each lane. Each
 * cell has one writer.
 */
const MEMORY = 0;

/** View on the shared cells. */
export class PressureCells {
  readonly #cells: Float64Array;

  constructor(readonly buffer: SharedArrayBuffer) {
    this.#cells = new Float64Array(buffer);
  }

  /** Cells for so many lanes. */
  static create(lanes: number): PressureCells {
    return new PressureCells(new SharedArrayBuffer((1 + lanes) * Float64Array.BYTES_PER_ELEMENT));
  }

  /** Memory in use, as a share of what may be used. */
  get memory(): number {
    return this.#cells[MEMORY]!;
  }

  set memory(value: number) {
    this.#cells[MEMORY] = value;
  }

  /** Delay of a lane's event loop, as a share of the longest that is borne. */
  eventLoop(lane: number): number {
    return this.#cells[1 + lane]!;
  }

  setEventLoop(lane: number, value: number): void {
    this.#cells[1 + lane] = value;
  }

  /** The worst of the lanes. */
  get eventLoopMax(): number {
    return this.#cells.subarray(1).reduce((worst, value) => Math.max(worst, value), 0);
  }
}
