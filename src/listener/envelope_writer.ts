/**
 * Writes an envelope whose items are still arriving.
 *
 * Why patched: the length of an item stands before its payload and is not known before its end, and the id of a crash
 * report may be in its last field. Both are written with room, as JSON allows, and put right in their place once they are
 * known:
 *
 *     {"event_id":"00000000000000000000000000000000"}\n
 *     {"type":"attachment","filename":"a.dmp","length":0              }\n
 *
 * So what is held and what lies in the spool are the same bytes. Nobody reads them before {@link EnvelopeWriter.finish}.
 */
import { utf8 } from "../core/bytes.ts";
import {
  type EnvelopeItem,
  HEADER_BYTES_MAX,
  parseEnvelopeHeader,
  parseItemHeader,
  type ScannedEnvelope,
} from "../protocol/envelope.ts";
import type { NewItemHeaders } from "../protocol/multipart_items.ts";
import type { ByteSink } from "./byte_sink.ts";
import type { SpillingBody } from "./spilling_body.ts";

const NO_BYTES = new Uint8Array(0);
const NEWLINE = new Uint8Array([10]);
const NO_ID = "0".repeat(32);
const LENGTH_CHARS = 15;

/** An envelope on its way; items are written one after the other. */
export class EnvelopeWriter {
  readonly #body: SpillingBody;
  readonly #headers: object;
  readonly #items: EnvelopeItem[] = [];
  readonly #payloads = new Map<EnvelopeItem, Uint8Array>();
  /** The first line, until the id is known. */
  readonly #head: Uint8Array;
  #headerBytesLeft: number;
  /** The item whose payload is arriving, as far as it came. */
  #item: EnvelopeItem | null = null;

  /** @param headers further keys of the envelope's header */
  constructor(body: SpillingBody, headers: object = {}) {
    this.#body = body;
    this.#headers = headers;
    this.#head = this.#headWith(NO_ID);
    this.#headerBytesLeft = HEADER_BYTES_MAX - this.#head.length + 1;
  }

  /** Items that came; of the last one more may follow. */
  get items(): readonly EnvelopeItem[] {
    if (this.#item === null) return this.#items;
    const payloadEnd = Math.max(this.#item.payloadStart, this.#body.bytes);
    return [...this.#items, { ...this.#item, payloadEnd, end: payloadEnd }];
  }

  /**
   * An item with these headers, to be written; nothing is before its first bytes or its end.
   *
   * Its methods throw {@link SpoolError}, and {@link RequestError}, 400, when headers are too long.
   */
  item(headers: NewItemHeaders): ByteSink {
    let isBegun = false;
    const begin = async (): Promise<void> => {
      if (isBegun) return;
      isBegun = true;
      await this.#begin(headers);
    };
    return {
      write: async (chunk) => {
        await begin();
        await this.#body.write(chunk);
      },
      end: async () => {
        await begin();
        await this.#end();
      },
      destroy: () => Promise.resolve(),
    };
  }

  /** Writes an item of which everything is known, and that the rules of projects may look into; throws as above. */
  async add(headers: NewItemHeaders, payload: Uint8Array): Promise<void> {
    const sink = this.item(headers);
    await sink.write(payload);
    await sink.end();
    this.#payloads.set(this.#items.at(-1)!, payload);
  }

  /** The envelope as it lies there now; throws as above. */
  async finish(eventId: string): Promise<ScannedEnvelope> {
    await this.#writeHead();
    const head = this.#headWith(eventId);
    await this.#body.patch(0, this.#head, head);
    return {
      ...parseEnvelopeHeader(head.subarray(0, -1)),
      bytes: NO_BYTES,
      items: this.#items,
      payloads: this.#payloads,
      length: this.#body.bytes,
      endsInHeader: false,
    };
  }

  #headWith(eventId: string): Uint8Array {
    return utf8(`${JSON.stringify({ event_id: eventId, ...this.#headers })}\n`);
  }

  async #writeHead(): Promise<void> {
    if (this.#body.bytes === 0) await this.#body.write(this.#head);
  }

  async #begin(headers: NewItemHeaders): Promise<void> {
    const line = utf8(`${JSON.stringify({ ...headers, length: 0 }).slice(0, -2)}${endOfLine(0)}`);
    const start = this.#body.bytes || this.#head.length;
    const head = parseItemHeader(line, 0, this.#headerBytesLeft);
    const payloadStart = start + line.length;
    this.#item = { ...head, start, payloadStart, payloadEnd: payloadStart, end: payloadStart };
    await this.#writeHead();
    this.#headerBytesLeft -= line.length;
    await this.#body.write(line);
  }

  async #end(): Promise<void> {
    const { type, headers, start, payloadStart } = this.#item!;
    const payloadEnd = this.#body.bytes;
    const length = payloadEnd - payloadStart;
    await this.#body.write(NEWLINE);
    const after = utf8(endOfLine(length));
    await this.#body.patch(payloadStart - after.length, utf8(endOfLine(0)), after);
    this.#item = null;
    const item = {
      type,
      headers: { ...headers, length },
      start,
      payloadStart,
      payloadEnd,
      end: payloadEnd + 1,
    };
    this.#items.push(item);
  }
}

/** The end of an item's header: its length, with room behind it. */
function endOfLine(length: number): string {
  return `${String(length).padEnd(LENGTH_CHARS)}}\n`;
}
