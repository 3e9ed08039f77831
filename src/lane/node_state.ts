/**
 * State of the node that every half has to see at once: whether it is ready for traffic and whether it drains.
 *
 * One writer (the control plane), any number of readers, so plain atomic cells are enough.
 */
const READY = 0;
const DRAINING = 1;

/** View on the shared cells. */
export class NodeState {
  readonly #cells: Int32Array;

  constructor(readonly buffer: SharedArrayBuffer = new SharedArrayBuffer(8)) {
    this.#cells = new Int32Array(buffer);
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
}
