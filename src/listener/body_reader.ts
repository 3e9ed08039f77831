/**
 * Reads request bodies, bounded one by one and all together.
 *
 * Why two ways: taking a small announced body whole costs less than half of reading it as a stream. Every other body
 * is counted while it arrives, and refused as soon as it is beyond its limit.
 *
 * Limits: the limit of a body counts as received and again decoded; all bodies together are within a
 * {@link BodyBudget}. Of a refused body only a small rest is read, which keeps the connection for the next request.
 */
import { concatBytes } from "../core/bytes.ts";
import { RequestError } from "../protocol/request_error.ts";
import type { BodyEncoding } from "../protocol/request_meta.ts";
import type { Metrics } from "../telemetry/registry.ts";
import { METRICS } from "../telemetry/catalogue.ts";
import { BodyBudget } from "./body_budget.ts";
import { decodeBody, parseContentEncoding } from "./decode_body.ts";
import { BodyError, type IncomingRequest } from "./incoming_request.ts";
import { LARGE_BYTES_MIN } from "../spool/large_body.ts";
import { LargeStream } from "./large_stream.ts";
import { lengthExceeded, queueFailed } from "./refusals.ts";

/** A body that was read to its end. */
export interface Body {
  /** As the client sent it. */
  readonly received: Uint8Array;
  readonly encoding: BodyEncoding;
  /** The same array as `received` when there is no encoding. */
  readonly decoded: Uint8Array;
  /** Gives the memory back; called once. */
  release(): void;
}

/**
 * Announced bodies up to this size are taken whole. All of it is reserved before any of it came, so larger ones would let a
 * few hundred clients that announce and send nothing take all memory there is for bodies.
 */
const WHOLE_BYTES_MAX = 64 * 1024;
/** Rest of a refused body that is read and thrown away. */
const DISCARD_BYTES_MAX = 256 * 1024;

/** Refused bodies up to this size are read at once, outside of the budget. */
const DISCARD_WHOLE_BYTES_MAX = 16 * 1024;

/** Reader of all bodies of a listener. */
export class BodyReader {
  readonly #budget: BodyBudget;
  readonly #metrics: Metrics;
  #reading = 0;
  #idle: (() => void)[] = [];

  /** @param o.memoryBytesMax bodies, received and decoded, held at once */
  constructor(o: { memoryBytesMax: number; metrics: Metrics }) {
    this.#budget = new BodyBudget(o.memoryBytesMax);
    this.#metrics = o.metrics;
  }

  /** Changes how many bytes of bodies are held at once. */
  set memoryBytesMax(bytes: number) {
    this.#budget.bytesMax = bytes;
  }

  /** Bytes of bodies held now. */
  get held(): number {
    return this.#budget.held;
  }

  /** What all bodies share; for endpoints that inflate parts of one. */
  get budget(): BodyBudget {
    return this.#budget;
  }

