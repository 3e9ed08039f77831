const EMPTY = new Uint8Array(0);

/**
 * Bytes gathered one chunk after the other, in one piece of memory that doubles: a list of chunks would take many times
 * what they hold, if somebody sends them small.
 */
export class ByteBuffer {
  #memory: Uint8Array = EMPTY;
  #length = 0;

  /** Bytes gathered. */
  get length(): number {
    return this.#length;
  }

  /** Bytes of memory that it takes. */
  get capacity(): number {
    return this.#memory.length;
  }

  /** What was gathered, in the buffer's own memory; to be used before the next is. */
  get bytes(): Uint8Array {
    return this.#memory.subarray(0, this.#length);
  }

  /** The memory it will take with so many bytes more. */
  capacityWith(more: number): number {
    const length = this.#length + more;
    return length <= this.capacity ? this.capacity : Math.max(length, 2 * this.capacity);
  }

  /** Adds a copy of the bytes. */
  append(chunk: Uint8Array): void {
    const capacity = this.capacityWith(chunk.length);
    if (capacity > this.capacity) {
      const memory = new Uint8Array(capacity);
      memory.set(this.bytes);
      this.#memory = memory;
    }
    this.#memory.set(chunk, this.#length);
    this.#length += chunk.length;
  }
}
