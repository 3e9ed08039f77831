/**
 * Files inside a body that are themselves compressed, as crash reporters may send their dumps: told by their first
 * bytes, inflated up to a limit while they pass. Ingestion reference, section 1.3.
 *
 * gzip and zstd are inflated as bodies are. xz and bzip2 are held as they came, within the memory of all bodies, because
 * their decoders want all of their input, or (xz) serve one file at a time, while others wait: none of them for a slow
 * client. Decoding pauses every few milliseconds, so that a large dump does not hold up other requests.
 *
 * Limits: bytes that come out; decoding stops at the first chunk beyond. xz keeps a dictionary: at most 64 MiB. Files with a
 * larger one are refused, as are those with a filter for machine code or a checksum by SHA-256, which `xz` makes only when
 * told to.
 */
import xz from "xz-decompress";
import type { Clock } from "../core/clock.ts";
import { Bzip2Error, decodeBzip2 } from "../protocol/bzip2.ts";
import { RequestError } from "../protocol/request_error.ts";
import { HAS_ZSTD } from "../protocol/zstd.ts";
import type { BodyBudget } from "./body_budget.ts";
import type { ByteSink } from "./byte_sink.ts";
import { decodeSink } from "./decode_sink.ts";
import { HeldBytes } from "./held_bytes.ts";
import { lengthExceeded, queueFailed } from "./refusals.ts";

/** Compressed file formats. */
export type Container = "gzip" | "xz" | "bzip2" | "zstd";

const MAGIC: readonly (readonly [Container, readonly number[]])[] = [
  ["gzip", [0x1f, 0x8b]],
  ["xz", [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00]],
  ["bzip2", [0x42, 0x5a, 0x68]],
  ["zstd", [0x28, 0xb5, 0x2f, 0xfd]],
];

const BUSY_MS_MAX = 4;

/** The format that `bytes` are in, by how they begin; `null` for any other. */
export function containerOf(bytes: Uint8Array): Container | null {
  return MAGIC.find(([, magic]) => magic.every((byte, i) => bytes[i] === byte))?.[0] ?? null;
}

/** Options of {@link inflateSink}. */
export interface InflateOptions {
  /** Most bytes that may come out. */
  readonly limit: number;
  readonly budget: BodyBudget;
  readonly clock: Clock;
}

/**
 * Takes a compressed file, and hands on to `into` what it holds. Its methods throw {@link RequestError}, 400 when the file is
 * damaged, 413 beyond the limit, 503 when the budget is used up, and what `into` throws.
 */
export function inflateSink(container: Container, into: ByteSink, options: InflateOptions): ByteSink {
  return container === "gzip" || container === "zstd"
    ? new PassingFile(container, into, options)
    : new HeldFile(container, into, options);
}

class PassingFile implements ByteSink {
  readonly #decoder: ByteSink;

  constructor(container: "gzip" | "zstd", readonly into: ByteSink, { limit, budget }: InflateOptions) {
    if (container === "zstd" && !HAS_ZSTD) throw invalidContainer();
    this.#decoder = decodeSink(container, { limit, budget, take: (chunk) => into.write(chunk) });
  }

  async write(chunk: Uint8Array): Promise<void> {
    await this.#decoder.write(chunk).catch(rethrow);
  }

  async end(): Promise<void> {
    await this.#decoder.end().catch(rethrow);
    await this.into.end();
  }

  async destroy(): Promise<void> {
    await this.#decoder.destroy();
    await this.into.destroy();
  }
}

function rethrow(error: unknown): never {
  const isDamaged = error instanceof RequestError && error.reason === "invalid_compression";
  throw isDamaged ? invalidContainer() : error;
}

class HeldFile implements ByteSink {
  readonly #held: HeldBytes;

  constructor(
    readonly container: "xz" | "bzip2",
    readonly into: ByteSink,
    readonly o: InflateOptions,
  ) {
    this.#held = new HeldBytes(o.budget);
  }

  write(chunk: Uint8Array): Promise<void> {
    return this.#held.append(chunk) ? Promise.resolve() : Promise.reject(queueFailed());
  }

  async end(): Promise<void> {
    const { limit, clock } = this.o;
    const { bytes } = this.#held;
    let total = 0;
    let busySinceMs = clock.monotonic();
    for await (const chunk of this.container === "xz" ? xzChunks(bytes) : bzip2Chunks(bytes)) {
      total += chunk.length;
      if (total > limit) throw lengthExceeded();
      await this.into.write(chunk);
      if (clock.monotonic() - busySinceMs < BUSY_MS_MAX) continue;
      await clock.sleep(0);
      busySinceMs = clock.monotonic();
    }
    await this.into.end();
  }

  async destroy(): Promise<void> {
    this.#held.release();
    await this.into.destroy();
  }
}

function* bzip2Chunks(bytes: Uint8Array): Generator<Uint8Array> {
  try {
    yield* decodeBzip2(bytes);
  } catch (error) {
    throw error instanceof Bzip2Error ? invalidContainer() : error;
  }
}

/** Its decoder is shared, and only given back when the stream is read to its end or cancelled: loops over it do either. */
async function* xzChunks(bytes: Uint8Array): AsyncGenerator<Uint8Array, void> {
  const chunks = new xz.XzReadableStream(ReadableStream.from([bytes])).values();
  try {
    for (;;) {
      const { done, value } = await chunks.next().catch(() => {
        throw invalidContainer();
      });
      if (done) return;
      yield value;
    }
  } finally {
    await chunks.return?.();
  }
}

function invalidContainer(): RequestError {
  return RequestError.json(400, "invalid_minidump", "invalid compression container");
}
