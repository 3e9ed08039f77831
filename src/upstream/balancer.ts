/**
 * Which endpoint a request goes to.
 *
 * 1. **Priority**: the lowest tier with an endpoint that is available takes everything; when it has none, the next one.
 * 2. **Weight**: two candidates are drawn by weight; an endpoint that has just returned counts less (slow start).
 * 3. **Load**: of the two, the one with fewer requests under way. So a slow endpoint gets less without being judged.
 *
 * Panic: when no endpoint is available in any tier, health is ignored and all of them are candidates, because a wrong
 * judgement must not be what stops traffic. What a dead upstream costs is then bounded by `reachability.ts`.
 */

/** An endpoint as the balancer sees it. */
export interface Candidate {
  /** Lower ones come first. */
  readonly priority: number;
  readonly weight: number;
  readonly inFlight: number;
  /** Share of its weight an endpoint counts with, above 0 to 1; below 1 after it returned. */
  warmth(nowMs: number): number;
  /** Whether requests should be sent to it now. */
  isAvailable(nowMs: number): boolean;
}

/**
 * Picks an endpoint; null when there is none that was not tried.
 *
 * @param tried endpoints this request has failed on
 */
export function pickEndpoint<E extends Candidate>(
  endpoints: readonly E[],
  tried: readonly E[],
  nowMs: number,
  random: () => number,
): E | null {
  if (endpoints.length === 1) return tried.length === 0 ? endpoints[0]! : null;
  const candidates = available(endpoints, tried, nowMs);
  if (candidates.length <= 1) return candidates[0] ?? null;
  const first = draw(candidates, nowMs, random);
  const second = draw(candidates, nowMs, random);
  return second.inFlight < first.inFlight ? second : first;
}

/** Whether no endpoint is available, so that all are used. */
export function isPanic(endpoints: readonly Candidate[], nowMs: number): boolean {
  return !endpoints.some((endpoint) => endpoint.isAvailable(nowMs));
}

/** Endpoints of the first tier with one that is available; in panic all; without those that were tried. */
function available<E extends Candidate>(endpoints: readonly E[], tried: readonly E[], nowMs: number): E[] {
  let tier = Infinity;
  for (const endpoint of endpoints) {
    if (endpoint.priority < tier && endpoint.isAvailable(nowMs) && !tried.includes(endpoint)) {
      tier = endpoint.priority;
    }
  }
  if (tier < Infinity) {
    return endpoints.filter((endpoint) =>
      endpoint.priority === tier && endpoint.isAvailable(nowMs) && !tried.includes(endpoint)
    );
  }
  // Those that failed this request are the only ones available: another try would fail as well.
  return isPanic(endpoints, nowMs) ? endpoints.filter((endpoint) => !tried.includes(endpoint)) : [];
}

function draw<E extends Candidate>(candidates: readonly E[], nowMs: number, random: () => number): E {
  let total = 0;
  for (const candidate of candidates) total += candidate.weight * candidate.warmth(nowMs);
  let at = random() * total;
  for (const candidate of candidates) {
    at -= candidate.weight * candidate.warmth(nowMs);
    if (at < 0) return candidate;
  }
  return candidates.at(-1)!;
}
