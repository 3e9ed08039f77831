/**
 * Active health: asks every endpoint for a sign of life, `GET /api/0/relays/live/` (control reference, section 11), from
 * the control plane alone, so that an endpoint hears one question per node and interval however many lanes there are.
 *
 * Any answer but 502, 503 and 504 is a sign of life. {@link DOWN_AFTER} questions without one in a row take an endpoint
 * out, {@link UP_AFTER} with one bring it back.
 */
import type { Clock } from "../core/clock.ts";
import type { Metrics } from "../telemetry/registry.ts";
import { isGatewayStatus } from "./classify.ts";
import type { Dial } from "./dial.ts";
import { HttpClient } from "./http_client.ts";
import type { ClientRequest } from "./request_head.ts";
import { endpointTarget } from "./upstream_client.ts";
import { UpstreamError } from "./upstream_error.ts";
import type { EndpointSpec, TransportSpec } from "./upstream_spec.ts";

/** Questions without a sign of life in a row that take an endpoint out. */
export const DOWN_AFTER = 3;
/** Signs of life in a row that bring an endpoint back. */
export const UP_AFTER = 2;
const JITTER = 0.2;
const HEAD_BYTES_MAX = 64 * 1024;

/** Whether an endpoint is alive, judged from a row of questions. */
export class ProbeHealth {
  #isUp = true;
  /** Questions in a row that said otherwise. */
  #against = 0;

  get isUp(): boolean {
    return this.#isUp;
  }

  /** A question ended; true when that changes the judgement. */
  report(isAlive: boolean): boolean {
    this.#against = isAlive === this.#isUp ? 0 : this.#against + 1;
    if (this.#against < (this.#isUp ? DOWN_AFTER : UP_AFTER)) return false;
    this.#isUp = isAlive;
    this.#against = 0;
    return true;
  }
}

/** Options of {@link EndpointProber}; times in milliseconds. */
export interface ProberOptions {
  readonly endpoint: EndpointSpec;
  readonly transport: TransportSpec;
  readonly intervalMs: number;
  readonly timeoutMs: number;
  readonly clock: Clock;
  readonly metrics: Metrics;
  readonly dial: Dial;
  readonly random?: () => number;
  /** Made anew for each question. */
  request(): ClientRequest;
  /** {@link EndpointProber.isUp} changed. */
  onChange(isUp: boolean): void;
}

/** Asks one endpoint. */
export class EndpointProber {
  readonly #o: ProberOptions;
  readonly #health = new ProbeHealth();
  readonly #client: HttpClient;
  readonly #stop = new AbortController();

  constructor(options: ProberOptions) {
    this.#o = options;
    this.#client = new HttpClient({
      target: endpointTarget(options.transport, options.endpoint),
      clock: options.clock,
      metrics: options.metrics,
      dial: options.dial,
      connectTimeoutMs: options.timeoutMs,
      totalTimeoutMs: options.timeoutMs,
      // A question that finds a connection still open would not notice that no new one can be opened.
      idleTimeoutMs: 1,
      connectionsMax: 1,
      headBytesMax: HEAD_BYTES_MAX,
      bodyBytesMax: HEAD_BYTES_MAX,
    });
    void this.#run();
  }

  get isUp(): boolean {
    return this.#health.isUp;
  }

  stop(): void {
    this.#stop.abort();
    this.#client.close();
  }

  async #run(): Promise<void> {
    const { clock, intervalMs, random = Math.random, onChange } = this.#o;
    const { signal } = this.#stop;
    while (!signal.aborted) {
      await clock.sleep(intervalMs * (1 - JITTER * random()), signal);
      if (signal.aborted) return;
      const isAlive = await this.#ask(signal);
      if (signal.aborted || isAlive === null) return;
      if (this.#health.report(isAlive)) onChange(isAlive);
    }
  }

  async #ask(signal: AbortSignal): Promise<boolean | null> {
    try {
      return !isGatewayStatus((await this.#client.send(this.#o.request(), signal)).status);
    } catch (error) {
      if (!(error instanceof UpstreamError)) throw error;
      return error.kind === "aborted" ? null : !error.isNetworkError;
    }
  }
}
