/**
 * zstd bodies that are decoded while they arrive.
 *
 * Why block by block: what the runtime's decoder puts out beyond its buffer it puts out in a callback of its own, and what
 * it finds to be corrupt there ends the process (`zstd.ts`). A block is judged before any of it is put out, so a decoder
 * that is given one at a time finds what is wrong with it within the call, where the error can be handled. That a body is
 * cut short, which the decoder does not report, shows in its blocks, too.
 *
 * Limits: a block in and out, and the window that the frame states, which the decoder bounds at 128 MiB.
 */
import type { Transform } from "node:stream";
import * as zlib from "node:zlib";
import { plainBytes } from "../core/bytes.ts";
import { ZstdBlocks } from "./zstd_blocks.ts";

const { createZstdDecompress } = zlib as { createZstdDecompress?: () => Transform };

/** Decodes one body. Only where `HAS_ZSTD`. */
export class ZstdDecoder {
  readonly #decoder: Transform = createZstdDecompress!();
  readonly #blocks: ZstdBlocks;
  readonly #failed = Promise.withResolvers<never>();
  readonly #out: Uint8Array[] = [];

  /** @param onWindow see {@link ZstdBlocks} */
  constructor(onWindow: (bytes: number) => void = () => {}) {
    this.#blocks = new ZstdBlocks(onWindow);
    this.#failed.promise.catch(() => {});
    this.#decoder.on("data", (chunk: Uint8Array) => this.#out.push(plainBytes(chunk)));
    this.#decoder.on("error", (error) => this.#failed.reject(error));
  }

  /**
   * What comes of the next bytes, block by block.
   *
   * @throws {Error} they are corrupt, and what `onWindow` threw
   */
  async *push(chunk: Uint8Array): AsyncGenerator<Uint8Array> {
    for (const piece of this.#blocks.push(chunk)) {
      const taken = new Promise<void>((resolve) => this.#decoder.write(piece, () => resolve()));
      await Promise.race([taken, this.#failed.promise]);
      yield* this.#out.splice(0);
    }
  }

  /**
   * All was pushed.
   *
   * @throws {ZstdError} the body is cut short
   */
  end(): void {
    this.#blocks.end();
  }

  /** Gives the decoder back; harmless after the end. */
  destroy(): void {
    this.#decoder.destroy();
  }
}
