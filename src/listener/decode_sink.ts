/**
 * Decoders for bodies that are never held whole: bytes are pushed in as they come, and handed on as they come out.
 *
 * What the encodings do not agree on is the same as in `decode_body.ts`: a body that is cut short is corrupt, and what follows the end
 * of a br or deflate stream is ignored.
 *
 * Limits: bytes that come out. What a decoder for br or zstd has to remember of them is up to the sender (16 and 128 MiB), so
 * that is taken from the memory of all bodies; for the others it is 32 KiB.
 */
import type * as zlib from "node:zlib";
import { plainBytes } from "../core/bytes.ts";
import { ZstdDecoder } from "../protocol/zstd_decoder.ts";
import type { BodyBudget } from "./body_budget.ts";
import type { ByteSink } from "./byte_sink.ts";
import { type CompressedEncoding, corrupt, createDecoder } from "./decode_body.ts";
import { lengthExceeded, queueFailed } from "./refusals.ts";

/** Options of {@link decodeSink}. */
export interface DecodeSinkOptions {
  /** Most bytes that may come out. */
  readonly limit: number;
  readonly budget: BodyBudget;
  /** Called with what came out, which is good until it returned; what it throws ends the decoding. */
  readonly take: (chunk: Uint8Array) => void | Promise<void>;
}

/**
 * A decoder for one body. What comes of it is handed on piece by piece, and the next piece not before the last was taken.
 *
 * Its methods throw {@link RequestError}, 400 for a body that is damaged or cut short, 413 beyond the limit, 503 when there is
 * no memory, and what `take` threw.
 */
export function decodeSink(encoding: CompressedEncoding, options: DecodeSinkOptions): ByteSink {
  return encoding === "zstd" ? new ZstdSink(options) : new StreamSink(encoding, options);
}

/** What a decoder remembers, for as long as it does. */
class Window {
  #held = 0;

  constructor(readonly budget: BodyBudget) {}

  /** Grows to `bytes`. */
  grow(bytes: number): void {
    if (bytes <= this.#held) return;
    if (!this.budget.take(bytes - this.#held)) throw queueFailed();
    this.#held = bytes;
  }

  release(): void {
    this.budget.release(this.#held);
    this.#held = 0;
  }
}

/** Hands on what comes out, up to the limit. */
class Output {
  #total = 0;

  constructor(readonly o: DecodeSinkOptions) {}

  async take(chunk: Uint8Array): Promise<void> {
    this.#total += chunk.length;
    if (this.#total > this.o.limit) throw lengthExceeded();
    await this.o.take(chunk);
  }
}

class ZstdSink implements ByteSink {
  readonly #window: Window;
  readonly #output: Output;
  readonly #decoder: ZstdDecoder;
  /** What is not the body's fault. */
  #failure: unknown = null;

  constructor(options: DecodeSinkOptions) {
    this.#window = new Window(options.budget);
    this.#output = new Output(options);
    this.#decoder = new ZstdDecoder((bytes) => this.#grow(bytes));
  }

  async write(chunk: Uint8Array): Promise<void> {
    try {
      for await (const decoded of this.#decoder.push(chunk)) await this.#take(decoded);
    } catch {
      throw this.#failure ?? corrupt();
    }
  }

  end(): Promise<void> {
    try {
      this.#decoder.end();
      return Promise.resolve();
    } catch {
      return Promise.reject(corrupt());
    }
  }

  destroy(): Promise<void> {
    this.#decoder.destroy();
    this.#window.release();
    return Promise.resolve();
  }

  #grow(bytes: number): void {
    try {
      this.#window.grow(bytes);
    } catch (error) {
      this.#failure ??= error;
      throw error;
    }
  }

  async #take(chunk: Uint8Array): Promise<void> {
    try {
      await this.#output.take(chunk);
    } catch (error) {
      this.#failure ??= error;
      throw error;
    }
  }
}

const NO_BYTE = new Uint8Array(1);

class StreamSink implements ByteSink {
  readonly #decoder: zlib.Gunzip | zlib.Inflate | zlib.BrotliDecompress;
  readonly #window: Window;
  readonly #isBr: boolean;
  readonly #ended = Promise.withResolvers<void>();
  /** What is being handed on; never rejects. */
  #taking: Promise<void> = Promise.resolve();
  #isEnded = false;
  #failure: unknown = null;
  #received = 0;

  constructor(encoding: Exclude<CompressedEncoding, "zstd">, options: DecodeSinkOptions) {
    this.#decoder = createDecoder(encoding);
    this.#window = new Window(options.budget);
    this.#isBr = encoding === "br";
    void this.#handOn(new Output(options));
  }

  async write(chunk: Uint8Array): Promise<void> {
    if (this.#isBr && this.#received === 0 && chunk.length > 0) this.#window.grow(brotliWindow(chunk[0]!));
    this.#received += chunk.length;
    // Padding behind the last member ends the stream early.
    if (!this.#isEnded) await this.#push(chunk);
    if (this.#failure !== null) throw this.#failure;
  }

  async end(): Promise<void> {
    // An empty body is empty in every encoding.
    if (this.#received === 0) return;
    // The decoder for br does not report a stream that is cut short: it takes one byte more for a part of it.
    if (this.#isBr && !this.#isEnded) {
      await this.#push(NO_BYTE);
      if (this.#decoder.bytesWritten > this.#received) this.#fail(corrupt());
    }
    if (!this.#isEnded) this.#decoder.end();
    await this.#ended.promise;
    if (this.#failure !== null) throw this.#failure;
  }

  async destroy(): Promise<void> {
    this.#end();
    this.#decoder.destroy();
    await this.#taking;
    this.#window.release();
  }

  async #push(chunk: Uint8Array): Promise<void> {
    const taken = new Promise<void>((resolve) => this.#decoder.write(chunk, () => resolve()));
    await Promise.race([taken, this.#ended.promise]);
  }

  async #handOn(output: Output): Promise<void> {
    const chunks = this.#decoder[Symbol.asyncIterator]() as AsyncIterator<Uint8Array>;
    try {
      for (;;) {
        const { done, value } = await chunks.next().catch(() => {
          throw corrupt();
        });
        if (done || this.#isEnded) return this.#end();
        const taken = output.take(plainBytes(value));
        this.#taking = taken.catch(() => {});
        await taken;
      }
    } catch (error) {
      this.#fail(error);
    }
  }

  #fail(error: unknown): void {
    this.#failure ??= error;
    this.#decoder.destroy();
    this.#end();
  }

  #end(): void {
    this.#isEnded = true;
    this.#ended.resolve();
  }
}

/** Memory that decoding a br stream with this first byte takes (RFC 7932, section 9.1). */
function brotliWindow(first: number): number {
  if ((first & 1) === 0) return 2 ** 16;
  const high = first >> 1 & 7;
  if (high > 0) return 2 ** (17 + high);
  const low = first >> 4 & 7;
  return 2 ** (low === 0 ? 17 : 8 + low);
}
