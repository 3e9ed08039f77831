/** Takes bytes as they pass, from one owner who makes one call after the other. */
export interface ByteSink {
  /**
   * Takes the next bytes, which may be changed once it resolved; it resolves when it can take more.
   *
   * @throws what the bytes, or those before them, are refused with
   */
  write(chunk: Uint8Array): Promise<void>;
  /**
   * All has passed; resolves when all of it was dealt with.
   *
   * @throws as {@link ByteSink.write}, and when something is missing
   */
  end(): Promise<void>;
  /** Gives back what it holds; once it resolved, nothing is handed on any more. Harmless after the end, never fails. */
  destroy(): Promise<void>;
}

/** Another sink that sees nothing before a first byte, and refuses to end without one. */
export function notEmpty(sink: ByteSink, refusal: () => Error): ByteSink {
  let isEmpty = true;
  return {
    async write(chunk) {
      if (chunk.length === 0) return;
      isEmpty = false;
      await sink.write(chunk);
    },
    async end() {
      if (isEmpty) throw refusal();
      await sink.end();
    },
    destroy: () => sink.destroy(),
  };
}

/** Both sinks, the first one first. */
export function both(a: ByteSink, b: ByteSink): ByteSink {
  return {
    async write(chunk) {
      await a.write(chunk);
      await b.write(chunk);
    },
    async end() {
      await a.end();
      await b.end();
    },
    async destroy() {
      await a.destroy();
      await b.destroy();
    },
  };
}
