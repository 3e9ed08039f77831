import { Breaker } from "./breaker.ts";
import type { Candidate } from "./balancer.ts";
import type { HealthWriter } from "./health_table.ts";
import { IdleLimit } from "./idle_limit.ts";
import type { EndpointSpec } from "./upstream_spec.ts";

/**
 * How a request to an endpoint ended: with a good answer, with one from 500 on, without one (or with 502, 503, 504, which
 * come from proxies that reach nobody), or given up by the node itself.
 */
export type EndpointOutcome = "answered" | "failed" | "unreachable" | "aborted";

/** An endpoint as one half uses it: its breaker, its load, its share in the health all lanes see. */
export class Endpoint implements Candidate {
  readonly breaker: Breaker = new Breaker();
  readonly idle: IdleLimit;
  #inFlight = 0;

  constructor(public spec: EndpointSpec, private readonly health: HealthWriter, idleMsMax: number) {
    this.idle = new IdleLimit(idleMsMax);
    health.clear(spec.slot);
  }

  get priority(): number {
    return this.spec.priority;
  }

  get weight(): number {
    return this.spec.weight;
  }

  get inFlight(): number {
    return this.#inFlight;
  }

  warmth(): number {
    // In panic also those are candidates that are out.
    return this.health.share(this.spec.slot) || 1;
  }

  isAvailable(nowMs: number): boolean {
    return this.health.share(this.spec.slot) > 0 && this.breaker.allows(nowMs);
  }

  /** A request is sent to it; `isRetry` when it failed elsewhere before. */
  begin(isRetry: boolean, nowMs: number): void {
    this.#inFlight++;
    this.breaker.begin(nowMs);
    this.health.set(this.spec.slot, "inFlight", this.#inFlight);
    if (isRetry) this.health.add(this.spec.slot, "retries", 1);
  }

  /** A request to it ended, which took `tookMs`. */
  end(outcome: EndpointOutcome, nowMs: number, tookMs = 0): void {
    const { health, spec: { slot } } = this;
    this.#inFlight--;
    health.set(slot, "inFlight", this.#inFlight);
    if (outcome === "aborted") return this.breaker.forget();
    this.breaker.end(outcome !== "unreachable", nowMs);
    health.set(slot, "breakerOpen", this.breaker.state.kind === "closed" ? 0 : 1);
    health.add(slot, outcome === "answered" ? "answered" : "failed", 1);
    if (outcome === "answered") {
      health.set(slot, "trailing", 0);
      health.add(slot, "answerMs", tookMs);
    } else health.add(slot, "trailing", 1);
  }

  /** Number of its connections that are open. */
  set connections(open: number) {
    this.health.set(this.spec.slot, "connections", open);
  }

  /** It is not used any more. */
  retire(): void {
    this.health.clear(this.spec.slot);
  }
}
