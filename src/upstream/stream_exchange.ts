import { concatBytes, utf8 } from "../core/bytes.ts";
import type { Clock, Timer } from "../core/clock.ts";
import { close, type Wire } from "./dial.ts";
import { openHead, writeLatin1 } from "./request_head.ts";
import { ResponseParser } from "./response_parser.ts";
import { UpstreamError } from "./upstream_error.ts";

const READ_BYTES = 64 * 1024;
/** How long an answer may take that was sent before the connection broke. */
const LATE_ANSWER_MS = 1000;
const LINE_END = utf8("\r\n");
const LAST_CHUNK = utf8("0\r\n\r\n");

/** Statuses of answers without a body. */
const BODILESS: ReadonlySet<number> = new Set([204, 205, 304]);

/** Body of a request that is read while it is sent. */
export interface StreamedRequestBody {
  /** Length in bytes; null when it is not known, then it goes out in chunks. */
  readonly bytes: number | null;
  readonly chunks: AsyncIterable<Uint8Array>;
}

/** Request of a `StreamClient`; `Host`, `Connection` and the framing of the body are added. */
export interface StreamRequest {
  /** A token. */
  readonly method: string;
  /** Origin-form target; visible ASCII characters only. */
  readonly path: string;
  /** Names must be tokens; characters that cannot stand in a value are replaced by spaces. */
  readonly headers: readonly (readonly [string, string])[];
  readonly body: StreamedRequestBody | null;
}

/** Answer whose body is still on its way. */
export interface StreamResponse {
  readonly status: number;
  /** Lower-case names and values, alternating, in order of arrival. */
  readonly fields: readonly string[];
  /** As sent, in its Content-Encoding. It must be read to its end or cancelled. Null when there can be none. */
  readonly body: ReadableStream<Uint8Array> | null;
  /** Resolves when nothing of the answer is on its way any more, however it ended. */
  readonly ended: Promise<void>;
}

/** Limits of an exchange; see `StreamClientOptions`. */
export interface StreamLimits {
  readonly clock: Clock;
  readonly timeoutMs: number;
  readonly readerTimeoutMs: number;
  readonly headBytesMax: number;
}

/** One request and its answer on a connection of their own. */
export class StreamExchange {
  readonly #wire: Wire;
  readonly #limits: StreamLimits;
  readonly #parser: ResponseParser;
  readonly #onClosed: () => void;
  readonly #ended = Promise.withResolvers<void>();
  readonly #buffer = new Uint8Array(READ_BYTES);
  #timer: Timer | null = null;
  #isAnswered = false;
  #isClosed = false;
  #failure: unknown = null;
  #reader: ReadableStreamDefaultController<Uint8Array> | null = null;

  /** @param onClosed called once, when the connection is not needed any more */
  constructor(wire: Wire, limits: StreamLimits, onClosed: () => void) {
    this.#wire = wire;
    this.#limits = limits;
    this.#onClosed = onClosed;
    this.#parser = new ResponseParser({ headBytesMax: limits.headBytesMax, bodyBytesMax: Infinity });
  }

