/**
 * Ships logs to one receiver: transforms lines, gathers them into batches, keeps those on disk, and sends them in order.
 *
 * All of it runs in the control plane, so a receiver that is slow or away holds up no answer. A batch is on disk before it
 * is sent; what a crash can lose are the lines of the batch that is being gathered.
 *
 * Limits: a batch by bytes and time; {@link UNWRITTEN_MAX} batches in memory while the disk is slow; the disk by
 * `log_buffer.ts`. What is dropped is counted by reason.
 */
import { promisify } from "node:util";
import { gzip } from "node:zlib";
import { Backoff } from "../core/backoff.ts";
import type { Clock, Timer } from "../core/clock.ts";
import { REDACTED } from "../core/redact_text.ts";
import type { Config } from "../config/config.ts";
import { encodeZstd, HAS_ZSTD } from "../protocol/zstd.ts";
import type { Storage } from "../spool/storage.ts";
import { logger } from "../telemetry/log.ts";
import { type BatchResult, batchResult, batchType, encodeBatch, type LogValues } from "./log_batch.ts";
import { LogBuffer } from "./log_buffer.ts";

const log = logger("logs");
const gzipped = promisify(gzip) as (bytes: Uint8Array) => Promise<Uint8Array>;

const UNWRITTEN_MAX = 4;
const REFUSED_FROM = 400;
const BACKOFF = { baseMs: 1000, factor: 2, maxMs: 60_000, jitter: 0.3 };

/** Why lines were dropped. */
export const SINK_DROP_REASONS = ["buffer_full", "other_form", "memory", "disk", "rejected"] as const;
type DropReason = typeof SINK_DROP_REASONS[number];

/** An entry of `log_shipping`. */
export type SinkConfig = Config["logShipping"][number];

/** Options of {@link LogSink}. */
export interface LogSinkOptions {
  readonly config: SinkConfig;
  readonly storage: Storage;
  /** Folder of its buffer. */
  readonly folder: string;
  readonly clock: Clock;
  readonly fetch?: typeof fetch;
}

/** Ships to one receiver. */
export class LogSink {
  /** Lines by what became of them. */
  readonly counts = { shipped: 0, dropped: new Map<DropReason, number>() };
  readonly #o: LogSinkOptions;
  readonly #encoding: "gzip" | "zstd" | "none";
  readonly #closing = new AbortController();
  #buffer: LogBuffer | null = null;
  #lines: LogValues[] = [];
  #bytes = 0;
  #due = 0;
  #timer: Timer | null = null;
  #unwritten = 0;
  #writing: Promise<void> = Promise.resolve();
  #sending: Promise<void> = Promise.resolve();
  #arrived = Promise.withResolvers<void>();

  constructor(options: LogSinkOptions) {
    this.#o = options;
    const { compression } = options.config;
    this.#encoding = compression === "zstd" && !HAS_ZSTD ? "gzip" : compression;
  }

  /** Name in metrics. */
  get name(): string {
    return this.#o.config.name;
  }

  /** Bytes on disk. */
  get bufferedBytes(): number {
    return this.#buffer?.bytes ?? 0;
  }

