/**
 * How long an idle connection to an endpoint may be used again: always shorter than the endpoint keeps it.
 *
 * What an upstream announces in `Keep-Alive` is the connection's own matter (`connection.ts`). Many announce nothing, and
 * balancers between never do; so it is learned from what happens: a connection that the peer closed after it had been
 * idle for some time, or that turned out to be gone when it was used again, shows that this much is too long.
 *
 * A restart of the endpoint closes connections of every age, so what was learned is doubled every {@link RELAX_MS} in which
 * nothing like it happened. Without a clock: moments are handed in, ms.
 */

const SHARE = 0.75;
const IDLE_MS_MIN = 250;
const RELAX_MS = 60_000;

/** Learned idle limit of one endpoint. */
export class IdleLimit {
  #learnedMs = Infinity;
  #learnedAtMs = 0;

  /** @param maxMs used while nothing was learned */
  constructor(readonly maxMs: number) {}

  /** Longest time a connection may be idle and still be used. */
  ms(nowMs: number): number {
    if (this.#learnedMs === Infinity) return this.maxMs;
    const doublings = Math.floor((nowMs - this.#learnedAtMs) / RELAX_MS);
    const relaxed = this.#learnedMs * 2 ** doublings;
    if (relaxed < this.maxMs) return relaxed;
    this.#learnedMs = Infinity;
    return this.maxMs;
  }

  /** The peer had closed a connection that was idle for `idleMs`. */
  closedAfter(idleMs: number, nowMs: number): void {
    const presentMs = this.ms(nowMs);
    if (idleMs >= presentMs / SHARE) return;
    this.#learnedMs = Math.max(IDLE_MS_MIN, Math.min(presentMs, idleMs * SHARE));
    this.#learnedAtMs = nowMs;
  }
}
