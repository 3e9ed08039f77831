/**
 * What the control plane looks at for its operator: the gauges of the node as a whole that nobody else sets.
 */
import type { Clock } from "../core/clock.ts";
import { EVENT_LOOP_MS, watchEventLoop } from "../core/event_loop_delay.ts";
import { oldestReceivedAt } from "../spool/oldest_record.ts";
import type { Storage } from "../spool/storage.ts";
import { METRICS } from "../telemetry/catalogue.ts";
import type { Metrics } from "../telemetry/registry.ts";
import type { Lanes } from "./lanes.ts";

/** How often the oldest record is looked for. */
const OLDEST_MS = 5000;

/** Options of {@link NodeInsight}. */
export interface NodeInsightOptions {
  readonly clock: Clock;
  readonly storage: Storage;
  /** Counters of the control plane. */
  readonly metrics: Metrics;
  readonly lanes: Lanes;
}

/** The node as its operator sees it. */
export class NodeInsight {
  readonly #o: NodeInsightOptions;
  readonly #stop = new AbortController();

  constructor(options: NodeInsightOptions) {
    this.#o = options;
    options.metrics.set(METRICS.startedAt, options.clock.now() / 1000);
  }

  /** Starts to look. @param partitions folders of the spool's partitions */
  start(partitions: readonly string[]): void {
    const { clock, metrics } = this.#o;
    const { signal } = this.#stop;
    void watchEventLoop(clock, EVENT_LOOP_MS, signal, (lateMs) => {
      metrics.observe(METRICS.eventLoopDelay, lateMs / 1000, "control");
    });
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
  }

  close(): void {
    this.#stop.abort();
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
