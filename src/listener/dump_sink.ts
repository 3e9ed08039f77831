/**
 * A crash dump while it passes: taken out of the form it may be wrapped in, inflated, and checked. Ingestion reference,
 * section 1.3.
 *
 * Each step is told by the first bytes of what the step before lets through, so a dump is a chain of sinks that grows as
 * these bytes come.
 */
import { ByteBuffer } from "../core/byte_buffer.ts";
import { fromUtf8 } from "../core/bytes.ts";
import { EMBEDDED_BOUNDARY_MAX, embeddedBoundary } from "../protocol/multipart.ts";
import { MultipartScanner, type PartEvent } from "../protocol/multipart_scanner.ts";
import { RequestError } from "../protocol/request_error.ts";
import type { ByteSink } from "./byte_sink.ts";
import { containerOf, type InflateOptions, inflateSink } from "./inflate_container.ts";

/** Name of the part that holds the dump. */
export const DUMP_FIELD = "upload_file_minidump";

/** What tells a form, a container, a dump. */
const [BOUNDARY_BYTES, CONTAINER_BYTES, MAGIC_BYTES] = [2 + EMBEDDED_BOUNDARY_MAX, 6, 4];

/** Options of {@link dumpSink}; the limit is of the inflated dump. */
export interface DumpSinkOptions extends InflateOptions {
  /** Where the dump goes, once it is known to be one. */
  readonly into: (isInflated: boolean) => ByteSink;
}

/** Takes a dump as it was sent; its methods throw {@link RequestError} and what the sink it goes into throws. */
export function dumpSink(options: DumpSinkOptions): ByteSink {
  return new ChosenSink(BOUNDARY_BYTES, (head) => {
    const boundary = embeddedBoundary(head);
    return boundary === null ? contained(options) : new WrappedDump(boundary, contained(options));
  });
}

function contained(options: DumpSinkOptions): ByteSink {
  return new ChosenSink(CONTAINER_BYTES, (head) => {
    const container = containerOf(head);
    return container === null ? plain(options, false) : inflateSink(container, plain(options, true), options);
  });
}

/** The bytes begin like a dump of little- or big-endian machines, or are refused. */
function plain({ into }: DumpSinkOptions, isInflated: boolean): ByteSink {
  return new ChosenSink(MAGIC_BYTES, (head) => {
    const magic = fromUtf8(head.subarray(0, MAGIC_BYTES));
    if (magic !== "MDMP" && magic !== "PMDM") throw invalidMinidump();
    return into(isInflated);
  });
}

function invalidMinidump(): RequestError {
  return RequestError.json(400, "invalid_minidump", "invalid minidump");
}

/** Goes where its first bytes say, or all of them when there are fewer. */
class ChosenSink implements ByteSink {
  readonly #head = new ByteBuffer();
  #sink: ByteSink | null = null;

  constructor(readonly bytesMin: number, readonly choose: (head: Uint8Array) => ByteSink) {}

  async write(chunk: Uint8Array): Promise<void> {
    const missing = this.bytesMin - this.#head.length;
    if (missing > 0) this.#head.append(chunk.subarray(0, missing));
    if (chunk.length < missing) return;
    await (this.#sink ?? await this.#decide()).write(chunk.subarray(Math.max(0, missing)));
  }

  async end(): Promise<void> {
    await (this.#sink ?? await this.#decide()).end();
  }

  async destroy(): Promise<void> {
    await this.#sink?.destroy();
  }

  async #decide(): Promise<ByteSink> {
    this.#sink = this.choose(this.#head.bytes);
    await this.#sink.write(this.#head.bytes);
    return this.#sink;
  }
}

/** Old versions of Electron send a whole form as the content of the dump's field. */
class WrappedDump implements ByteSink {
  readonly #scanner: MultipartScanner;
  #state: "before" | "dump" | "after" = "before";

  constructor(boundary: string, readonly dump: ByteSink) {
    this.#scanner = new MultipartScanner(boundary);
  }

  async write(chunk: Uint8Array): Promise<void> {
    for (const event of this.#scanner.push(chunk)) await this.#take(event);
  }

  async end(): Promise<void> {
    for (const event of this.#scanner.finish()) await this.#take(event);
    // Without that field the dump would be the form itself.
    if (this.#state !== "after") throw invalidMinidump();
  }

  destroy(): Promise<void> {
    return this.dump.destroy();
  }

  async #take(event: PartEvent): Promise<void> {
    if (event.kind === "part") {
      if (this.#state === "before" && event.head.name === DUMP_FIELD) this.#state = "dump";
    } else if (this.#state === "dump") {
      if (event.kind === "data") return await this.dump.write(event.bytes);
      this.#state = "after";
      await this.dump.end();
    }
  }
}