  /** Opens the buffer and begins to send. @throws {StorageError} */
  async start(): Promise<void> {
    const { storage, folder, config } = this.#o;
    this.#buffer = await LogBuffer.open({
      storage,
      folder,
      bytesMax: config.disk,
      form: `${config.type}.${this.#encoding}`,
      onDropped: (lines, reason) => this.#dropped(lines, reason),
    });
    this.#sending = this.#run(this.#buffer);
  }

  /** Takes a line. @param bytes its length as text */
  add(line: LogValues, bytes: number): void {
    const { config, clock } = this.#o;
    if (!config.logs.includes(line.log as "access" | "node") || !this.#isSampled(line)) return;
    if (this.#unwritten >= UNWRITTEN_MAX) return this.#dropped(1, "memory");
    this.#lines.push(transformed(line, config));
    this.#bytes += bytes;
    if (this.#bytes >= config.batchSize) this.#cut();
    else this.#timer ??= clock.after(config.batchInterval, () => this.#cut());
  }

  /** Puts what was gathered on disk, where the next start finds it. */
  async close(): Promise<void> {
    this.#cut();
    await this.#writing;
    this.#closing.abort();
    this.#arrived.resolve();
    await this.#sending;
  }

  #isSampled({ log, status }: LogValues): boolean {
    const { sample } = this.#o.config;
    if (sample === 1 || log !== "access" || Number(status) >= REFUSED_FROM) return true;
    this.#due += sample;
    if (this.#due < 1) return false;
    this.#due -= 1;
    return true;
  }

  #cut(): void {
    this.#timer?.cancel();
    this.#timer = null;
    if (this.#lines.length === 0) return;
    const lines = this.#lines;
    this.#lines = [];
    this.#bytes = 0;
    this.#unwritten++;
    this.#writing = this.#writing.then(() => this.#write(lines));
  }

  async #write(lines: readonly LogValues[]): Promise<void> {
    const { type, labels, index } = this.#o.config;
    try {
      const body = encodeBatch(lines, { type, labels, index, id: crypto.randomUUID() });
      await this.#buffer!.add(await this.#compressed(body), lines.length);
      this.#arrived.resolve();
    } catch (error) {
      this.#dropped(lines.length, "disk");
      log.error("a batch of logs could not be kept: {error}", { sink: this.name, error });
    } finally {
      this.#unwritten--;
    }
  }

  async #compressed(body: Uint8Array): Promise<Uint8Array> {
    if (this.#encoding === "none") return body;
    return this.#encoding === "zstd" ? encodeZstd(body) : await gzipped(body);
  }

  async #run(buffer: LogBuffer): Promise<void> {
    const { signal } = this.#closing;
    const backoff = new Backoff(BACKOFF);
    while (!signal.aborted) {
      const batch = buffer.oldest;
      if (batch === null) {
        this.#arrived = Promise.withResolvers();
        await this.#arrived.promise;
        continue;
      }
      const result = await this.#send(await buffer.read(batch).catch(() => null));
      if (signal.aborted && result.kind === "retry") return;
      if (result.kind === "retry") {
        log.warn("logs cannot be shipped, they stay on disk: {reason}", {
          sink: this.name,
          reason: result.reason,
        });
        await this.#o.clock.sleep(backoff.next(), signal);
        continue;
      }
      backoff.reset();
      // One that gave way meanwhile was counted then.
      if (!await buffer.remove(batch)) continue;
      const rejected = result.kind === "rejected" ? batch.lines : result.rejected;
      this.counts.shipped += batch.lines - rejected;
      if (rejected === 0) continue;
      this.#dropped(rejected, "rejected");
      log.warn("a receiver of logs refuses {rejected} lines", { sink: this.name, rejected });
    }
  }

  async #send(body: Uint8Array | null): Promise<BatchResult> {
    if (body === null) return { kind: "rejected", reason: "unreadable" };
    const { config: { url, headers, type, timeout }, clock } = this.#o;
    const abort = new AbortController();
    const stop = (): void => abort.abort();
    const timer = clock.after(timeout, stop);
    if (this.#closing.signal.aborted) stop();
    this.#closing.signal.addEventListener("abort", stop, { once: true });
    try {
      const response = await (this.#o.fetch ?? fetch)(url, {
        method: "POST",
        redirect: "manual",
        headers: {
          "content-type": batchType(type),
          ...this.#encoding !== "none" && { "content-encoding": this.#encoding },
          ...headers,
        },
        body: body as Uint8Array<ArrayBuffer>,
        signal: abort.signal,
      });
      return batchResult(type, response.status, await response.text());
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      return { kind: "retry", reason };
    } finally {
      timer.cancel();
      this.#closing.signal.removeEventListener("abort", stop);
    }
  }

  #dropped(lines: number, reason: DropReason): void {
    this.counts.dropped.set(reason, (this.counts.dropped.get(reason) ?? 0) + lines);
  }
}

/** What is needed to place a line stays whatever is selected. */
const ALWAYS: ReadonlySet<string> = new Set(["time", "log", "level"]);

function transformed(line: LogValues, { fields, redact }: SinkConfig): LogValues {
  if (fields.length === 0 && redact.length === 0) return line;
  const kept = Object.entries(line).filter(([name]) =>
    fields.length === 0 || ALWAYS.has(name) || fields.includes(name)
  );
  return Object.fromEntries(kept.map(([name, value]) => [name, redact.includes(name) ? REDACTED : value]));
}
