/**
 * Takes endpoints out that answer worse than they should, and lets them back in: passive health, for all lanes together.
 *
 * | rule | looks at | ejects |
 * |---|---|---|
 * | failures in a row | since the last answer below 500 | from {@link EjectionOptions.failuresMax} on; any but the last |
 * | success rate | a window of {@link WINDOW_MS}, endpoints with {@link VOLUME_MIN} requests in it | those below 90 % and 1.9 standard deviations below the mean of at least three, while no more than half are out |
 *
 * An ejection lasts `baseMs` times the number of ejections, at most `maxMs`; the number falls by one for each such time
 * without an ejection. After it the endpoint is in again, at a share of its weight (slow start, `endpoint.ts`).
 *
 * **The last endpoint is never ejected**: with one to three endpoints a percentage cannot say that, so it is said in words.
 *
 * A state machine without a clock: counts and moments (monotonic, ms) are handed in.
 */

/** Window of the success rate. */
export const WINDOW_MS = 10_000;
/** Requests an endpoint needs in a window to be compared. */
export const VOLUME_MIN = 30;
const ENDPOINTS_MIN = 3;
const DEVIATIONS = 1.9;
const RATE_MAX = 0.9;

/** Options of {@link OutlierEjection}. */
export interface EjectionOptions {
  readonly failuresMax: number;
  readonly baseMs: number;
  readonly maxMs: number;
}

/** What lanes counted since the last look. */
export interface EndpointCounts {
  readonly answered: number;
  /** No answer, or one from 500 on. */
  readonly failed: number;
  /** Failures since the last good answer, as far as one lane can tell; only used when there were good ones. */
  readonly trailing: number;
}

/** State of an endpoint; `ejections` is what the length of the next one goes by. */
export type EjectionState =
  | { readonly kind: "in"; readonly sinceMs: number; readonly ejections: number }
  | { readonly kind: "out"; readonly untilMs: number; readonly ejections: number };

interface Member {
  state: EjectionState;
  consecutive: number;
  answered: number;
  failed: number;
  /** When the number of ejections changed last. */
  changedMs: number;
}

/** Judge of the endpoints of one upstream, which are named by their ids. */
export class OutlierEjection {
  readonly #members = new Map<string, Member>();
  #windowMs = -Infinity;

  constructor(public options: EjectionOptions) {}

  /** The endpoints there are now; those that stay keep their state. */
  setMembers(ids: readonly string[]): void {
    for (const id of this.#members.keys()) if (!ids.includes(id)) this.#members.delete(id);
    for (const id of ids) {
      if (this.#members.has(id)) continue;
      const state: EjectionState = { kind: "in", sinceMs: -Infinity, ejections: 0 };
      this.#members.set(id, { state, consecutive: 0, answered: 0, failed: 0, changedMs: -Infinity });
    }
    // A set that shrank may have nobody left but those that are out.
    if (this.#inside() === 0) {
      for (const member of this.#members.values()) {
        this.#return(member, -Infinity);
      }
    }
  }

  /** State of an endpoint; undefined when it is unknown. */
  stateOf(id: string): EjectionState | undefined {
    return this.#members.get(id)?.state;
  }

  /** What was counted on an endpoint since the last call. */
  observe(id: string, { answered, failed, trailing }: EndpointCounts): void {
    const member = this.#members.get(id);
    if (!member) return;
    // A lane that has not used the endpoint since may still count failures of long ago.
    member.consecutive = answered > 0 ? Math.min(trailing, failed) : member.consecutive + failed;
    member.answered += answered;
    member.failed += failed;
  }

  /** Judges; returns the endpoints whose state changed. */
  evaluate(nowMs: number): string[] {
    const changed: string[] = [];
    for (const [id, member] of this.#members) {
      if (member.state.kind === "out" && nowMs >= member.state.untilMs) {
        this.#return(member, nowMs);
        changed.push(id);
      } else if (member.consecutive >= this.options.failuresMax && this.#eject(member, nowMs)) {
        changed.push(id);
      }
      this.#forgive(member, nowMs);
    }
    if (nowMs - this.#windowMs < WINDOW_MS) return changed;
    this.#windowMs = nowMs;
    changed.push(...this.#compare(nowMs));
    for (const member of this.#members.values()) member.answered = member.failed = 0;
    return changed;
  }

  #compare(nowMs: number): string[] {
    const rated = [...this.#members].filter(([, { state, answered, failed }]) =>
      state.kind === "in" && answered + failed >= VOLUME_MIN
    ).map(([id, member]) => ({ id, member, rate: member.answered / (member.answered + member.failed) }));
    if (rated.length < ENDPOINTS_MIN) return [];
    const mean = rated.reduce((sum, { rate }) => sum + rate, 0) / rated.length;
    const variance = rated.reduce((sum, { rate }) => sum + (rate - mean) ** 2, 0) / rated.length;
    // Among n values none lies further than √(n-1) deviations from their mean, so few endpoints need a smaller bound.
    const deviations = Math.min(DEVIATIONS, 0.9 * Math.sqrt(rated.length - 1));
    const bound = Math.min(RATE_MAX, mean - deviations * Math.sqrt(variance));
    return rated.filter(({ rate }) => rate < bound).toSorted((a, b) => a.rate - b.rate)
      .filter(({ member }) => this.#inside() > this.#members.size / 2 && this.#eject(member, nowMs))
      .map(({ id }) => id);
  }

  /** False when the endpoint is out already, or the last one. */
  #eject(member: Member, nowMs: number): boolean {
    if (member.state.kind === "out" || this.#inside() <= 1) return false;
    const ejections = member.state.ejections + 1;
    const { baseMs, maxMs } = this.options;
    member.state = { kind: "out", untilMs: nowMs + Math.min(maxMs, baseMs * ejections), ejections };
    member.changedMs = nowMs;
    return true;
  }

  #return(member: Member, nowMs: number): void {
    member.state = { kind: "in", sinceMs: nowMs, ejections: member.state.ejections };
    member.changedMs = nowMs;
    member.consecutive = member.answered = member.failed = 0;
  }

  #forgive(member: Member, nowMs: number): void {
    const { state } = member;
    if (state.kind === "out" || state.ejections === 0) return;
    if (nowMs - member.changedMs < Math.min(this.options.maxMs, this.options.baseMs * state.ejections)) {
      return;
    }
    member.state = { ...state, ejections: state.ejections - 1 };
    member.changedMs = nowMs;
  }

  #inside(): number {
    let inside = 0;
    for (const { state } of this.#members.values()) if (state.kind === "in") inside++;
    return inside;
  }
}
