/**
 * Bytes of request bodies, received and decoded, that a listener holds at once.
 *
 * Why: every body is bounded, but many large ones together are not. At the bound further bodies are refused with 503,
 * as a full queue is, instead of growing until the process is killed.
 */
export class BodyBudget {
  #held = 0;

  constructor(public bytesMax: number) {}

  /** Bytes held now. */
  get held(): number {
    return this.#held;
  }

  /** Bytes that still fit. */
  get left(): number {
    return this.bytesMax - this.#held;
  }

  /** Reserves `bytes`; false when they do not fit. */
  take(bytes: number): boolean {
    if (this.#held + bytes > this.bytesMax) return false;
    this.#held += bytes;
    return true;
  }

  /** Gives back what was taken. */
  release(bytes: number): void {
    this.#held -= bytes;
  }
}
