/**
 * State of the node that every half has to see at once: whether it is ready for traffic and whether it drains, and the
 * figures an autoscaler asks any of them for.
 *
 * One writer (the control plane), any number of readers, so plain atomic cells are enough.
 */
const READY = 0;
const DRAINING = 1;

const FIGURES = ["memoryUsage", "utilization", "spoolItems", "spoolBytes"] as const;
const FIGURES_AT = 8;
const BYTES = FIGURES_AT + FIGURES.length * Float64Array.BYTES_PER_ELEMENT;

/** What an autoscaler goes by; shares are 0 to 1. */
export type NodeFigures = Readonly<Record<typeof FIGURES[number], number>>;

/** View on the shared cells. */
export class NodeState {
  readonly #cells: Int32Array;
  readonly #figures: Float64Array;

  constructor(readonly buffer: SharedArrayBuffer = new SharedArrayBuffer(BYTES)) {
    this.#cells = new Int32Array(buffer, 0, 2);
    this.#figures = new Float64Array(buffer, FIGURES_AT);
  }

  get ready(): boolean {
    return Atomics.load(this.#cells, READY) === 1;
  }

  set ready(value: boolean) {
    Atomics.store(this.#cells, READY, value ? 1 : 0);
  }

  get draining(): boolean {
    return Atomics.load(this.#cells, DRAINING) === 1;
  }

  set draining(value: boolean) {
    Atomics.store(this.#cells, DRAINING, value ? 1 : 0);
  }

  get figures(): NodeFigures {
    const entries = FIGURES.map((name, index) => [name, this.#figures[index]!]);
    return Object.fromEntries(entries) as NodeFigures;
  }

  set figures(figures: NodeFigures) {
    for (const [index, name] of FIGURES.entries()) this.#figures[index] = figures[name];
  }

  /** The same with whether the node goes on. */
  get autoscaling(): NodeFigures & { readonly isUp: boolean } {
    return { isUp: !this.draining, ...this.figures };
  }
}
