/**
 * Keeps records back while the upstream cannot be reached, and finds out when it can again.
 *
 * After a network error nothing new is sent for a short, growing, jittered time, unless an answer arrives meanwhile; so
 * an upstream that refuses connections is not tried with the whole backlog within the grace window. Once `outage.ts` calls
 * it an outage, nothing but probes is sent until anything answers.
 */
import { Backoff } from "../core/backoff.ts";
import type { Clock, Timer } from "../core/clock.ts";
import { logger } from "../telemetry/log.ts";
import type { ForwardResult } from "./classify.ts";
import { Outage, type OutageState } from "./outage.ts";

const log = logger("upstream");

const FACTOR = 1.5;
const JITTER = 0.3;
const PROBE_DELAY_MS = 1000;

/** Delays between tries at an upstream (control reference, section 11), with jitter so that nodes do not march in step. */
export function retryBackoff(
  timing: Pick<RetryTiming, "retryDelayMs" | "retryIntervalMsMax">,
  random: () => number = Math.random,
): Backoff {
  return new Backoff({
    get baseMs() {
      return timing.retryDelayMs;
    },
    get maxMs() {
      return timing.retryIntervalMsMax;
    },
    factor: FACTOR,
    jitter: JITTER,
    random,
  });
}

/** When to try again; read at use, milliseconds. */
export interface RetryTiming {
  /** First delay. */
  readonly retryDelayMs: number;
  /** Ceiling of all delays. */
  readonly retryIntervalMsMax: number;
  /** How long network errors may last before they are an outage. */
  readonly outageGraceMs: number;
}

/** Delays of what asks the upstream on its own account: at once, then from a second on (control reference, section 11). */
export function queryBackoff(
  timing: Pick<RetryTiming, "retryIntervalMsMax">,
  random: () => number = Math.random,
): Backoff {
  return new Backoff({
    baseMs: 1000,
    get maxMs() {
      return timing.retryIntervalMsMax;
    },
    factor: FACTOR,
    jitter: JITTER,
    random,
    startsAtOnce: true,
  });
}

/** Options of {@link Reachability}; times in milliseconds. */
export interface ReachabilityOptions {
  readonly clock: Clock;
  /** Name of the upstream, for the log. */
  readonly name: string;
  readonly timing: RetryTiming;
  readonly random?: () => number;
  /** Asks the upstream for a sign of life; null when the question was given up. */
  probe(signal: AbortSignal): Promise<ForwardResult | null>;
  /** An outage has ended. */
  onRecovery?(): void;
  /** {@link Reachability.isHeld} or the outage may have changed. */
  onChange(): void;
}

/** Judges an upstream by how requests to it end. */
export class Reachability {
  readonly #o: ReachabilityOptions;
  readonly #outage: Outage;
  readonly #holds: Backoff;
  #hold: Timer | null = null;
  #probing: AbortController | null = null;
  #stopped = false;

  constructor(options: ReachabilityOptions) {
    this.#o = options;
    this.#outage = new Outage(() => options.timing.outageGraceMs);
    this.#holds = retryBackoff(options.timing, options.random);
  }

  get outage(): OutageState {
    return this.#outage.state;
  }

  /** Whether records are to be kept back now. */
  get isHeld(): boolean {
    return this.#hold !== null || this.#outage.isActive;
  }

  /** A request ended in a network error. */
  failed(reason: string): void {
    if (this.#stopped || this.#outage.isActive) return;
    const isFirst = this.#outage.state.kind === "reachable";
    if (isFirst) {
      log.warn("the upstream cannot be reached: {reason}", { ...this.#about, reason });
    }
    this.#hold ??= this.#o.clock.after(this.#holds.next(), () => this.#release());
    const isOutage = this.#outage.failed(this.#o.clock.monotonic());
    if (!isOutage) return isFirst ? this.#o.onChange() : undefined;
    log.error("the upstream is held for down, records stay on disk: {reason}", { ...this.#about, reason });
    this.#o.onChange();
    this.#probing = new AbortController();
    void this.#probe(this.#probing.signal);
  }

  /** An answer arrived; any answer at all shows that the upstream can be reached. */
  received(): void {
    const { state } = this.#outage;
    if (state.kind === "reachable") return;
    const wasOutage = this.#outage.received();
    this.#holds.reset();
    this.#probing?.abort();
    if (wasOutage) {
      const seconds = Math.round((this.#o.clock.monotonic() - state.sinceMs) / 1000);
      log.info("the upstream answers again after {seconds} s", { ...this.#about, seconds });
      this.#o.onRecovery?.();
    }
    this.#release();
  }

  /** Ends all timers and probes. */
  stop(): void {
    this.#stopped = true;
    this.#hold?.cancel();
    this.#probing?.abort();
  }

  get #about(): { upstream: string } {
    return { upstream: this.#o.name };
  }

  async #probe(signal: AbortSignal): Promise<void> {
    const { retryIntervalMsMax } = this.#o.timing;
    const delays = retryBackoff({ retryDelayMs: PROBE_DELAY_MS, retryIntervalMsMax }, this.#o.random);
    while (!signal.aborted) {
      await this.#o.clock.sleep(delays.next(), signal);
      if (signal.aborted) return;
      const result = await this.#o.probe(signal);
      if (result && result.kind !== "network_error") this.received();
    }
  }

  #release(): void {
    this.#hold?.cancel();
    this.#hold = null;
    this.#o.onChange();
  }
}
