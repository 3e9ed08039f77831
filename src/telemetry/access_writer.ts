/**
 * Takes the access logs of all lanes out of shared memory and writes them: to standard output or a file, 64 KiB or a second
 * at a time. One write is under way at a time, so lines of several lanes never mix.
 *
 * While a write takes its time the rings fill, and lanes drop what does not fit. What a failed write loses is counted, too.
 */
import { fromUtf8, utf8 } from "../core/bytes.ts";
import type { Clock } from "../core/clock.ts";
import { countLines, SharedRing } from "../core/shared_ring.ts";
import { type AccessFormat, formatAccess } from "./access_line.ts";
import { METRICS } from "./catalogue.ts";
import { logger } from "./log.ts";
import type { Metrics } from "./registry.ts";
import { RotatingFile, type RotationRules } from "./rotating_file.ts";

const log = logger("logs");

/** Bytes of a ring that are written at once. */
const WAKE_BYTES = 1 << 16;
/** How long the last write may take when the node ends. */
const END_MS = 2000;

/** What is done with the lines; read at each write. */
export interface AccessOutput extends RotationRules {
  readonly output: "off" | "stdout" | "file";
  readonly format: AccessFormat;
}

/** Options of {@link AccessWriter}. */
export interface AccessWriterOptions {
  readonly clock: Clock;
  readonly metrics: Metrics;
  readonly rules: AccessOutput;
  /** Gets the lines, too, as JSON. */
  readonly onLines?: (lines: string) => void;
  /** Writes to standard output. */
  readonly stdout?: (bytes: Uint8Array) => Promise<number>;
}

/** Writer of the access logs of all lanes. */
export class AccessWriter {
  readonly #o: AccessWriterOptions;
  readonly #file: RotatingFile;
  readonly #rings: SharedRing[] = [];
  readonly #closing = new AbortController();
  #last: Promise<void> = Promise.resolve();

  constructor(options: AccessWriterOptions) {
    this.#o = options;
    this.#file = new RotatingFile(options.rules, options.clock);
  }

  /** The ring of a lane, as lanes construct it. */
  static ring(buffer: SharedArrayBuffer): SharedRing {
    return new SharedRing(buffer, WAKE_BYTES);
  }

  /** Writes what comes through a ring from now on. */
  include(buffer: SharedArrayBuffer): void {
    const ring = AccessWriter.ring(buffer);
    this.#rings.push(ring);
    void this.#run(ring);
  }

  /** Opens the file again by its name, after the write that is under way. */
  reopen(): void {
    this.#last = this.#last.then(() => this.#file.close());
  }

  /** Writes what is left, as far as that does not take long. */
  async close(): Promise<void> {
    this.#closing.abort();
    const written = Promise.all(this.#rings.map((ring) => this.#drain(ring))).then(() => this.#last);
    const stop = new AbortController();
    await Promise.race([written, this.#o.clock.sleep(END_MS, stop.signal)]);
    stop.abort();
    this.#file.close();
  }

  async #run(ring: SharedRing): Promise<void> {
    while (!this.#closing.signal.aborted) {
      await this.#drain(ring);
      await ring.wait(this.#o.clock, this.#closing.signal);
    }
  }

  #drain(ring: SharedRing): Promise<void> {
    return this.#last = this.#last.then(async () => {
      this.#lost(ring.takeRefused());
      if (ring.pending === 0) return;
      const lines = ring.take();
      this.#o.onLines?.(fromUtf8(lines));
      try {
        await this.#write(this.#formatted(lines));
      } catch (error) {
        this.#lost(countLines(lines));
        this.#file.close();
        log.error("the access log cannot be written: {error}", { error });
      }
    });
  }

  async #write(lines: Uint8Array): Promise<void> {
    const { output } = this.#o.rules;
    if (output === "file") return await this.#file.write(lines);
    if (output === "off") return;
    const write = this.#o.stdout ?? ((bytes) => Deno.stdout.write(bytes));
    for (let rest = lines; rest.length > 0;) rest = rest.subarray(await write(rest));
  }

  #formatted(lines: Uint8Array): Uint8Array {
    const { format } = this.#o.rules;
    if (format === "json") return lines;
    const each = fromUtf8(lines).split("\n").slice(0, -1);
    return utf8(each.map((line) => formatAccess(line, format)).join(""));
  }

  #lost(count: number): void {
    if (count > 0) this.#o.metrics.add(METRICS.logLost, count, "access");
  }
}
