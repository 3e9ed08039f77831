import { BodyError, type IncomingRequest } from "./incoming_request.ts";
import { unreadable } from "./body_reader.ts";
import { lengthExceeded } from "./refusals.ts";

/** Bytes gathered before they are handed on, so that the disk gets fewer and larger writes. */
const GATHER_BYTES = 128 * 1024;

/** Options of {@link LargeStream}. */
export interface LargeStreamOptions {
  readonly request: IncomingRequest;
  readonly encoding: "" | "gzip";
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
  get encoding(): "" | "gzip" {
    return this.#o.encoding;
  }

  /**
   * The bytes as received, gathered; to be read once. A slow reader slows the client down.
   *
   * @throws {RequestError} 400, 408 or 413
   */
  async *pieces(): AsyncGenerator<readonly Uint8Array[]> {
    const { request, limit, first, track, onEnd } = this.#o;
    const done = track();
    let [total, gathered, isEnded] = [0, 0, false];
    let chunks: Uint8Array[] = [];
    const take = (chunk: Uint8Array): boolean => {
      total += chunk.length;
      gathered += chunk.length;
      chunks.push(chunk);
      return total <= limit && gathered < GATHER_BYTES;
    };
    try {
      for (const chunk of first) take(chunk);
      while (!isEnded) {
        if (gathered < GATHER_BYTES) isEnded = await request.chunks(take);
        if (total > limit) throw lengthExceeded();
        yield chunks;
        [chunks, gathered] = [[], 0];
      }
    } catch (error) {
      throw error instanceof BodyError ? unreadable(error) : error;
    } finally {
      onEnd(total);
      done();
    }
  }
}
