import { ByteBuffer } from "../core/byte_buffer.ts";
import type { BodyBudget } from "./body_budget.ts";

/** Bytes that are gathered within the memory of all bodies. */
export class HeldBytes {
  readonly #budget: BodyBudget;
  #buffer = new ByteBuffer();

  constructor(budget: BodyBudget) {
    this.#budget = budget;
  }

  /** What is held, to be used before the next is added. */
  get bytes(): Uint8Array {
    return this.#buffer.bytes;
  }

  /** Adds a copy of the bytes; false when there is no memory for it. */
  append(chunk: Uint8Array): boolean {
    const { capacity } = this.#buffer;
    if (!this.#budget.take(this.#buffer.capacityWith(chunk.length) - capacity)) return false;
    this.#buffer.append(chunk);
    return true;
  }

  /** Gives the memory back, and holds nothing any more. */
  release(): void {
    this.#budget.release(this.#buffer.capacity);
    this.#buffer = new ByteBuffer();
  }
}
