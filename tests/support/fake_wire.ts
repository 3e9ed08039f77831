import type { Dial, Wire } from "../../src/upstream/dial.ts";

const encoder = new TextEncoder();
const decoder = new TextDecoder("latin1");

/** Byte stream whose other end is the test. */
export class FakeWire implements Wire {
  /** What was written, as Latin-1 text. */
  written = "";
  writes = 0;
  isClosed = false;
  /** Makes writes wait for ever. */
  stalls = false;
  /** Makes writes fail. */
  writeError: Error | null = null;
  readonly #incoming: (Uint8Array | null | Error)[] = [];
  #reader: PromiseWithResolvers<void> | null = null;

  async read(into: Uint8Array): Promise<number | null> {
    while (this.#incoming.length === 0) {
      if (this.isClosed) throw new Deno.errors.Interrupted("closed");
      this.#reader = Promise.withResolvers();
      await this.#reader.promise;
    }
    const next = this.#incoming.shift()!;
    if (!(next instanceof Uint8Array)) {
      if (next) throw next;
      return null;
    }
    into.set(next.subarray(0, into.length));
    if (next.length > into.length) this.#incoming.unshift(next.subarray(into.length));
    return Math.min(next.length, into.length);
  }

  async write(bytes: Uint8Array): Promise<number> {
    await Promise.resolve();
    if (this.writeError) throw this.writeError;
    if (this.stalls) await new Promise<never>(() => {});
    this.writes++;
    this.written += decoder.decode(bytes);
    return bytes.length;
  }

  close(): void {
    this.isClosed = true;
    this.#reader?.resolve();
  }

  /** Sends bytes to the client; null ends the stream, an error breaks it. */
  send(what: string | null | Error): void {
    this.#incoming.push(typeof what === "string" ? encoder.encode(what) : what);
    this.#reader?.resolve();
  }
}

/** Dials {@link FakeWire}s. */
export class FakeNetwork {
  readonly wires: FakeWire[] = [];
  /** Makes dialling wait until it is given up. */
  stalls = false;
  /** Makes dialling fail. */
  error: Error | null = null;

  readonly dial: Dial = async (_target, signal) => {
    if (this.error) throw this.error;
    if (this.stalls) {
      await new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
    }
    const wire = new FakeWire();
    this.wires.push(wire);
    return wire;
  };

  /** The wire opened last. */
  get last(): FakeWire {
    return this.wires.at(-1)!;
  }
}