  /**
   * Sends the request and resolves with the head of its answer; called once.
   *
   * @throws {UpstreamError} and whatever reading the request's body throws
   */
  async run(request: StreamRequest, constantHead: string): Promise<StreamResponse> {
    void this.#send(request, constantHead);
    try {
      while (this.#parser.head === null) await this.#read();
    } catch (error) {
      this.fail(error);
      throw this.#failure;
    }
    this.#isAnswered = true;
    this.#wait(null);
    const { status, fields } = this.#parser.head;
    const isBodiless = request.method === "HEAD" || BODILESS.has(status);
    if (isBodiless) this.#close();
    return {
      status,
      fields,
      body: isBodiless ? null : this.#bodyStream(),
      ended: this.#ended.promise,
    };
  }

  /** Ends the exchange, and the answer's body with `error` if it is being read. */
  fail(error: unknown): void {
    if (this.#isClosed) return;
    this.#failure = error;
    this.#close();
    this.#reader?.error(error);
  }

  #close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#wait(null);
    close(this.#wire);
    this.#onClosed();
    this.#ended.resolve();
  }

  /** Never rejects. */
  async #send(request: StreamRequest, constantHead: string): Promise<void> {
    const { body } = request;
    try {
      await this.#write(headBytes(request, constantHead));
      if (body !== null) {
        for await (const chunk of body.chunks) {
          if (this.#isAnswered) return;
          if (chunk.length > 0) await this.#write(body.bytes === null ? chunkBytes(chunk) : chunk);
          if (this.#isAnswered) return;
        }
        if (body.bytes === null) await this.#write(LAST_CHUNK);
      }
      if (!this.#isAnswered) this.#waitFor(this.#limits.timeoutMs, "answer");
    } catch (error) {
      if (this.#isAnswered) return;
      // An upstream that refuses a body may close after its answer, and the answer may still be on its way.
      if (error instanceof UpstreamError) this.#wait(LATE_ANSWER_MS, () => error);
      else this.fail(error);
    }
  }

  async #write(bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.length && !this.#isAnswered;) {
      this.#waitFor(this.#limits.timeoutMs, "upstream to take the request");
      try {
        at += await this.#wire.write(at === 0 ? bytes : bytes.subarray(at));
      } catch (error) {
        throw new UpstreamError("write", `The request could not be written: ${message(error)}`);
      }
    }
    // From here to the next piece it is the sender who takes time.
    if (!this.#isAnswered) this.#wait(null);
  }

  async #read(): Promise<void> {
    let bytes: number | null;
    try {
      bytes = await this.#wire.read(this.#buffer);
    } catch (error) {
      throw this.#failure ?? new UpstreamError("reset", message(error));
    }
    if (this.#isClosed) throw this.#failure;
    if (bytes !== null) return void this.#parser.feed(this.#buffer.subarray(0, bytes));
    this.#parser.end();
    if (!this.#parser.done) throw new UpstreamError("reset", "The upstream closed the connection");
  }

  #bodyStream(): ReadableStream<Uint8Array> {
    return new ReadableStream<Uint8Array>({
      start: (controller) => void (this.#reader = controller),
      pull: (controller) => this.#pull(controller).catch((error) => this.fail(error)),
      cancel: () => this.#close(),
    }, { highWaterMark: 0 });
  }

  async #pull(controller: ReadableStreamDefaultController<Uint8Array>): Promise<void> {
    for (;;) {
      const chunks = this.#parser.takeChunks();
      for (const chunk of chunks) controller.enqueue(chunk);
      if (this.#parser.done) {
        this.#reader = null;
        this.#close();
        return controller.close();
      }
      if (chunks.length > 0) {
        return this.#waitFor(this.#limits.readerTimeoutMs, "reader of the answer");
      }
      this.#waitFor(this.#limits.timeoutMs, "rest of the answer");
      await this.#read();
    }
  }

  #waitFor(ms: number, what: string): void {
    this.#wait(ms, () => new UpstreamError("timeout", `Timed out waiting for the ${what}`));
  }

  /** Sets the end of the present wait, in place of that of the last one; null for a wait without an end. */
  #wait(ms: number | null, failure?: () => UpstreamError): void {
    this.#timer?.cancel();
    this.#timer = ms === null || this.#isClosed
      ? null
      : this.#limits.clock.after(ms, () => this.fail(failure!()));
  }
}

function headBytes(request: StreamRequest, constantHead: string): Uint8Array {
  const head = `${openHead(request, constantHead)}${framing(request)}\r\n`;
  const bytes = new Uint8Array(head.length);
  writeLatin1(head, bytes);
  return bytes;
}

/** Methods whose requests usually have a body; without one they say so. */
const WITH_BODY: ReadonlySet<string> = new Set(["POST", "PUT", "PATCH"]);

function framing({ method, body }: StreamRequest): string {
  if (body === null) return WITH_BODY.has(method) ? "Content-Length: 0\r\n" : "";
  return body.bytes === null ? "Transfer-Encoding: chunked\r\n" : `Content-Length: ${body.bytes}\r\n`;
}

function chunkBytes(chunk: Uint8Array): Uint8Array {
  return concatBytes([utf8(`${chunk.length.toString(16)}\r\n`), chunk, LINE_END]);
}

function message(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
