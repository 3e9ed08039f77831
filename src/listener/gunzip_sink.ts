import * as zlib from "node:zlib";
import type { RequestError } from "../protocol/request_error.ts";
import { corrupt } from "./decode_body.ts";
import { lengthExceeded } from "./refusals.ts";

/** Inflates a gzip body piece by piece as it is pushed, and hands on what comes out; at most `limit` bytes. */
export class GunzipSink {
  readonly #gunzip = zlib.createGunzip();
  readonly #ended = Promise.withResolvers<void>();
  #isEnded = false;
  #failure: unknown = null;
  #total = 0;

  /** @param take called with what came out; what it throws ends the decoding */
  constructor(limit: number, take: (chunk: Uint8Array) => void) {
    this.#gunzip.on("data", (chunk: Uint8Array) => {
      if (this.#failure !== null) return;
      this.#total += chunk.length;
      try {
        if (this.#total > limit) throw lengthExceeded();
        take(chunk);
      } catch (error) {
        this.#fail(error);
      }
    });
    this.#gunzip.on("end", () => this.#end());
    this.#gunzip.on("error", () => this.#fail(corrupt()));
  }

  /**
   * Decodes the next bytes; resolves when all that comes of them was handed on.
   *
   * @throws {RequestError} 400 or 413, and what `take` threw
   */
  async write(chunk: Uint8Array): Promise<void> {
    // Padding behind the last member ends the stream early.
    if (!this.#isEnded) {
      const taken = new Promise<void>((resolve) => this.#gunzip.write(chunk, () => resolve()));
      await Promise.race([taken, this.#ended.promise]);
    }
    if (this.#failure !== null) throw this.#failure;
  }

  /**
   * All was pushed.
   *
   * @throws {RequestError} 400 when that was not the whole body, and as {@link GunzipSink.write}
   */
  async end(): Promise<void> {
    if (!this.#isEnded) this.#gunzip.end();
    await this.#ended.promise;
    if (this.#failure !== null) throw this.#failure;
  }

  /** Gives the decoder back; harmless after the end. */
  destroy(): void {
    this.#gunzip.destroy();
  }

  #fail(error: unknown): void {
    this.#failure ??= error as RequestError;
    this.#gunzip.destroy();
    this.#end();
  }

  #end(): void {
    this.#isEnded = true;
    this.#ended.resolve();
  }
}
