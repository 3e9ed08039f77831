import type { BodyEncoding } from "../protocol/request_meta.ts";
import { BodyError, type IncomingRequest } from "./incoming_request.ts";
import { unreadable } from "./body_reader.ts";
import { lengthExceeded } from "./refusals.ts";

/** Bytes gathered before they are handed on, so that the disk gets fewer and larger writes. */
const GATHER_BYTES = 128 * 1024;

/** Options of {@link LargeStream}. */
export interface LargeStreamOptions {
  readonly request: IncomingRequest;
  readonly encoding: BodyEncoding;
  /** Most bytes, as received. */
  readonly limit: number;
  /** What was read already; the rest comes from the request. */
  readonly first: readonly Uint8Array[];
  /** Counts one more body as being read, until what it returns is called. */
  readonly track: () => () => void;
  /** Called at the end with the bytes that came. */
  readonly onEnd: (bytes: number) => void;
}

/** A body that is too large to be held, as it arrives. */
export class LargeStream {
  readonly #o: LargeStreamOptions;

  constructor(options: LargeStreamOptions) {
    this.#o = options;
  }

  /** What has to be undone to read it. */
  get encoding(): BodyEncoding {
    return this.#o.encoding;
  }

  /**
   * The bytes as received, gathered; to be read once. A piece is good until the next is asked for, and a slow reader slows the
   * client down.
   *
   * @throws {RequestError} 400, 408 or 413
   */
  async *pieces(): AsyncGenerator<Uint8Array> {
    const { request, limit, first, track, onEnd } = this.#o;
    const done = track();
    const gathered = new Gathered();
    let [total, isEnded] = [0, false];
    const take = (chunk: Uint8Array): boolean => (total += chunk.length) <= limit && gathered.add(chunk);
    try {
      for (const chunk of first) {
        total += chunk.length;
        yield chunk;
      }
      while (!isEnded && total <= limit) {
        isEnded = await request.chunks(take);
        if (total <= limit) yield* gathered.take();
      }
      if (total > limit) throw lengthExceeded();
    } catch (error) {
      throw error instanceof BodyError ? unreadable(error) : error;
    } finally {
      onEnd(total);
      done();
    }
  }
}

/**
 * Chunks in one piece of memory that is used again and again. What chunks come in is often much larger than what they hold,
 * and the collector of garbage knows neither how much that is nor that it is urgent.
 */
class Gathered {
  readonly #buffer = new Uint8Array(GATHER_BYTES);
  #bytes = 0;
  /** What did not fit in. */
  #rest: Uint8Array | null = null;

  /** Adds a chunk; false when nothing more fits in. */
  add(chunk: Uint8Array): boolean {
    const room = GATHER_BYTES - this.#bytes;
    this.#buffer.set(room < chunk.length ? chunk.subarray(0, room) : chunk, this.#bytes);
    this.#bytes += Math.min(room, chunk.length);
    if (room < chunk.length) this.#rest = chunk.subarray(room);
    return this.#bytes < GATHER_BYTES;
  }

  /** What was gathered; then it is empty. */
  *take(): Generator<Uint8Array> {
    if (this.#bytes > 0) yield this.#buffer.subarray(0, this.#bytes);
    if (this.#rest !== null) yield this.#rest;
    [this.#bytes, this.#rest] = [0, null];
  }
}
