/**
 * Request bodies that are passed on while they arrive.
 *
 * Content-Encoding is undone on the way, as a Relay does, because whoever is behind the upstream's API need not know it.
 * gzip and deflate are decoded as streams. br and zstd are read whole, within the memory of all bodies: nobody sends
 * them to the API but relays, which do so in small bodies.
 *
 * Limits: the limit of a body counts as received and again decoded.
 */
import { Readable } from "node:stream";
import * as zlib from "node:zlib";
import { METRICS } from "../telemetry/catalogue.ts";
import type { Metrics } from "../telemetry/registry.ts";
import { RequestError } from "../protocol/request_error.ts";
import { announcedLength, type BodyReader } from "./body_reader.ts";
import { corrupt, parseContentEncoding } from "./decode_body.ts";
import { BodyError, type IncomingRequest } from "./incoming_request.ts";
import { lengthExceeded } from "./refusals.ts";

type Chunks = AsyncIterable<Uint8Array>;

/** What {@link openBody} needs. */
export interface BodyStreamDeps {
  readonly bodies: BodyReader;
  readonly metrics: Metrics;
}

/** A body on its way, decoded. */
export interface BodyStream {
  /** Its length in bytes; null when it is not known before the end. */
  readonly bytes: number | null;
  /** Its pieces, to be read once; null when there is no body at all. Throws {@link RequestError} or {@link BodyError}. */
  readonly chunks: Chunks | null;
  /** Whether some of it was taken from the request. */
  readonly isStarted: boolean;
  /** Whether all of it was. */
  readonly isRead: boolean;
  /** Gives memory back, if any is held; called once. */
  release(): void;
}

/**
 * Opens a body of at most `limit` bytes. Resolves when its first bytes have arrived, unless it announced its length.
 *
 * @throws {RequestError} 400, 408, 413, 415 or 503: ingestion reference, sections 4.1 and 4.4
 * @throws {BodyError} when it breaks off before that
 */
export async function openBody(
  deps: BodyStreamDeps,
  request: IncomingRequest,
  limit: number,
): Promise<BodyStream> {
  const encoding = parseContentEncoding(request.header("content-encoding"));
  const announced = announcedLength(request);
  if (announced > limit) throw lengthExceeded();
  if (encoding === "br" || encoding === "zstd") return await wholeBody(deps, request, limit);
  const source = new RequestChunks(deps, request, { limit, announced, encoding: encoding || "identity" });
  if (announced === 0 || announced < 0 && !await source.hasMore()) return new EmptyBody();
  if (encoding === "") return new OpenBody(announced < 0 ? null : announced, source.read(), source);
  const decoder = encoding === "gzip" ? zlib.createGunzip() : zlib.createInflate();
  return new OpenBody(null, limited(decoded(source.read(), decoder), limit), source);
}

class EmptyBody implements BodyStream {
  readonly bytes = 0;
  readonly chunks = null;
  readonly isStarted = true;
  readonly isRead = true;
  release(): void {}
}

class OpenBody implements BodyStream {
  constructor(readonly bytes: number | null, readonly chunks: Chunks, readonly source: RequestChunks) {}

  get isStarted(): boolean {
    return this.source.isStarted;
  }

  get isRead(): boolean {
    return this.source.isRead;
  }

  release(): void {}
}

async function wholeBody(
  { bodies }: BodyStreamDeps,
  request: IncomingRequest,
  limit: number,
): Promise<BodyStream> {
  const { decoded, release } = await bodies.read(request, limit);
  const chunks = decoded.length === 0 ? null : Readable.from([decoded]) as Chunks;
  return { bytes: decoded.length, chunks, isStarted: true, isRead: true, release };
}

/** The body of a request as it arrives, one piece at a time, so that a slow reader slows the client down. */
class RequestChunks {
  isStarted = false;
  isRead = false;
  #first: Uint8Array | null = null;

  constructor(
    readonly deps: BodyStreamDeps,
    readonly request: IncomingRequest,
    readonly o: { readonly limit: number; readonly announced: number; readonly encoding: string },
  ) {}

  /** Waits for the first piece; false when there is none. */
  async hasMore(): Promise<boolean> {
    this.#first = await this.#next();
    return this.#first !== null;
  }

  async *read(): AsyncGenerator<Uint8Array> {
    const done = this.deps.bodies.track();
    let total = 0;
    try {
      for (let chunk = this.#first ?? await this.#next(); chunk !== null; chunk = await this.#next()) {
        total += chunk.length;
        if (total > this.o.limit) throw lengthExceeded();
        // The answer may come before the end is noticed.
        if (total === this.o.announced) this.isRead = true;
        yield chunk;
      }
    } finally {
      this.deps.metrics.add(METRICS.requestBytes, total, this.o.encoding);
      done();
    }
  }

  async #next(): Promise<Uint8Array | null> {
    this.isStarted = true;
    let next: Uint8Array | null = null;
    await this.request.chunks((chunk) => {
      // The end of an HTTP/2 request may come as one more piece.
      if (chunk.length > 0) next = chunk;
      return chunk.length === 0;
    });
    if (next === null) this.isRead = true;
    return next;
  }
}

async function* decoded(chunks: Chunks, decoder: zlib.Gunzip | zlib.Inflate): AsyncGenerator<Uint8Array> {
  const source = Readable.from(chunks, { objectMode: false });
  source.on("error", (error) => decoder.destroy(error));
  try {
    for await (const chunk of source.pipe(decoder)) yield chunk;
  } catch (error) {
    throw error instanceof BodyError || error instanceof RequestError ? error : corrupt();
  } finally {
    source.destroy();
    decoder.destroy();
  }
}

async function* limited(chunks: Chunks, limit: number): AsyncGenerator<Uint8Array> {
  let total = 0;
  for await (const chunk of chunks) {
    total += chunk.length;
    if (total > limit) throw lengthExceeded();
    yield chunk;
  }
}
