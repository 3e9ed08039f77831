/**
 * Takes a multipart upload apart while it passes: its files become items as they arrive, its fields one item behind them.
 * Ingestion reference, section 1.3.
 *
 * Limits: those of attachments. Fields are held to the end, within the memory of all bodies.
 */
import { fromUtf8 } from "../core/bytes.ts";
import { encodeFormData, type FormField } from "../protocol/form_data.ts";
import type { PartHead } from "../protocol/multipart.ts";
import {
  FIELDS_HEADERS,
  fileHeaders,
  FileSizes,
  type NewItemHeaders,
  type UploadLimits,
} from "../protocol/multipart_items.ts";
import { MultipartScanner, type PartEvent } from "../protocol/multipart_scanner.ts";
import type { BodyBudget } from "./body_budget.ts";
import type { ByteSink } from "./byte_sink.ts";
import type { EnvelopeWriter } from "./envelope_writer.ts";
import { HeldBytes } from "./held_bytes.ts";
import { queueFailed } from "./refusals.ts";

/** Options of {@link FormSink}. */
export interface FormSinkOptions {
  readonly boundary: string;
  readonly writer: EnvelopeWriter;
  readonly limits: UploadLimits;
  readonly budget: BodyBudget;
  /** The `attachment_type` of a file. */
  readonly typeOf: (part: PartHead) => string;
  /** Where a file with these headers goes; `writer.item` unless given. */
  readonly file?: (headers: NewItemHeaders) => ByteSink;
}

/** Takes the body of an upload; its methods throw {@link RequestError}, and what the sinks of files throw. */
export class FormSink implements ByteSink {
  readonly #o: FormSinkOptions;
  readonly #scanner: MultipartScanner;
  readonly #sizes: FileSizes;
  readonly #fields: FormField[] = [];
  /** All that parts went to, some of which hold something to the end. */
  readonly #sinks: ByteSink[] = [];
  /** Where the part at hand goes; null for nowhere. */
  #part: ByteSink | null = null;
  #isFile = false;

  constructor(options: FormSinkOptions) {
    this.#o = options;
    this.#scanner = new MultipartScanner(options.boundary);
    this.#sizes = new FileSizes(options.limits);
  }

  /** Fields that came, in their order. */
  get fields(): readonly FormField[] {
    return this.#fields;
  }

  async write(chunk: Uint8Array): Promise<void> {
    for (const event of this.#scanner.push(chunk)) await this.#take(event);
  }

  async end(): Promise<void> {
    for (const event of this.#scanner.finish()) await this.#take(event);
    if (this.#fields.length > 0) await this.#o.writer.add(FIELDS_HEADERS, encodeFormData(this.#fields));
  }

  async destroy(): Promise<void> {
    for (const sink of this.#sinks.splice(0)) await sink.destroy();
  }

  async #take(event: PartEvent): Promise<void> {
    switch (event.kind) {
      case "part":
        this.#part = this.#begin(event.head);
        if (this.#part) this.#sinks.push(this.#part);
        break;
      case "data":
        if (this.#isFile) this.#sizes.add(event.bytes.length);
        await this.#part?.write(event.bytes);
        break;
      case "end":
        await this.#part?.end();
    }
  }

  #begin(head: PartHead): ByteSink | null {
    const { name, filename, contentType } = head;
    const { typeOf, writer, budget, file = (headers) => writer.item(headers) } = this.#o;
    this.#isFile = filename !== null;
    if (filename !== null) {
      this.#sizes.begin(name);
      return file(fileHeaders({ filename, contentType }, typeOf(head)));
    }
    return name === null ? null : new HeldPart(budget, (bytes) => this.#fields.push([name, fromUtf8(bytes)]));
  }
}

/** Holds bytes until they are all there. */
export class HeldPart implements ByteSink {
  readonly #held: HeldBytes;
  readonly #done: (bytes: Uint8Array) => void;

  /** @param done what to do with them; they count in `budget` until the sink is destroyed */
  constructor(budget: BodyBudget, done: (bytes: Uint8Array) => void) {
    this.#held = new HeldBytes(budget);
    this.#done = done;
  }

  write(chunk: Uint8Array): Promise<void> {
    return this.#held.append(chunk) ? Promise.resolve() : Promise.reject(queueFailed());
  }

  end(): Promise<void> {
    this.#done(this.#held.bytes);
    return Promise.resolve();
  }

  destroy(): Promise<void> {
    this.#held.release();
    return Promise.resolve();
  }
}
