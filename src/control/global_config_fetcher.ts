import type { Clock } from "../core/clock.ts";
import { WakefulLoop } from "../core/wakeful_loop.ts";
import { type GlobalConfig, readGlobalConfig } from "../projects/global_config.ts";
import { readProjectAnswer } from "../projects/project_answer.ts";
import { logger } from "../telemetry/log.ts";
import { type QueryClient, QueryError } from "../upstream/query_client.ts";

const log = logger("projects");

/** Failing this long is an error (control reference, section 5). */
const REPORT_MS = 35_000;

/** A global configuration and the document it was read from. */
export interface FetchedGlobalConfig {
  readonly config: GlobalConfig;
  /** As received; it is served on. */
  readonly raw: unknown;
}

/** Options of {@link GlobalConfigFetcher}; times in milliseconds. */
export interface GlobalConfigFetcherOptions {
  readonly queries: Pick<QueryClient, "ask">;
  readonly clock: Clock;
  /** From one answer to the next question; read at use, and may change. */
  readonly intervalMs: number;
  /** Whether the upstream may be asked. */
  readonly isAllowed: () => boolean;
  /** The upstream has one that is ready and differs from the one before. */
  readonly onChange: (fetched: FetchedGlobalConfig) => void;
}

/** Asks for the global configuration again and again (control reference, section 5). */
export class GlobalConfigFetcher {
  readonly #o: GlobalConfigFetcherOptions;
  readonly #loop = new WakefulLoop();
  #text = "";
  /** Monotonic moment of the last good answer; null before the first. */
  #answeredMs: number | null = null;
  #startedMs = 0;
  #isReported = false;

  constructor(options: GlobalConfigFetcherOptions) {
    this.#o = options;
  }

  /** Age of what is known, ms; null when the upstream has not answered since the start. */
  get ageMs(): number | null {
    return this.#answeredMs === null ? null : this.#o.clock.monotonic() - this.#answeredMs;
  }

  start(): void {
    this.#startedMs = this.#o.clock.monotonic();
    this.#loop.start((woken) => this.#turn(woken));
  }

  /** {@link GlobalConfigFetcherOptions.isAllowed} may have changed. */
  recheck(): void {
    this.#loop.wake();
  }

  /** Resolves when nothing is under way. */
  stop(): Promise<void> {
    return this.#loop.stop();
  }

  async #turn(woken: AbortSignal): Promise<void> {
    const { clock, isAllowed } = this.#o;
    const { stopped } = this.#loop;
    if (isAllowed()) await this.#ask(stopped);
    // Before the first answer nothing is forwarded, so permission to ask is not waited for.
    await clock.sleep(this.#o.intervalMs, this.#answeredMs === null ? woken : stopped);
  }

  async #ask(signal: AbortSignal): Promise<void> {
    const { queries, clock } = this.#o;
    try {
      const { value } = await queries.ask("global_config", { global: true, publicKeys: [] }, signal);
      const answer = readProjectAnswer(value);
      const config = answer?.isGlobalReady ? readGlobalConfig(answer.global) : null;
      if (config === null) return this.#failed(answer === null ? "the answer holds none" : "it is not ready");
      this.#answeredMs = clock.monotonic();
      this.#isReported = false;
      this.#take({ config, raw: answer!.global });
    } catch (error) {
      if (!(error instanceof QueryError)) throw error;
      if (!signal.aborted) this.#failed(error.message);
    }
  }

  #take(fetched: FetchedGlobalConfig): void {
    const text = JSON.stringify(fetched.raw);
    if (text === this.#text) return;
    this.#text = text;
    this.#o.onChange(fetched);
  }

  #failed(problem: string): void {
    const nowMs = this.#o.clock.monotonic();
    if (this.#isReported || nowMs - (this.#answeredMs ?? this.#startedMs) < REPORT_MS) return;
    this.#isReported = true;
    log.error("the global configuration cannot be fetched: {problem}", { problem });
  }
}
