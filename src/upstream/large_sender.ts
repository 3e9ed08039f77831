/**
 * Sends records whose bodies are read from disk while they are sent.
 *
 * Each request has a connection of its own (`stream_client.ts`), and a try reads the body from its start. A body that is
 * sent as stored announces its length; one that is coded or aged on the way goes out in chunks. A slow upstream slows the
 * reading down.
 *
 * Limits: a piece or two of the body in memory; the upstream has the usual timeout for each piece and for its answer, and
 * in total one that grows by 1 ms for each {@link BODY_BYTES_PER_MS} of the body, as in `http_client.ts`.
 */
import { concatBytes } from "../core/bytes.ts";
import type { Clock } from "../core/clock.ts";
import { decodeChunks, encodeChunks } from "../protocol/content_coding.ts";
import { EnvelopeScanner } from "../protocol/envelope.ts";
import { RequestError } from "../protocol/request_error.ts";
import type { BodyEncoding, RequestMeta } from "../protocol/request_meta.ts";
import { ageEnvelope, HELD_MS_MIN } from "./age_envelope.ts";
import type { BodyEncoder } from "./body_encoding.ts";
import { classifyError, classifyResponse, type ForwardResult } from "./classify.ts";
import type { ClientResponse } from "./connection.ts";
import { BodyLostError, type StreamedBody } from "./forward_source.ts";
import { BODY_BYTES_PER_MS } from "./http_client.ts";
import type { ClientRequest } from "./request_head.ts";
import { ResponseHead } from "./response_head.ts";
import type { StreamClient, StreamResponse } from "./stream_client.ts";
import { UpstreamError } from "./upstream_error.ts";
import { recordRequest } from "./upstream_request.ts";

type Chunks = AsyncIterable<Uint8Array>;

/** Options of {@link LargeSender}. */
export interface LargeSenderOptions {
  readonly client: Pick<StreamClient, "send" | "close">;
  readonly encoder: BodyEncoder;
  readonly clock: Clock;
  readonly totalTimeoutMs: number;
  /** Most bytes of an answer that are read. */
  readonly answerBytesMax: number;
}

/** A record to be sent. */
export interface LargeRecord {
  readonly meta: RequestMeta;
  readonly body: StreamedBody;
  readonly heldMs: number;
  /** Headers with which the node says who it is. */
  readonly identity: ClientRequest["headers"];
}

/** What one try came to. */
export interface LargeResult {
  /** Null when the node itself gave it up. */
  readonly result: ForwardResult | null;
  /** How the body was encoded, and how much of it was sent. */
  readonly encoding: BodyEncoding;
  readonly bytes: number;
}

/** Sender of large records; made once per upstream and lane. */
export class LargeSender {
  readonly #o: LargeSenderOptions;

  constructor(options: LargeSenderOptions) {
    this.#o = options;
  }

  /**
   * Sends a record once.
   *
   * @throws {BodyLostError} its body cannot be had any more; the upstream did not get all of it
   */
  async send({ meta, body, heldMs, identity }: LargeRecord): Promise<LargeResult> {
    const stored = meta.contentEncoding;
    const encoding = meta.passthrough ? stored : this.#o.encoder.target(stored, body.bytes);
    const isAged = !meta.passthrough && heldMs > HELD_MS_MIN;
    const isAsStored = encoding === stored && !isAged;
    let bytes = 0;
    const count = async function* (chunks: Chunks): Chunks {
      for await (const chunk of chunks) {
        bytes += chunk.length;
        yield chunk;
      }
    };
    const chunks = isAsStored ? body.chunks() : this.#recoded(body, stored, encoding, isAged ? heldMs : 0);
    const request = recordRequest(meta, { bytes: NO_BYTES, encoding }, identity);
    const streamed = { bytes: isAsStored ? body.bytes : null, chunks: count(chunks) };
    const result = await this.#exchange({ ...request, body: streamed }, body.bytes);
    return { result, encoding, bytes };
  }

  /** Ends what is under way. */
  close(): void {
    this.#o.client.close();
  }

  #recoded({ chunks }: StreamedBody, stored: BodyEncoding, encoding: BodyEncoding, heldMs: number): Chunks {
    const decoded = decodeChunks(chunks(), stored);
    return encodeChunks(heldMs > 0 ? aged(decoded, heldMs) : decoded, encoding);
  }

  async #exchange(
    request: Parameters<StreamClient["send"]>[0],
    bytes: number,
  ): Promise<ForwardResult | null> {
    const { client, clock, totalTimeoutMs, answerBytesMax } = this.#o;
    const late = new AbortController();
    const timer = clock.after(totalTimeoutMs + Math.floor(bytes / BODY_BYTES_PER_MS), () => late.abort());
    try {
      const answer = await wholeAnswer(await client.send(request, late.signal), answerBytesMax);
      return classifyResponse(answer, clock.now());
    } catch (error) {
      if (late.signal.aborted) {
        return classifyError(new UpstreamError("timeout", "Timed out waiting for the answer"), clock.now());
      }
      if (error instanceof UpstreamError) return classifyError(error, clock.now());
      if (error instanceof BodyLostError) throw error;
      const message = error instanceof Error ? error.message : String(error);
      return { kind: "server_error", status: null, message: `The body cannot be read: ${message}` };
    } finally {
      timer.cancel();
    }
  }
}

const NO_BYTES = new Uint8Array(0);

/** An envelope whose `sent_at` moved on; one that cannot be read passes as it is. */
async function* aged(chunks: Chunks, heldMs: number): AsyncGenerator<Uint8Array> {
  const scanner = new EnvelopeScanner();
  let start: Uint8Array[] | null = [];
  for await (const chunk of chunks) {
    if (start === null) {
      yield chunk;
      continue;
    }
    // Good only until the next is asked for.
    start.push(chunk.slice());
    if (!hasPassedHead(scanner, chunk)) continue;
    const bytes = concatBytes(start);
    yield ageEnvelope(bytes, heldMs) ?? bytes;
    start = null;
  }
  if (start !== null) yield* start;
}

function hasPassedHead(scanner: EnvelopeScanner, chunk: Uint8Array): boolean {
  try {
    scanner.push(chunk);
    return scanner.head !== null;
  } catch (error) {
    if (error instanceof RequestError) return true;
    throw error;
  }
}

async function wholeAnswer(
  { status, fields, body }: StreamResponse,
  bytesMax: number,
): Promise<ClientResponse> {
  const head = new ResponseHead(status, 1, fields);
  const chunks: Uint8Array[] = [];
  let left = bytesMax;
  if (body) {
    for await (const chunk of body) {
      chunks.push(chunk.subarray(0, Math.max(0, left)));
      left -= chunk.length;
      if (left <= 0) break;
    }
  }
  return { status, header: (name) => head.header(name), body: concatBytes(chunks) };
}
