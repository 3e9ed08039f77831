/**
 * Whether the upstream is held for down (control reference, section 11).
 *
 * The first network error opens a grace window in which traffic goes on. A further one at its end or later, with nothing
 * received in between, makes it an outage: nothing but probes is sent until any answer at all arrives.
 */

/** State of an upstream; `sinceMs` is the moment of the first network error, on the clock handed in. */
export type OutageState =
  | { readonly kind: "reachable" }
  | { readonly kind: "grace"; readonly sinceMs: number }
  | { readonly kind: "outage"; readonly sinceMs: number };

const REACHABLE: OutageState = { kind: "reachable" };

/** State machine of an upstream's outages; without a clock of its own. */
export class Outage {
  #state: OutageState = REACHABLE;

  /** @param graceMs how long network errors may last before they are an outage */
  constructor(readonly graceMs: () => number) {}

  get state(): OutageState {
    return this.#state;
  }

  get isActive(): boolean {
    return this.#state.kind === "outage";
  }

  /** A request ended in a network error; true when that makes it an outage. */
  failed(nowMs: number): boolean {
    if (this.#state.kind === "reachable") this.#state = { kind: "grace", sinceMs: nowMs };
    if (this.#state.kind !== "grace" || nowMs - this.#state.sinceMs < this.graceMs()) return false;
    this.#state = { kind: "outage", sinceMs: this.#state.sinceMs };
    return true;
  }

  /** An answer arrived; true when that ends an outage. */
  received(): boolean {
    const wasOutage = this.isActive;
    this.#state = REACHABLE;
    return wasOutage;
  }
}
