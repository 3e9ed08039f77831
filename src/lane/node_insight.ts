/**
 * What the control plane keeps for its operator: gauges of the node as a whole, the history behind the status page's charts,
 * and the feed of its updates.
 */
import { upstreamState } from "../admin/node_status.ts";
import { StatusFeed } from "../admin/status_feed.ts";
import type { Clock } from "../core/clock.ts";
import { watchEventLoop } from "../core/event_loop_delay.ts";
import { oldestReceivedAt } from "../spool/oldest_record.ts";
import type { Storage } from "../spool/storage.ts";
import { METRICS } from "../telemetry/catalogue.ts";
import { History, type HistorySample } from "../telemetry/history.ts";
import { RecentErrors } from "../telemetry/recent_errors.ts";
import { pushStatsd, type StatsdSettings } from "../telemetry/statsd_push.ts";
import type { Metrics, MetricsReader } from "../telemetry/registry.ts";
import type { Lanes } from "./lanes.ts";
import { Sampler } from "./sampler.ts";

/** How often the oldest record is looked for. */
const OLDEST_MS = 5000;
/** How often the history takes a sample, and pages get an update. */
const SAMPLE_MS = 1000;

/** Options of {@link NodeInsight}. */
export interface NodeInsightOptions {
  readonly clock: Clock;
  readonly storage: Storage;
  /** Counters of the control plane. */
  readonly metrics: Metrics;
  /** Reads all counters. */
  readonly reader: MetricsReader;
  readonly lanes: Lanes;
  status(): unknown;
  /** Where and how metrics are pushed, as the configuration has it now. */
  statsd(): StatsdSettings;
}

/** The node as its operator sees it. */
export class NodeInsight {
  readonly #o: NodeInsightOptions;
  readonly #stop = new AbortController();
  readonly #history = new History();
  readonly #sampler: Sampler;
  /** The newest sample and its number. */
  #sample: HistorySample;
  #number = 0;
  #sampledMs: number;
  #state = "";
  /** The last warnings and errors. */
  readonly errors: RecentErrors = new RecentErrors();
  /** Live updates of the status page. */
  readonly feed: StatusFeed = new StatusFeed({
    history: () => this.#history.spans,
    update: () => ({ number: this.#number, status: this.#o.status(), sample: this.#sample }),
  });

  constructor(options: NodeInsightOptions) {
    this.#o = options;
    this.#sampledMs = options.clock.monotonic();
    this.#sampler = new Sampler(options.reader);
    this.#sample = this.#sampler.take(1);
    options.metrics.set(METRICS.startedAt, options.clock.now() / 1000);
  }

  /** Starts to look. @param partitions folders of the spool's partitions */
  start(partitions: readonly string[]): void {
    const { clock, metrics } = this.#o;
    const { signal } = this.#stop;
    void watchEventLoop(clock, signal, (lateMs) => {
      metrics.observe(METRICS.eventLoopDelay, lateMs / 1000, "control");
    });
    const { reader } = this.#o;
    void pushStatsd({ clock, metrics, reader, settings: () => this.#o.statsd() }, signal);
    void this.#watchOldest(partitions, signal);
  }

  /** Sets the gauges that cost nothing; called a few times a second. */
  tick(): void {
    const { metrics, lanes } = this.#o;
    metrics.set(METRICS.lanes, lanes.all.length);
    for (const half of ["ingest", "forward"] as const) {
      metrics.set(METRICS.halvesUp, lanes.all.filter((lane) => lane.isHalfUp(half)).length, half);
    }
    metrics.set(METRICS.memoryBytes, Deno.memoryUsage().rss);
    metrics.set(METRICS.statusPages, this.feed.size);
    this.#publish();
  }

  /** A change of state is told at once, everything else once a second. */
  #publish(): void {
    const { clock, reader } = this.#o;
    const elapsedMs = clock.monotonic() - this.#sampledMs;
    const isDue = elapsedMs >= SAMPLE_MS;
    if (isDue) {
      this.#sampledMs += elapsedMs;
      this.#sample = this.#sampler.take(elapsedMs / 1000);
      this.#history.push(this.#sample);
      this.#number++;
    }
    const state = `${upstreamState(reader)} ${reader.read(METRICS.ready)}`;
    if (isDue || state !== this.#state) this.feed.publish();
    this.#state = state;
  }

  close(): void {
    this.#stop.abort();
    this.feed.close();
    this.errors.close();
  }

  async #watchOldest(partitions: readonly string[], signal: AbortSignal): Promise<void> {
    const { clock, metrics, storage, lanes } = this.#o;
    while (!signal.aborted) {
      let oldest = Infinity;
      if (lanes.waitingRecords > 0) {
        for (const folder of partitions) {
          oldest = Math.min(oldest, await oldestReceivedAt(storage, folder) ?? Infinity);
        }
      }
      const ageMs = oldest === Infinity ? 0 : Math.max(0, clock.now() - oldest);
      metrics.set(METRICS.spoolOldest, ageMs / 1000);
      await clock.sleep(OLDEST_MS, signal);
    }
  }
}
