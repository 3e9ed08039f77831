/**
 * Reads an envelope that passes by in chunks: headers are read, payloads are skipped over, and nothing is held but the
 * header at hand and the payloads of events, which policy may have to look into.
 *
 * It says exactly what `parse_envelope.ts` says of the same bytes, however they are cut, only earlier: at the first
 * byte that is wrong. The headers are judged by the same functions.
 *
 * Limits: those of `parse_envelope.ts`; {@link KEPT_BYTES_MAX} of payloads.
 */
import { ByteBuffer } from "../core/byte_buffer.ts";
import { HeaderExtent } from "./header_extent.ts";
import {
  endTooEarly,
  type Envelope,
  type EnvelopeHead,
  type EnvelopeItem,
  HEADER_BYTES_MAX,
  type ItemHead,
  missingNewline,
  parseEnvelopeHeader,
  parseItemHeader,
} from "./parse_envelope.ts";

/** Most bytes of events' payloads that are kept of one envelope; the limit of one event by default. */
const KEPT_BYTES_MAX = 1024 * 1024;

const NEWLINE = 10;
const NO_BYTES = new Uint8Array(0);
/** Stands for any amount of white space. */
const SPACE = new Uint8Array([0x20]);

/** An envelope whose bytes lie elsewhere: all of {@link Envelope} but these. Offsets are those in the decoded bytes. */
export interface ScannedEnvelope extends Envelope {
  /** Empty. */
  readonly bytes: Uint8Array;
  /** Payloads of events, as far as they were kept. */
  readonly payloads: ReadonlyMap<EnvelopeItem, Uint8Array>;
  /** All decoded bytes. */
  readonly length: number;
  /** Whether the bytes end right after the header of an item, without its newline. */
  readonly endsInHeader: boolean;
}

/** What is expected next. */
type State = "header" | "header_end" | "payload" | "line" | "payload_end";

/** Takes an envelope apart while it passes. */
export class EnvelopeScanner {
  /** First line, as far as it may count as a header; for those who look for authentication there. */
  readonly #firstLine = new ByteBuffer();
  #isFirstLine = true;
  #state: State = "header";
  #extent = new HeaderExtent();
  /** Bytes of the header at hand, and where its first one stands. */
  #header = new ByteBuffer();
  #headerAt = 0;
  #headerBytesLeft = HEADER_BYTES_MAX;
  #head: EnvelopeHead | null = null;
  #item: ItemHead | null = null;
  readonly #items: EnvelopeItem[] = [];
  #payloadStart = 0;
  #payloadLeft = 0;
  #kept: ByteBuffer | null = null;
  #keptBytes = 0;
  readonly #payloads = new Map<EnvelopeItem, Uint8Array>();
  #at = 0;

  /** The envelope's header, once it has passed. */
  get head(): EnvelopeHead | null {
    return this.#head;
  }

