/**
 * Incremental parser of HTTP/1.x answers.
 *
 * Why strict: an answer decides whether a record is deleted. Whatever is not plainly an answer is an error, and an error
 * costs no more than sending the record again. Bare line feeds, folded header lines, unknown transfer codings and
 * contradicting lengths are refused. `Transfer-Encoding` beside `Content-Length` is the exception: the former wins, as
 * RFC 9112 section 6.3 has it, and the connection is not used again.
 *
 * Limits: `headBytesMax` for all heads of one answer together, interim ones and trailers included; `bodyBytesMax` for the
 * body; 256 bytes for a chunk's size line. Nothing is kept beyond them.
 *
 * Layout: bytes go in with {@link ResponseParser.feed} as they arrive, split anywhere. A head that arrives in one piece is
 * parsed where it lies; only a split one is collected. Body bytes are copied, since callers reuse their read buffer.
 */
import { concatBytes } from "../core/bytes.ts";
import {
  allowsReuse,
  bodyFraming,
  parseField,
  parseResponseHead,
  type ResponseHead,
} from "./response_head.ts";
import { UpstreamError } from "./upstream_error.ts";

const CR = 13;
const LF = 10;
const LETTER_H = 72;
const CHUNK_LINE_BYTES_MAX = 256;
const CHUNK_SIZE = /^([0-9A-Fa-f]{1,12})[\t ]*(?:;[\t\x20-\x7e\x80-\xff]*)?$/;
const EMPTY = new Uint8Array(0);
const latin1 = new TextDecoder("latin1");

type State =
  | "head"
  | "length"
  | "chunk_size"
  | "chunk_data"
  | "chunk_end"
  | "trailers"
  | "until_close"
  | "done";

/** Limits of a {@link ResponseParser}, bytes. */
export interface ResponseLimits {
  readonly headBytesMax: number;
  readonly bodyBytesMax: number;
}

/** Parses one answer after the other on one connection; {@link ResponseParser.reset} between them. */
export class ResponseParser {
  #state: State = "head";
  #started = false;
  #head: ResponseHead | null = null;
  #keepAlive = false;
  #headBytes = 0;
  #bodyBytes = 0;
  /** Bytes missing of the body or of the current chunk. */
  #missing = 0;
  #chunks: Uint8Array[] = [];
  #held: Uint8Array = EMPTY;
  #heldBytes = 0;

  constructor(readonly limits: ResponseLimits) {}

  /** Whether any byte of the answer has arrived. */
  get started(): boolean {
    return this.#started;
  }

  /** Whether the answer is complete. */
  get done(): boolean {
    return this.#state === "done";
  }

  /** Head of the final answer, once it has arrived. */
  get head(): ResponseHead | null {
    return this.#head;
  }

  /** Whether the answer allows another request on its connection. */
  get keepAlive(): boolean {
    return this.#keepAlive;
  }

  /** The body of a complete answer. */
  body(): Uint8Array {
    const chunks = this.#chunks;
    return chunks.length === 0 ? EMPTY : chunks.length === 1 ? chunks[0]! : concatBytes(chunks);
  }

  /** Takes out what has arrived of the body since the last call, for callers that pass it on piece by piece. */
  takeChunks(): readonly Uint8Array[] {
    const chunks = this.#chunks;
    this.#chunks = [];
    return chunks;
  }

  /** Prepares for the next answer. */
  reset(): void {
    this.#state = "head";
    this.#started = false;
    this.#head = null;
    this.#headBytes = 0;
    this.#bodyBytes = 0;
    this.#chunks = [];
    this.#heldBytes = 0;
  }

