/** What a node knows that decides about one project, gathered from its owners for `landfall explain`. */
import type { Clock } from "../core/clock.ts";
import type { LoadedConfig } from "../config/load_config.ts";
import type { ManagedMode } from "../control/managed_mode.ts";
import { limitsOf, type PolicyFacts, standingsOf } from "../projects/policy_facts.ts";
import type { QuotaCounters } from "../projects/quotas/quota_counters.ts";
import { policyOptions } from "./half_options.ts";
import type { NodeMemory } from "./node_memory.ts";
import type { ProjectDirectory } from "./project_directory.ts";

/** The owners that are asked. */
export interface PolicyOwners {
  readonly clock: Clock;
  readonly loaded: LoadedConfig;
  readonly projects: Pick<ProjectDirectory, "snapshotOf" | "fileOf">;
  readonly memory: Pick<NodeMemory, "limits">;
  readonly counters: QuotaCounters;
  /** Null in modes that ask nobody, and while the node is stopped. */
  readonly managed: Pick<ManagedMode, "problem" | "isHeld"> | null;
  readonly notes: readonly string[];
}

/**
 * What is known of a key.
 *
 * @param rootKey key of the project whose rules sample its trace, if that is another one
 */
export function policyFacts(
  key: string,
  rootKey: string | null,
  { clock, loaded, projects, memory, counters, managed, notes }: PolicyOwners,
): PolicyFacts {
  const nowMs = clock.now();
  const keys = rootKey === null || rootKey === key ? [key] : [key, rootKey];
  const snapshot = projects.snapshotOf(keys);
  const { config } = loaded;
  const told = [...heldNotes(managed), ...notes];
  for (const known of keys) {
    const file = projects.fileOf(known);
    if (file !== null) told.push(`projects/${file}.json says something of ${known}`);
    if (snapshot.stale?.includes(known)) {
      told.push(`the state of ${known} is stale: it is used, and fetched again when the next envelope comes`);
    }
  }
  return {
    projects: snapshot,
    limits: limitsOf(key, snapshot, memory.limits, nowMs),
    quotas: standingsOf(key, snapshot, counters, nowMs),
    senders: policyOptions(loaded).senders,
    itemLimits: config.limits,
    acceptUnknownItems: config.routing.acceptUnknownItems,
    notes: told,
  };
}

function heldNotes(managed: PolicyOwners["managed"]): string[] {
  if (!managed?.isHeld) return [];
  return [`nothing is forwarded: ${managed.problem ?? "the global configuration is not known yet"}`];
}