  /** Items whose headers have passed; of the last one the payload may be missing, its length is as announced. */
  get items(): readonly EnvelopeItem[] {
    const item = this.#item;
    if (item === null) return this.#items;
    const payloadEnd = this.#payloadStart + (item.headers.length ?? this.#at - this.#payloadStart);
    const end = payloadEnd + 1;
    return [...this.#items, { ...item, payloadStart: this.#payloadStart, payloadEnd, end }];
  }

  /** The first line without its newline, or as much of it as a header may have. */
  get firstLine(): Uint8Array {
    return this.#firstLine.bytes;
  }

  /**
   * Takes the next bytes; they are not held.
   *
   * @throws {RequestError} 400
   */
  push(chunk: Uint8Array): void {
    if (this.#isFirstLine) this.#keepFirstLine(chunk);
    const start = this.#at;
    for (let from = 0; from < chunk.length; this.#at = start + from) from = this.#step(chunk, from);
  }

  /**
   * All has passed.
   *
   * @throws {RequestError} 400
   */
  finish(): ScannedEnvelope {
    const endsInHeader = this.#state === "header_end" && this.#head !== null;
    if (this.#state === "header" && (this.#extent.isStarted || this.#head === null)) this.#readHeader();
    else if (this.#state === "header" && this.#at > this.#headerAt) throw endTooEarly();
    else if (this.#state === "header_end") this.#readHeader();
    if (this.#state === "payload" && this.#payloadLeft > 0) throw endTooEarly();
    if (this.#item) this.#endItem(this.#at, this.#at);
    const length = this.#at;
    const [items, payloads] = [this.#items, this.#payloads];
    return { ...this.#head!, bytes: NO_BYTES, items, payloads, length, endsInHeader };
  }

  /** Takes some of the chunk; returns the offset of the rest. */
  #step(chunk: Uint8Array, from: number): number {
    switch (this.#state) {
      case "header":
        return this.#takeHeader(chunk, from);
      case "header_end":
        // The parser judges the byte after the header, too.
        this.#addToHeader(chunk, from, from + 1);
        this.#readHeader();
        return from + 1;
      case "payload":
        return this.#takePayload(chunk, from, Math.min(chunk.length, from + this.#payloadLeft));
      case "line": {
        const newline = chunk.indexOf(NEWLINE, from);
        const to = newline < 0 ? chunk.length : newline;
        this.#keep(chunk, from, to);
        if (newline < 0) return to;
        this.#endItem(this.#at + to - from, this.#at + to - from + 1);
        return to + 1;
      }
      case "payload_end":
        if (chunk[from] !== NEWLINE) throw missingNewline();
        this.#endItem(this.#at, this.#at + 1);
        return from + 1;
    }
  }

  #takeHeader(chunk: Uint8Array, from: number): number {
    let at = from;
    if (!this.#extent.isStarted) {
      at = this.#extent.skipSpace(chunk, from);
      this.#at += at - from;
      if (at === chunk.length) return at;
      this.#headerAt = this.#at;
    }
    const end = this.#extent.take(chunk, at);
    const to = end < 0 ? chunk.length : end;
    this.#addToHeader(chunk, at, to);
    this.#at += to - at;
    if (end >= 0) this.#state = "header_end";
    else if (this.#header.length > this.#headerBytesLeft) this.#readHeader();
    return to;
  }

  #takePayload(chunk: Uint8Array, from: number, to: number): number {
    this.#keep(chunk, from, to);
    this.#payloadLeft -= to - from;
    if (this.#payloadLeft === 0) this.#state = "payload_end";
    return to;
  }

  #addToHeader(chunk: Uint8Array, from: number, to: number): void {
    this.#header.append(chunk.subarray(from, to));
  }

  /** Hands the header at hand to the parser: it is complete, or wrong in a way the parser says. */
  #readHeader(): void {
    const { bytes } = this.#header;
    const at = this.#headerAt;
    this.#header = new ByteBuffer();
    this.#extent = new HeaderExtent();
    if (this.#head === null) {
      const isBlank = bytes.length === 0 && this.#at > 0;
      const head = parseEnvelopeHeader(isBlank ? SPACE : bytes);
      this.#head = { ...head, headerStart: at + head.headerStart, headerEnd: at + head.headerEnd };
      this.#headerBytesLeft -= head.headerEnd - head.headerStart;
      this.#state = "header";
      this.#headerAt = at + bytes.length;
      return;
    }
    const item = parseItemHeader(bytes, 0, this.#headerBytesLeft);
    this.#item = { ...item, start: at + item.start, headerEnd: at + item.headerEnd };
    this.#payloadStart = at + Math.min(item.headerEnd + 1, bytes.length);
    this.#headerBytesLeft -= this.#payloadStart - this.#item.start;
    const { length } = item.headers;
    this.#payloadLeft = length ?? 0;
    this.#state = typeof length !== "number" ? "line" : length === 0 ? "payload_end" : "payload";
    this.#kept = item.type.limitGroup === "event" ? new ByteBuffer() : null;
  }

  #keep(chunk: Uint8Array, from: number, to: number): void {
    if (this.#kept === null) return;
    this.#keptBytes += to - from;
    if (this.#keptBytes > KEPT_BYTES_MAX) this.#kept = null;
    else this.#kept.append(chunk.subarray(from, to));
  }

  #endItem(payloadEnd: number, end: number): void {
    const { type, headers, start } = this.#item!;
    const item: EnvelopeItem = { type, headers, start, payloadStart: this.#payloadStart, payloadEnd, end };
    this.#items.push(item);
    if (this.#kept !== null) this.#payloads.set(item, this.#kept.bytes);
    this.#item = null;
    this.#kept = null;
    this.#state = "header";
    this.#headerAt = end;
  }

  #keepFirstLine(chunk: Uint8Array): void {
    const newline = chunk.indexOf(NEWLINE);
    const room = HEADER_BYTES_MAX + 1 - this.#firstLine.length;
    const line = chunk.subarray(0, Math.min(newline < 0 ? chunk.length : newline, room));
    this.#firstLine.append(line);
    this.#isFirstLine = newline < 0 && line.length < room;
  }
}
