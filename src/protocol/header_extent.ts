const [TAB, NEWLINE, RETURN, SPACE, QUOTE, BACKSLASH] = [9, 10, 13, 32, 0x22, 0x5c];
const [OPEN_BRACKET, CLOSE_BRACKET, OPEN_BRACE, CLOSE_BRACE] = [0x5b, 0x5d, 0x7b, 0x7d];

/**
 * Finds where a JSON object ends that arrives in chunks, white space before it left out.
 *
 * It only follows strings and brackets. Whatever cannot be an object ends it at once: the bytes are then what the
 * parser has to see to say what is wrong.
 */
export class HeaderExtent {
  #depth = 0;
  #isInString = false;
  #isEscaped = false;
  #isStarted = false;

  /** Whether something other than white space has come. */
  get isStarted(): boolean {
    return this.#isStarted;
  }

  /** Offset of the first byte at or after `from` that is no white space, before the object has started. */
  skipSpace(chunk: Uint8Array, from: number): number {
    let at = from;
    while (at < chunk.length && isSpace(chunk[at]!)) at++;
    return at;
  }

  /** Takes bytes from `from` on; returns the offset after the object's end, or -1 when it goes on. */
  take(chunk: Uint8Array, from: number): number {
    if (!this.#isStarted && from < chunk.length) {
      this.#isStarted = true;
      if (chunk[from] !== OPEN_BRACE) return from + 1;
    }
    for (let at = from; at < chunk.length; at++) {
      const byte = chunk[at];
      if (this.#isEscaped) this.#isEscaped = false;
      else if (this.#isInString) {
        if (byte === BACKSLASH) this.#isEscaped = true;
        else if (byte === QUOTE) this.#isInString = false;
      } else if (byte === QUOTE) this.#isInString = true;
      else if (byte === OPEN_BRACE || byte === OPEN_BRACKET) this.#depth++;
      else if ((byte === CLOSE_BRACE || byte === CLOSE_BRACKET) && --this.#depth === 0) return at + 1;
    }
    return -1;
  }
}

function isSpace(byte: number): boolean {
  return byte === SPACE || byte === NEWLINE || byte === TAB || byte === RETURN;
}
