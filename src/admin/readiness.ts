/**
 * Whether a node can take traffic, as named probes. An upstream that is down is in none of them: that is what the spool
 * is for.
 */

/** Outcome of one probe. */
export interface Probe {
  readonly name: "lanes" | "registration" | "disk" | "spool" | "space" | "memory" | "draining";
  readonly ok: boolean;
  /** What is wrong, for people; absent when nothing is. */
  readonly problem?: string;
}

/** What the probes look at. */
export interface ReadinessFacts {
  readonly lanesUp: boolean;
  /** Why the node may not count as registered; null when it does, or need not. */
  readonly registrationProblem: string | null;
  readonly diskRefuses: boolean;
  readonly spoolFull: boolean;
  readonly spaceLow: boolean;
  readonly memoryUsedUp: boolean;
  readonly draining: boolean;
}

/** All probes, always in the same order. */
export function readinessProbes(facts: ReadinessFacts): Probe[] {
  const probe = (name: Probe["name"], problem: string | false | null): Probe =>
    problem ? { name, ok: false, problem } : { name, ok: true };
  return [
    probe("lanes", !facts.lanesUp && "a lane restarts"),
    probe("registration", facts.registrationProblem),
    probe("disk", facts.diskRefuses && "the disk refuses writes"),
    probe("spool", facts.spoolFull && "the spool is full"),
    probe("space", facts.spaceLow && "too little is free on the spool's volume"),
    probe("memory", facts.memoryUsedUp && "memory is used up"),
    probe("draining", facts.draining && "the node is stopping"),
  ];
}
