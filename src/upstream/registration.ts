/**
 * Registration of this node at its upstream: challenge, response, and the same again every `http.auth_interval`.
 *
 * Source: control reference, section 3. Until it has succeeded nothing is forwarded; envelopes wait on disk. A network
 * error during a renewal leaves the node registered, any other failure does not. An upstream that refuses for good
 * (403 with `"relay": "stop"`) is not asked again before the next start; what was taken stays on disk.
 *
 * The usual cause of refused signatures is a clock that is off, which the upstream's `Date` header gives away.
 */
import type { Backoff } from "../core/backoff.ts";
import type { Clock } from "../core/clock.ts";
import { logger } from "../telemetry/log.ts";
import type { QueryClient } from "./query_client.ts";
import { QueryError } from "./query_client.ts";
import { queryBackoff } from "./reachability.ts";

const log = logger("upstream");

/** Difference of clocks from which on it is worth mentioning. */
const CLOCK_OFF_MS = 60_000;

/** Where a registration stands. `problem` is one line for people. */
export type RegistrationState =
  /** Never succeeded so far, or lost; being tried. */
  | { readonly kind: "unregistered"; readonly problem: string | null }
  | { readonly kind: "registered" }
  /** As good as registered. */
  | { readonly kind: "renewing" }
  /** Refused for good. */
  | { readonly kind: "denied"; readonly problem: string };

/** Options of {@link Registration}; times in milliseconds. */
export interface RegistrationOptions {
  readonly queries: Pick<QueryClient, "ask">;
  readonly relayId: string;
  readonly publicKey: string;
  /** `major.minor.patch`. */
  readonly version: string;
  readonly clock: Clock;
  /** From one success to the next renewal; 0 or null for never. Numbers are read at use, and may change. */
  readonly intervalMs: number | null;
  readonly retryIntervalMsMax: number;
  readonly random?: () => number;
  onChange(state: RegistrationState): void;
}

/** Keeps this node registered until it is stopped. */
export class Registration {
  readonly #o: RegistrationOptions;
  readonly #backoff: Backoff;
  readonly #stop = new AbortController();
  /** Ends waiting and what is under way, for another upstream. */
  #again = new AbortController();
  #state: RegistrationState = { kind: "unregistered", problem: null };
  #finished: Promise<void> = Promise.resolve();

  constructor(options: RegistrationOptions) {
    this.#o = options;
    this.#backoff = queryBackoff(options, options.random);
  }

  get state(): RegistrationState {
    return this.#state;
  }

  /** Whether the upstream takes what this node sends. */
  get isAuthenticated(): boolean {
    return this.#state.kind === "registered" || this.#state.kind === "renewing";
  }

  start(): void {
    this.#finished = this.#run();
  }

  /** There is another upstream, which has not seen this node yet. */
  restart(): void {
    this.#become({ kind: "unregistered", problem: null });
    this.#backoff.reset();
    this.#again.abort();
    this.#finished = this.#finished.then(() => this.#run());
  }

  /** Ends trying; resolves when nothing is under way. */
  async stop(): Promise<void> {
    this.#stop.abort();
    this.#again.abort();
    await this.#finished;
  }

  async #run(): Promise<void> {
    if (this.#stop.signal.aborted) return;
    const { clock } = this.#o;
    const { signal } = this.#again = new AbortController();
    while (!signal.aborted && this.#state.kind !== "denied") {
      await clock.sleep(this.#backoff.next(), signal);
      if (signal.aborted || !await this.#attempt(signal) || signal.aborted) continue;
      this.#backoff.reset();
      this.#become({ kind: "registered" });
      const { intervalMs } = this.#o;
      if (!intervalMs) return;
      await clock.sleep(intervalMs, signal);
      if (!signal.aborted) this.#become({ kind: "renewing" });
    }
  }

  async #attempt(signal: AbortSignal): Promise<boolean> {
    const { queries, relayId, publicKey, version } = this.#o;
    try {
      const asked = { relay_id: relayId, public_key: publicKey, version };
      const challenge = await queries.ask("challenge", asked, signal);
      const token = (challenge.value as { token?: unknown } | null)?.token;
      if (typeof token !== "string") throw new QueryError("invalid", "the challenge has no token");
      const { upstreamTimeMs } = await queries.ask("response", { relay_id: relayId, token, version }, signal);
      const clockProblem = this.#clockProblem(upstreamTimeMs);
      if (clockProblem) log.warn("registered, but {problem}", { problem: clockProblem });
      return true;
    } catch (error) {
      if (!(error instanceof QueryError)) throw error;
      if (!signal.aborted) this.#failed(error);
      return false;
    }
  }

  #failed(error: QueryError): void {
    const clockProblem = this.#clockProblem(error.upstreamTimeMs);
    const problem = clockProblem === null ? error.message : `${error.message}; ${clockProblem}`;
    if (error.isPermanent) {
      log.error("the upstream refuses this node for good, envelopes stay on disk: {problem}", { problem });
      return this.#become({ kind: "denied", problem });
    }
    // One failure is nothing yet; a second one in a row is somebody's business.
    if (this.#backoff.attempts > 1) log.error("cannot register at the upstream: {problem}", { problem });
    else log.warn("cannot register at the upstream, trying again: {problem}", { problem });
    if (this.#state.kind === "renewing" && error.kind === "network") return;
    this.#become({ kind: "unregistered", problem });
  }

  #clockProblem(upstreamTimeMs: number | null): string | null {
    if (upstreamTimeMs === null) return null;
    const offMs = this.#o.clock.now() - upstreamTimeMs;
    if (Math.abs(offMs) < CLOCK_OFF_MS) return null;
    const minutes = Math.round(Math.abs(offMs) / 60_000);
    return `the clock of this machine is ${minutes} min ${offMs > 0 ? "ahead of" : "behind"} the upstream's`;
  }

  #become(state: RegistrationState): void {
    const before = this.#state;
    this.#state = state;
    if (state.kind === "registered" && before.kind === "unregistered") log.info("registered at the upstream");
    this.#o.onChange(state);
  }
}