  /** Resolves at the first moment at which no body is being read. */
  whenIdle(): Promise<void> {
    if (this.#reading === 0) return Promise.resolve();
    return new Promise((resolve) => this.#idle.push(resolve));
  }

  /** Counts one more body as being read, until the returned function is called. */
  track(): () => void {
    this.#reading++;
    return () => {
      if (--this.#reading > 0) return;
      for (const resolve of this.#idle.splice(0)) resolve();
    };
  }

  /**
   * Reads and decodes a body of at most `limit` bytes.
   *
   * @throws {RequestError} 400, 408, 413, 415 or 503: ingestion reference, sections 4.1, 4.4, 5.3
   */
  async read(request: IncomingRequest, limit: number): Promise<Body> {
    const encoding = parseContentEncoding(request.header("content-encoding"));
    const received = plainBytes(await this.#receive(request, limit));
    this.#metrics.add(METRICS.requestBytes, request.bodyBytes = received.length, encoding || "identity");
    if (encoding === "") return this.#body(received, encoding, received, received.length);
    try {
      const decoded = plainBytes(await decodeBody(received, encoding, limit, this.#budget));
      return this.#body(received, encoding, decoded, received.length + decoded.length);
    } catch (error) {
      this.#budget.release(received.length);
      throw error;
    }
  }

  /**
   * Reads a body that is small, received and decoded; of a larger one only as much as shows that.
   *
   * @throws {RequestError} as {@link BodyReader.read}
   */
  async open(request: IncomingRequest, limit: number): Promise<Body | LargeStream> {
    const encoding = parseContentEncoding(request.header("content-encoding"));
    if (limit <= LARGE_BYTES_MIN) return await this.read(request, limit);
    const announced = announcedLength(request);
    if (announced > limit) throw lengthExceeded();
    const stream = (first: readonly Uint8Array[]): LargeStream =>
      this.#stream(request, encoding, limit, first);
    if (announced > LARGE_BYTES_MIN) return stream([]);
    const received = await this.#receiveUpTo(request, LARGE_BYTES_MIN);
    if (received.isMore) return stream(received.chunks);
    const bytes = plainBytes(concatBytes(received.chunks));
    try {
      const decoded = encoding === ""
        ? bytes
        : plainBytes(await decodeBody(bytes, encoding, LARGE_BYTES_MIN, this.#budget));
      this.#metrics.add(METRICS.requestBytes, request.bodyBytes = bytes.length, encoding || "identity");
      const held = encoding === "" ? bytes.length : bytes.length + decoded.length;
      return this.#body(bytes, encoding, decoded, held);
    } catch (error) {
      this.#budget.release(bytes.length);
      if (error instanceof RequestError && error.status === 413) return stream([bytes]);
      throw error;
    }
  }

  #stream(
    request: IncomingRequest,
    encoding: BodyEncoding,
    limit: number,
    first: readonly Uint8Array[],
  ): LargeStream {
    const onEnd = (bytes: number): void =>
      this.#metrics.add(METRICS.requestBytes, request.bodyBytes = bytes, encoding || "identity");
    return new LargeStream({ request, encoding, limit, first, track: () => this.track(), onEnd });
  }

  /** Reads a body, or its start when it is larger than `max`; then nothing of it is reserved any more. */
  async #receiveUpTo(
    request: IncomingRequest,
    max: number,
  ): Promise<{ readonly chunks: readonly Uint8Array[]; readonly isMore: boolean }> {
    if (announcedLength(request) >= 0) return { chunks: [await this.#receive(request, max)], isMore: false };
    const done = this.track();
    const chunks: Uint8Array[] = [];
    let total = 0;
    try {
      const take = (chunk: Uint8Array): boolean => (chunks.push(chunk), (total += chunk.length) <= max);
      const isWhole = await request.chunks(take);
      if (!isWhole) return { chunks, isMore: true };
      if (!this.#budget.take(total)) throw queueFailed();
      return { chunks, isMore: false };
    } catch (error) {
      throw error instanceof BodyError ? unreadable(error) : error;
    } finally {
      done();
    }
  }

  /** Reads and forgets what is left of a refused body; false when that is too much to be worth it. */
  async discard(request: IncomingRequest): Promise<boolean> {
    if (announcedLength(request) > DISCARD_BYTES_MAX || request.header("expect") !== null) return false;
    let left = DISCARD_BYTES_MAX;
    try {
      return await request.chunks((chunk) => (left -= chunk.length) > 0);
    } catch {
      return false;
    }
  }

  /** The same for a body nobody has begun to read; a small announced one is taken whole, which is cheaper. */
  async discardUnread(request: IncomingRequest): Promise<boolean> {
    const announced = announcedLength(request);
    if (announced < 0 || announced > DISCARD_WHOLE_BYTES_MAX || request.header("expect") !== null) {
      return await this.discard(request);
    }
    try {
      await request.bytes();
      return true;
    } catch {
      return false;
    }
  }

  #body(received: Uint8Array, encoding: BodyEncoding, decoded: Uint8Array, held: number): Body {
    return { received, encoding, decoded, release: () => this.#budget.release(held) };
  }

  async #receive(request: IncomingRequest, limit: number): Promise<Uint8Array> {
    const announced = announcedLength(request);
    if (announced > limit) throw lengthExceeded();
    const done = this.track();
    try {
      return announced >= 0 && announced <= WHOLE_BYTES_MAX
        ? await this.#receiveWhole(request, announced)
        : await this.#receiveCounted(request, limit);
    } catch (error) {
      throw error instanceof BodyError ? unreadable(error) : error;
    } finally {
      done();
    }
  }

  async #receiveWhole(request: IncomingRequest, announced: number): Promise<Uint8Array> {
    if (!this.#budget.take(announced)) throw queueFailed();
    try {
      return await request.bytes();
    } catch (error) {
      this.#budget.release(announced);
      throw error;
    }
  }

  async #receiveCounted(request: IncomingRequest, limit: number): Promise<Uint8Array> {
    const chunks: Uint8Array[] = [];
    let total = 0;
    let refusal: RequestError | null = null;
    try {
      await request.chunks((chunk) => {
        if (total + chunk.length > limit) refusal = lengthExceeded();
        else if (!this.#budget.take(chunk.length)) refusal = queueFailed();
        else chunks.push(chunk), total += chunk.length;
        return refusal === null;
      });
      if (refusal !== null) throw refusal;
      return concatBytes(chunks);
    } catch (error) {
      this.#budget.release(total);
      throw error;
    }
  }
}

/** The same bytes, never a `Buffer`: its `slice` does not copy, which whoever keeps bytes would have to know. */
function plainBytes(bytes: Uint8Array): Uint8Array {
  return bytes.constructor === Uint8Array
    ? bytes
    : new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** Announced length of a body in bytes; -1 when there is none (the engines have checked its form). */
export function announcedLength(request: IncomingRequest): number {
  const text = request.header("content-length");
  return text === null ? -1 : Number.parseInt(text, 10);
}

/** Answer to a body that could not be read to its end: 408 or 400. */
export function unreadable(error: BodyError): RequestError {
  return error.kind === "timeout"
    ? RequestError.text(408, "no_data", "Failed to buffer the request body: timed out")
    : RequestError.text(
      400,
      "no_data",
      "Failed to buffer the request body: error reading a body from connection",
    );
}
