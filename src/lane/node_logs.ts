/**
 * What a node says of itself, brought together in the control plane: entries of all its halves, the access logs of its
 * lanes, and reports of its errors.
 */
import type { KeyChange } from "../config/config_change.ts";
import { logOptions } from "../config/config_secrets.ts";
import type { LoadedConfig } from "../config/load_config.ts";
import type { Clock } from "../core/clock.ts";
import { Live } from "../core/live.ts";
import { SharedRing } from "../core/shared_ring.ts";
import { METRICS } from "../telemetry/catalogue.ts";
import { configureLogging, flushRepeats, onLogEntry, writeEntry } from "../telemetry/log.ts";
import { createLogRing, LogRingReader } from "../telemetry/log_ring.ts";
import { formatEntry } from "../telemetry/log_format.ts";
import type { Metrics, MetricsReader } from "../telemetry/registry.ts";
import type { LogValues } from "../control/log_batch.ts";
import { LogSink } from "../control/log_sink.ts";
import { SelfReport } from "../control/self_report.ts";
import type { Storage } from "../spool/storage.ts";
import { type AccessOutput, AccessWriter } from "../telemetry/access_writer.ts";
import type { HalfKind } from "./messages.ts";

/** Options of {@link NodeLogs}. */
export interface NodeLogsOptions {
  /** What the node was started with. */
  readonly loaded: LoadedConfig;
  readonly clock: Clock;
  readonly storage: Storage;
  /** Counters of the control plane. */
  readonly metrics: Metrics;
  readonly reader: MetricsReader;
}

/** Owner of the node's logs. */
export class NodeLogs {
  readonly #o: NodeLogsOptions;
  readonly #rings = new Map<string, LogRingReader>();
  readonly #closing = new AbortController();
  readonly #readers: Promise<void>[] = [];
  readonly #unlisten: () => void;
  readonly #accessRings: SharedArrayBuffer[] = [];
  readonly #sinks: readonly LogSink[];
  readonly #access: AccessWriter;
  readonly #selfReport: SelfReport;
  readonly #accessRules: Live<AccessOutput>;

  constructor(options: NodeLogsOptions) {
    this.#o = options;
    this.#accessRules = new Live(accessOutput(options.loaded));
    const { config } = options.loaded;
    this.#sinks = config.logShipping.map((sink) =>
      new LogSink({
        ...options,
        config: sink,
        folder: `${config.spool.envelopes.path}/shipping/${sink.name}`,
      })
    );
    const takesAccess = config.logShipping.some(({ logs }) => logs.includes("access"));
    this.#access = new AccessWriter({
      ...options,
      rules: this.#accessRules.view((rules) => rules),
      ...takesAccess && { onLines: (lines: string) => this.#ship(lines) },
    });
    collectSinks(options.reader, this.#sinks);
    this.#selfReport = new SelfReport({ ...options, config });
    this.#unlisten = onLogEntry((entry) => {
      this.#selfReport.note(entry);
      options.metrics.add(METRICS.logLines, 1, entry.level);
      if (this.#sinks.length > 0) this.#ship(formatEntry(entry, "json"));
    });
  }

  /** Begins to ship. @throws {StorageError} a buffer cannot be used */
  async start(): Promise<void> {
    await Promise.all(this.#sinks.map((sink) => sink.start()));
  }

  /** Memory for what a half in a worker logs; the same for its replacements. */
  ringOf(kind: HalfKind, lane: number): SharedArrayBuffer {
    const name = `${kind} ${lane}`;
    let reader = this.#rings.get(name);
    if (!reader) {
      this.#rings.set(name, reader = new LogRingReader(createLogRing()));
      this.#readers.push(
        reader.run(this.#o.clock, this.#closing.signal, writeEntry, (count) => this.#lost(count)),
      );
    }
    return reader.buffer;
  }

  /** Puts changed keys in force. */
  configure(loaded: LoadedConfig, changed: readonly KeyChange[]): void {
    // Any key may hold a secret.
    if (changed.length > 0) configureLogging(logOptions(loaded));
    this.#accessRules.set(accessOutput(loaded));
    this.#selfReport.configure(loaded.config);
  }

  /** Memory for the access log of a lane. */
  accessRingOf(lane: number): SharedArrayBuffer {
    let buffer = this.#accessRings[lane];
    if (!buffer) {
      buffer = this.#accessRings[lane] = SharedRing.createBuffer(this.#o.loaded.config.accessLog.buffer);
      this.#access.include(buffer);
    }
    return buffer;
  }

  /** Opens files again by their names: somebody may have moved them. */
  reopen(): void {
    this.#access.reopen();
  }

  /** To be called several times a second. */
  tick(): void {
    flushRepeats();
    this.#selfReport.tick();
  }

  /** Writes what is left; the halves have stopped. */
  async close(): Promise<void> {
    await this.#access.close();
    this.#closing.abort();
    await Promise.all(this.#readers);
    for (const ring of this.#rings.values()) this.#lost(ring.read(writeEntry));
    flushRepeats(true);
    await this.#selfReport.close();
    this.#unlisten();
    await Promise.all(this.#sinks.map((sink) => sink.close()));
  }

  #ship(lines: string): void {
    for (const line of lines.split("\n")) {
      if (line === "") continue;
      const values = JSON.parse(line) as LogValues;
      for (const sink of this.#sinks) sink.add(values, line.length);
    }
  }

  #lost(count: number): void {
    this.#o.metrics.add(METRICS.logLost, count, "node");
  }
}

function accessOutput({ config: { accessLog } }: LoadedConfig): AccessOutput {
  const { output, path, format, maxSize: maxBytes, maxAge: maxAgeMs, keep } = accessLog;
  return { output, path, format, maxBytes, maxAgeMs, keep };
}

function collectSinks(reader: MetricsReader, sinks: readonly LogSink[]): void {
  const each = (value: (sink: LogSink) => number) => () =>
    sinks.map((sink) => ({ labels: { sink: sink.name }, values: [value(sink)] }));
  reader.collect(METRICS.logShipped, each((sink) => sink.counts.shipped));
  reader.collect(METRICS.logShippingBytes, each((sink) => sink.bufferedBytes));
  reader.collect(
    METRICS.logShippingDropped,
    () =>
      sinks.flatMap(({ name: sink, counts: { dropped } }) =>
        [...dropped].map(([reason, lines]) => ({ labels: { sink, reason }, values: [lines] }))
      ),
  );
}
