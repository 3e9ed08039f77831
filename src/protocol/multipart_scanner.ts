/**
 * Takes a body of several parts apart while it passes, in chunks; nothing of the parts is held.
 *
 * What it says does not depend on how the bytes are cut. Held are the headers of a part, and of its data what may turn out
 * to be a delimiter.
 *
 * Limits: {@link FRAME_BYTES_MAX}, also for one delimiter with the blanks behind it. The work is linear in the bytes, however
 * small the chunks: what is incomplete is looked at again only when it has doubled.
 */
import { ByteBuffer } from "../core/byte_buffer.ts";
import { utf8 } from "../core/bytes.ts";
import {
  endOfHeaders,
  FRAME_BYTES_MAX,
  invalidMultipart,
  parsePartHead,
  type PartHead,
} from "./multipart.ts";

/** What passes: the beginning of a part, data of it, its end. Data is good until the next is asked for. */
export type PartEvent =
  | { readonly kind: "part"; readonly head: PartHead }
  | { readonly kind: "data"; readonly bytes: Uint8Array }
  | { readonly kind: "end" };

/** Where a delimiter stands, its line end and dashes included; without an end one that may be incomplete. */
interface Delimiter {
  readonly start: number;
  readonly end: number | null;
}

type State = "preamble" | "headers" | "data" | "epilogue";

const [TAB, NEWLINE, RETURN, SPACE, DASH] = [9, 10, 13, 32, 0x2d];
const END: PartEvent = { kind: "end" };
const NO_BYTES = new Uint8Array(0);
const LINE_END_BYTES = 2;

/** Takes one body apart. */
export class MultipartScanner {
  readonly #delimiter: Uint8Array;
  #state: State = "preamble";
  /** What came and was not dealt with; at first the line end that the first delimiter may lack. */
  #rest = bufferOf(new Uint8Array([RETURN, NEWLINE]));
  /** Bytes of it that were looked at. */
  #seenBytes = LINE_END_BYTES;
  #frameBytesLeft = FRAME_BYTES_MAX;
  /** Bytes of the line end after the headers that have yet to pass: it may be that of the next delimiter, but is no data. */
  #lineEndLeft = 0;

  /** @param boundary without the two dashes before it */
  constructor(boundary: string) {
    this.#delimiter = utf8(`\r\n--${boundary}`);
  }

  /**
   * What the next bytes bring, or bytes before them that were incomplete.
   *
   * @throws {RequestError} 400 when the body is not framed as it should be
   */
  *push(chunk: Uint8Array): Generator<PartEvent> {
    if (this.#state === "epilogue") return;
    if (this.#rest.length === 0) return yield* this.#take(chunk);
    this.#rest.append(chunk);
    if (this.#rest.length >= 2 * this.#seenBytes) yield* this.#take(this.#rest.bytes);
  }

  /**
   * All has passed; what the last bytes bring.
   *
   * @throws {RequestError} 400 as {@link MultipartScanner.push}, and unless the last delimiter has passed
   */
  *finish(): Generator<PartEvent> {
    if (this.#rest.length > this.#seenBytes) yield* this.#take(this.#rest.bytes);
    if (this.#state === "headers") throw invalidMultipart("incomplete headers of a field");
    if (this.#state !== "epilogue") throw invalidMultipart("incomplete multipart stream");
  }

  *#take(bytes: Uint8Array): Generator<PartEvent> {
    let at = 0;
    for (let isOpen = false; !isOpen && this.#state !== "epilogue";) {
      const next = this.#state === "headers" ? yield* this.#headers(bytes, at) : yield* this.#data(bytes, at);
      isOpen = next.isOpen;
      at = next.at;
    }
    this.#rest = bufferOf(this.#state === "epilogue" ? NO_BYTES : bytes.subarray(at));
    this.#seenBytes = this.#rest.length;
  }

  /** Reads the headers at `at`; where to go on, open when more bytes are needed for that. */
  *#headers(bytes: Uint8Array, at: number): Generator<PartEvent, { at: number; isOpen: boolean }> {
    const end = endOfHeaders(bytes, at);
    if (end === null) {
      if (bytes.length - at >= FRAME_BYTES_MAX) throw invalidMultipart("incomplete headers of a field");
      return { at, isOpen: true };
    }
    this.#takeFrame(end - at);
    yield { kind: "part", head: parsePartHead(bytes.subarray(at, end)) };
    this.#state = "data";
    this.#lineEndLeft = LINE_END_BYTES;
    return { at: end - LINE_END_BYTES, isOpen: false };
  }

  /** Hands on what stands before the next delimiter; where to go on as above. */
  *#data(bytes: Uint8Array, at: number): Generator<PartEvent, { at: number; isOpen: boolean }> {
    const { start, end } = this.#nextDelimiter(bytes, at);
    const from = Math.min(start, at + this.#lineEndLeft);
    this.#lineEndLeft -= from - at;
    const isPart = this.#state === "data";
    if (isPart && from < start) yield { kind: "data", bytes: bytes.subarray(from, start) };
    if (end === null) return { at: start, isOpen: true };
    if (isPart) yield END;
    if (bytes[end - 1] === DASH) this.#state = "epilogue";
    else {
      this.#takeFrame(end - start);
      this.#state = "headers";
    }
    return { at: end, isOpen: false };
  }

  #takeFrame(bytes: number): void {
    this.#frameBytesLeft -= bytes;
    if (this.#frameBytesLeft < 0) throw invalidMultipart("too many fields, or too long headers");
  }

  #nextDelimiter(bytes: Uint8Array, from: number): Delimiter {
    for (let start = bytes.indexOf(RETURN, from); start >= 0; start = bytes.indexOf(RETURN, start + 1)) {
      // Most are found not to be one by the next byte.
      if (start + 1 < bytes.length && bytes[start + 1] !== NEWLINE) continue;
      const end = this.#endOfDelimiter(bytes, start);
      if (end !== "none") return { start, end: end === "open" ? null : end };
    }
    return { start: bytes.length, end: null };
  }

  #endOfDelimiter(bytes: Uint8Array, start: number): number | "none" | "open" {
    const delimiter = this.#delimiter;
    for (let i = 0; i < delimiter.length; i++) {
      if (start + i === bytes.length) return "open";
      if (bytes[start + i] !== delimiter[i]) return "none";
    }
    let end = start + delimiter.length;
    if (bytes[end] === DASH && end + 1 === bytes.length) return "open";
    if (bytes[end] === DASH && bytes[end + 1] === DASH) return end + 2;
    while (bytes[end] === SPACE || bytes[end] === TAB) end++;
    if (end - start > FRAME_BYTES_MAX) throw invalidMultipart("too many fields, or too long headers");
    if (end === bytes.length || bytes[end] === RETURN && end + 1 === bytes.length) return "open";
    return bytes[end] === RETURN && bytes[end + 1] === NEWLINE ? end + 2 : "none";
  }
}

function bufferOf(bytes: Uint8Array): ByteBuffer {
  const buffer = new ByteBuffer();
  buffer.append(bytes);
  return buffer;
}
