/**
 * Fetches project states from the upstream, in rounds (control reference, section 4, "Batching and timing").
 *
 * One round is under way at a time: it starts `batchIntervalMs` after the first key was wanted, so that keys come
 * together, takes up to `batchSize * requestsMax` of them in requests of `batchSize`, and the next one starts when all
 * answers are in. A round in which no request was answered makes the next one wait, ever longer.
 */
import type { Backoff } from "../core/backoff.ts";
import type { Clock } from "../core/clock.ts";
import { WakefulLoop } from "../core/wakeful_loop.ts";
import { readProjectAnswer } from "../projects/project_answer.ts";
import type { FetchResult, ProjectCache } from "../projects/project_cache.ts";
import { METRICS } from "../telemetry/catalogue.ts";
import { logger } from "../telemetry/log.ts";
import type { Metrics } from "../telemetry/registry.ts";
import { type QueryClient, QueryError } from "../upstream/query_client.ts";
import { queryBackoff } from "../upstream/reachability.ts";

const log = logger("projects");

/** How often the age of states is looked at. */
const SWEEP_MS = 1000;
/** Failures are told as errors at most this often. */
const REPORT_MS = 60_000;

/** Options of {@link ProjectFetcher}; times in milliseconds. Numbers are read at use, and may change. */
export interface ProjectFetcherOptions {
  readonly cache: ProjectCache;
  readonly queries: Pick<QueryClient, "ask">;
  readonly clock: Clock;
  readonly metrics: Metrics;
  readonly batchIntervalMs: number;
  readonly batchSize: number;
  readonly requestsMax: number;
  readonly fullConfig: boolean;
  readonly retryIntervalMsMax: number;
  /** How long fetching may fail before that is an error. */
  readonly failureIntervalMs: number;
  readonly random?: () => number;
  /** Whether the upstream may be asked. */
  readonly isAllowed: () => boolean;
  /** The cache has changes for the lanes. */
  readonly onChange: () => void;
}

/** Keeps a {@link ProjectCache} filled until it is stopped. */
export class ProjectFetcher {
  readonly #o: ProjectFetcherOptions;
  readonly #backoff: Backoff;
  readonly #fetching = new WakefulLoop();
  readonly #sweeping = new WakefulLoop();
  #failingSinceMs: number | null = null;
  #reportedMs = -Infinity;

  constructor(options: ProjectFetcherOptions) {
    this.#o = options;
    this.#backoff = queryBackoff(options, options.random);
  }

  start(): void {
    this.#fetching.start((woken) => this.#fetch(woken));
    this.#sweeping.start((woken) => this.#sweep(woken));
  }

  /** Lanes need these keys. */
  want(keys: Iterable<string>): void {
    this.#o.cache.want(keys, this.#o.clock.monotonic());
    this.#publish();
    this.#fetching.wake();
  }

  /** {@link ProjectFetcherOptions.isAllowed} may have changed. */
  recheck(): void {
    this.#fetching.wake();
  }

  /** Ends fetching; resolves when nothing is under way. */
  async stop(): Promise<void> {
    await Promise.all([this.#fetching.stop(), this.#sweeping.stop()]);
  }

  /** A pause, or one round. */
  async #fetch(woken: AbortSignal): Promise<void> {
    const { clock, cache, isAllowed } = this.#o;
    const { stopped } = this.#fetching;
    const dueMs = isAllowed() ? cache.nextDueMs : Infinity;
    if (dueMs === Infinity) return await aborted(woken);
    const waitMs = dueMs - clock.monotonic();
    if (waitMs > 0) return await clock.sleep(waitMs, woken);
    // Nothing shortens this pause: what is wanted meanwhile goes with the round.
    await clock.sleep(this.#o.batchIntervalMs + this.#backoff.next(), stopped);
    if (!stopped.aborted && isAllowed()) await this.#round(stopped);
  }

  async #round(signal: AbortSignal): Promise<void> {
    const { cache, clock, batchSize, requestsMax } = this.#o;
    const taken = cache.take(batchSize * requestsMax, clock.monotonic());
    if (taken.length === 0) return;
    const batches: typeof taken[] = [];
    for (let at = 0; at < taken.length; at += batchSize) batches.push(taken.slice(at, at + batchSize));
    const answered = await Promise.all(batches.map((batch) => this.#request(batch, signal)));
    if (answered.some(Boolean)) this.#recovered();
    this.#publish();
  }

  async #request(
    batch: readonly { readonly key: string; readonly revision: string | null }[],
    signal: AbortSignal,
  ): Promise<boolean> {
    const { cache, queries, clock, fullConfig } = this.#o;
    const keys = batch.map(({ key }) => key);
    const revisions = batch.map(({ revision }) => revision);
    try {
      const { value } = await queries.ask(
        "project_configs",
        { publicKeys: keys, revisions, fullConfig, noCache: false },
        signal,
      );
      const answer = readProjectAnswer(value);
      if (answer === null) throw new QueryError("invalid", "the answer holds no project states");
      this.#count(cache.answered(keys, answer, clock.monotonic()));
      return true;
    } catch (error) {
      if (!(error instanceof QueryError)) throw error;
      cache.failed(keys, clock.monotonic());
      if (!signal.aborted) this.#failed(error, keys.length);
      return false;
    }
  }

  #count(results: readonly FetchResult[]): void {
    for (const result of results) this.#o.metrics.add(METRICS.projectFetches, 1, result);
    const invalid = results.filter((result) => result === "invalid").length;
    if (invalid > 0) {
      log.warn("{invalid} project states cannot be read, the old ones stay in force", { invalid });
    }
  }

  #failed(error: QueryError, keys: number): void {
    const { clock, metrics, failureIntervalMs } = this.#o;
    metrics.add(METRICS.projectFetches, keys, "failed");
    const nowMs = clock.monotonic();
    this.#failingSinceMs ??= nowMs;
    if (nowMs - this.#failingSinceMs < failureIntervalMs || nowMs - this.#reportedMs < REPORT_MS) return;
    this.#reportedMs = nowMs;
    log.error("project states cannot be fetched: {problem}", { problem: error.message });
  }

  #recovered(): void {
    this.#backoff.reset();
    this.#failingSinceMs = null;
    this.#reportedMs = -Infinity;
  }

  async #sweep(woken: AbortSignal): Promise<void> {
    const { clock, cache } = this.#o;
    await clock.sleep(SWEEP_MS, woken);
    cache.sweep(clock.monotonic());
    this.#publish();
    if (cache.nextDueMs !== Infinity) this.#fetching.wake();
  }

  #publish(): void {
    const { cache, metrics, onChange } = this.#o;
    for (const [reason, count] of Object.entries(cache.takeEvicted())) {
      if (count > 0) metrics.add(METRICS.projectsEvicted, count, reason);
    }
    for (const [state, count] of Object.entries(cache.counts)) {
      metrics.set(METRICS.projectsCached, count, state);
    }
    onChange();
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
}