  /**
   * Takes bytes in and returns how many of them belong to this answer, fewer than given when it is complete.
   *
   * @throws {UpstreamError} `protocol` or `too_large`
   */
  feed(bytes: Uint8Array): number {
    if (bytes.length > 0) this.#started = true;
    let at = 0;
    while (at < bytes.length && this.#state !== "done") {
      if (this.#state === "head") at = this.#takeHead(bytes, at);
      else if (this.#state === "length" || this.#state === "chunk_data") at = this.#takeBody(bytes, at);
      else if (this.#state === "until_close") {
        this.#announce(bytes.length - at);
        at = this.#takeBody(bytes, at);
      } else at = this.#takeLine(bytes, at);
    }
    return at;
  }

  /** Tells that the peer will send nothing more, which completes an answer without other framing. */
  end(): void {
    if (this.#state === "until_close") this.#state = "done";
  }

  #takeHead(bytes: Uint8Array, at: number): number {
    if (this.#heldBytes === 0) {
      const end = endOfHead(bytes, at, bytes.length);
      if (end >= 0) {
        this.#countHead(end - at);
        this.#parseHead(bytes.subarray(at, end - 4));
        return end;
      }
    }
    const before = this.#heldBytes;
    this.#hold(bytes.subarray(at), this.limits.headBytesMax + 1 - this.#headBytes);
    if (this.#held[0] !== LETTER_H) throw new UpstreamError("protocol", "The answer is not HTTP");
    const end = endOfHead(this.#held, Math.max(0, before - 3), this.#heldBytes);
    if (end < 0) {
      if (this.#headBytes + this.#heldBytes > this.limits.headBytesMax) this.#countHead(this.#heldBytes);
      return bytes.length;
    }
    this.#countHead(end);
    this.#heldBytes = 0;
    this.#parseHead(this.#held.subarray(0, end - 4));
    return at + end - before;
  }

  #parseHead(bytes: Uint8Array): void {
    const head = parseResponseHead(latin1.decode(bytes));
    if (head.status === 101) throw new UpstreamError("protocol", "The answer switches protocols");
    if (head.status < 200) return;
    this.#head = head;
    const framing = bodyFraming(head);
    this.#keepAlive = allowsReuse(head, framing);
    if (framing.kind === "chunked") this.#state = "chunk_size";
    else if (framing.kind === "close") this.#state = "until_close";
    else if (framing.kind === "none" || framing.bytes === 0) this.#state = "done";
    else {
      this.#announce(framing.bytes);
      this.#state = "length";
    }
  }

  #takeBody(bytes: Uint8Array, at: number): number {
    const end = Math.min(bytes.length, at + this.#missing);
    this.#chunks.push(bytes.slice(at, end));
    this.#missing -= end - at;
    if (this.#missing === 0) {
      if (this.#state === "length") this.#state = "done";
      else if (this.#state === "chunk_data") this.#state = "chunk_end";
    }
    return end;
  }

  /** Everything else of a chunked body: size lines, the line end after a chunk, trailers. */
  #takeLine(bytes: Uint8Array, at: number): number {
    const lf = bytes.indexOf(LF, at);
    const end = lf < 0 ? bytes.length : lf + 1;
    const isTrailer = this.#state === "trailers";
    if (isTrailer) this.#countHead(end - at);
    else if (this.#heldBytes + end - at > CHUNK_LINE_BYTES_MAX) {
      throw new UpstreamError("protocol", "The answer has an overlong chunk size");
    }
    this.#hold(bytes.subarray(at, end), this.limits.headBytesMax);
    if (lf < 0) return end;
    const length = this.#heldBytes - 2;
    this.#heldBytes = 0;
    if (length < 0 || this.#held[length] !== CR) {
      throw new UpstreamError("protocol", "The answer has a line that ends without CR");
    }
    this.#line(latin1.decode(this.#held.subarray(0, length)));
    return end;
  }

  #line(line: string): void {
    if (this.#state === "chunk_size") {
      const size = CHUNK_SIZE.exec(line);
      if (!size) throw new UpstreamError("protocol", "The answer has an invalid chunk size");
      const bytes = parseInt(size[1]!, 16);
      if (bytes > 0) this.#announce(bytes);
      this.#state = bytes > 0 ? "chunk_data" : "trailers";
    } else if (this.#state === "chunk_end") {
      if (line !== "") throw new UpstreamError("protocol", "The answer has a chunk longer than its size");
      this.#state = "chunk_size";
    } else if (line === "") {
      this.#state = "done";
    } else {
      parseField(line, []);
    }
  }

  #announce(bytes: number): void {
    this.#bodyBytes += bytes;
    this.#missing = bytes;
    if (this.#bodyBytes <= this.limits.bodyBytesMax) return;
    throw new UpstreamError("too_large", `The answer's body exceeds ${this.limits.bodyBytesMax} bytes`);
  }

  #countHead(bytes: number): void {
    this.#headBytes += bytes;
    if (this.#headBytes <= this.limits.headBytesMax) return;
    throw new UpstreamError("protocol", `The answer's head exceeds ${this.limits.headBytesMax} bytes`);
  }

  /** Collects bytes across reads, at most `room` of them in total. */
  #hold(bytes: Uint8Array, room: number): void {
    const piece = bytes.subarray(0, Math.max(0, room - this.#heldBytes));
    const needed = this.#heldBytes + piece.length;
    if (needed > this.#held.length) {
      const grown = new Uint8Array(Math.max(needed, 2 * this.#held.length, CHUNK_LINE_BYTES_MAX));
      grown.set(this.#held.subarray(0, this.#heldBytes));
      this.#held = grown;
    }
    this.#held.set(piece, this.#heldBytes);
    this.#heldBytes = needed;
  }
}

/** Offset after the empty line that ends a head, or -1. */
function endOfHead(bytes: Uint8Array, from: number, to: number): number {
  for (let lf = bytes.indexOf(LF, from + 3); lf >= 0 && lf < to; lf = bytes.indexOf(LF, lf + 1)) {
    if (bytes[lf - 1] === CR && bytes[lf - 2] === LF && bytes[lf - 3] === CR) return lf + 1;
  }
  return -1;
}
