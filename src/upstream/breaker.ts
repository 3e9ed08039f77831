/**
 * Circuit breaker of one endpoint, as one lane sees it.
 *
 * It answers faster than the judgement of the control plane (`outlier_ejection.ts`): that looks at an endpoint a few times
 * a second and for all lanes, this one at every request. It opens on failures to reach the endpoint alone (no connection,
 * no answer, 502, 503, 504); an endpoint that answers badly is the business of ejection.
 *
 * closed → open: {@link CONSECUTIVE_MAX} failures in a row, or half of at least {@link VOLUME_MIN} requests in the last
 * ten seconds. open → half open: after a time that doubles with every opening in a row. half open: one trial at a time;
 * its success closes, its failure opens again.
 *
 * A state machine without a clock: moments are handed in, in ms on any one monotonic clock.
 */

/** Failures in a row that open a breaker. */
export const CONSECUTIVE_MAX = 5;
/** Requests in the window below which their share of failures says nothing. */
export const VOLUME_MIN = 20;
const FAILURE_SHARE_MAX = 0.5;
const BUCKETS = 10;
const BUCKET_MS = 1000;
const OPEN_MS_MIN = 1000;
const OPEN_MS_MAX = 30_000;

/** State of a breaker; `opens` counts openings since the last time it was closed. */
export type BreakerState =
  | { readonly kind: "closed" }
  | { readonly kind: "open"; readonly untilMs: number; readonly opens: number }
  | { readonly kind: "half_open"; readonly isTrying: boolean; readonly opens: number };

const CLOSED: BreakerState = { kind: "closed" };

/** A circuit breaker. */
export class Breaker {
  #state: BreakerState = CLOSED;
  #consecutive = 0;
  readonly #requests = new Int32Array(BUCKETS);
  readonly #failures = new Int32Array(BUCKETS);
  /** Number of the bucket written last, counted from the clock's origin. */
  #bucket = -Infinity;

  get state(): BreakerState {
    return this.#state;
  }

  /** Whether a request may be sent now. */
  allows(nowMs: number): boolean {
    const state = this.#state;
    if (state.kind === "closed") return true;
    return state.kind === "open" ? nowMs >= state.untilMs : !state.isTrying;
  }

  /** A request is sent; call {@link Breaker.end} when its end is known. */
  begin(nowMs: number): void {
    const state = this.#state;
    if (state.kind === "closed" || state.kind === "open" && nowMs < state.untilMs) return;
    this.#state = { kind: "half_open", isTrying: true, opens: state.opens };
  }

  /** A request reached the endpoint, or did not. */
  end(isReached: boolean, nowMs: number): void {
    this.#turn(nowMs);
    const at = this.#bucket % BUCKETS;
    this.#requests[at] = this.#requests[at]! + 1;
    if (isReached) {
      this.#consecutive = 0;
      if (this.#state.kind !== "closed") this.#close();
      return;
    }
    this.#consecutive++;
    this.#failures[at] = this.#failures[at]! + 1;
    if (this.#state.kind === "half_open") this.#open(nowMs, this.#state.opens + 1);
    else if (this.#state.kind === "closed" && this.#hasFailed()) this.#open(nowMs, 1);
  }

  /** A request was given up by us, which says nothing. */
  forget(): void {
    if (this.#state.kind === "half_open") this.#state = { ...this.#state, isTrying: false };
  }

  #hasFailed(): boolean {
    if (this.#consecutive >= CONSECUTIVE_MAX) return true;
    const requests = sum(this.#requests);
    return requests >= VOLUME_MIN && sum(this.#failures) >= requests * FAILURE_SHARE_MAX;
  }

  #open(nowMs: number, opens: number): void {
    const openMs = Math.min(OPEN_MS_MAX, OPEN_MS_MIN * 2 ** (opens - 1));
    this.#state = { kind: "open", untilMs: nowMs + openMs, opens };
  }

  #close(): void {
    this.#state = CLOSED;
    this.#requests.fill(0);
    this.#failures.fill(0);
  }

  /** Empties the buckets whose time is over. */
  #turn(nowMs: number): void {
    const bucket = Math.floor(nowMs / BUCKET_MS);
    const passed = Math.min(BUCKETS, bucket - this.#bucket);
    for (let i = 0; i < passed; i++) {
      const at = (bucket - i) % BUCKETS;
      this.#requests[at] = 0;
      this.#failures[at] = 0;
    }
    this.#bucket = Math.max(this.#bucket, bucket);
  }
}

function sum(numbers: Int32Array): number {
  let total = 0;
  for (const number of numbers) total += number;
  return total;
}
