/**
 * Files inside a body that are themselves compressed, as crash reporters may send their dumps: told by their first
 * bytes, inflated up to a limit. Ingestion reference, section 1.3.
 *
 * Limits: output counts against the limit and the memory of all bodies while it grows, and decoding stops at the first
 * chunk beyond either. It pauses every few milliseconds, so that a large dump does not hold up other requests; gzip and
 * zstd, which are fast, are decoded as bodies are. xz keeps a dictionary beside its output: at most 64 MiB, for one dump
 * at a time, while others wait. Files with a larger one are refused, as are those with a filter for machine code or a
 * checksum by SHA-256, which `xz` makes only when told to.
 */
import xz from "xz-decompress";
import { concatBytes } from "../core/bytes.ts";
import type { Clock } from "../core/clock.ts";
import { Bzip2Error, decodeBzip2 } from "../protocol/bzip2.ts";
import { RequestError } from "../protocol/request_error.ts";
import { HAS_ZSTD } from "../protocol/zstd.ts";
import type { BodyBudget } from "./body_budget.ts";
import { decodeBody } from "./decode_body.ts";
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

/** What inflating needs beside the bytes. */
export interface InflateOptions {
  /** Most bytes that may come out. */
  readonly limit: number;
  /** What comes out is taken from it and is the caller's to release. */
  readonly budget: BodyBudget;
  readonly clock: Clock;
}

/**
 * Inflates a compressed file.
 *
 * @throws {RequestError} 400 when it is damaged, 413 beyond `limit`, 503 when the budget is used up
 */
export async function inflateContainer(
  bytes: Uint8Array,
  container: Container,
  options: InflateOptions,
): Promise<Uint8Array> {
  if (container === "bzip2") return await collect(decodeBzip2(bytes), options);
  if (container === "xz") return await collect(xzChunks(bytes), options);
  if (container === "zstd" && !HAS_ZSTD) throw invalidContainer();
  try {
    return await decodeBody(bytes, container, options.limit, options.budget);
  } catch (error) {
    if (error instanceof RequestError && error.status === 400) throw invalidContainer();
    throw error;
  }
}

async function collect(
  chunks: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
  { limit, budget, clock }: InflateOptions,
): Promise<Uint8Array> {
  const kept: Uint8Array[] = [];
  let total = 0;
  let busySinceMs = clock.monotonic();
  try {
    for await (const chunk of chunks) {
      if (total + chunk.length > limit) throw lengthExceeded();
      if (!budget.take(chunk.length)) throw queueFailed();
      kept.push(chunk);
      total += chunk.length;
      if (clock.monotonic() - busySinceMs < BUSY_MS_MAX) continue;
      await clock.sleep(0);
      busySinceMs = clock.monotonic();
    }
    return concatBytes(kept);
  } catch (error) {
    budget.release(total);
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
