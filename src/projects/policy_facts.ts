/**
 * What a node knows that decides about the envelopes of one project, as data: what `landfall explain` asks a running node
 * for, or finds on the disk of a stopped one, and asks the checks about.
 */
import type { ItemLimits } from "../protocol/item_limits.ts";
import { Admission } from "./admission.ts";
import { ItemPolicy } from "./item_policy.ts";
import type { KeptLimits } from "./kept_limits.ts";
import { scopeIdsOf } from "./project_state.ts";
import { type ProjectSnapshot, ProjectTable } from "./project_table.ts";
import { QuotaCounters, type QuotaStanding } from "./quotas/quota_counters.ts";
import { RateLimitTable } from "./rate_limit_table.ts";
import type { RelaySenders } from "./sender_check.ts";

/** The facts. Plain data; holds no secrets. */
export interface PolicyFacts {
  /** The project, and the one its trace began in. */
  readonly projects: ProjectSnapshot;
  /** Limits that were learned from the upstream and hold for the project. */
  readonly limits: readonly KeptLimits[];
  /** How its quotas stand; those that are not listed have counted nothing. */
  readonly quotas: readonly QuotaStanding[];
  readonly senders: RelaySenders;
  readonly itemLimits: ItemLimits;
  readonly acceptUnknownItems: boolean;
  /** What else an operator should know, in words. */
  readonly notes: readonly string[];
}

/** Where limits that hold for a key stand. */
export function limitsOf(
  key: string,
  { states }: ProjectSnapshot,
  table: RateLimitTable,
  nowMs: number,
): KeptLimits[] {
  const state = states.find(([owner]) => owner === key)?.[1];
  const shared = (["project", "organization"] as const).flatMap((scope) => {
    const id = state?.[`${scope}Id`] ?? null;
    return id === null ? [] : [`${scope}:${id}`];
  });
  return [key, ...shared].map((owner) => ({ owner, limits: table.active(owner, nowMs) }))
    .filter(({ limits }) => limits.length > 0);
}

/** How the quotas of a key stand. */
export function standingsOf(
  key: string,
  { states }: ProjectSnapshot,
  counters: QuotaCounters,
  nowMs: number,
): QuotaStanding[] {
  const state = states.find(([owner]) => owner === key)?.[1];
  if (!state) return [];
  const ids = scopeIdsOf(key, state);
  return state.countedQuotas.map((quota) => counters.standing(quota, ids, nowMs));
}

/** The checks by these facts. What they count is counted nowhere else. */
export function policyBy(
  { projects, limits, quotas, senders }: PolicyFacts,
  nowMs: number,
): { readonly admission: Admission; readonly policy: ItemPolicy } {
  const table = new ProjectTable(projects);
  const learned = new RateLimitTable();
  for (const known of limits) learned.learn(known.owner, known.limits, nowMs);
  const counters = new QuotaCounters();
  for (const standing of quotas) counters.restore(standing, nowMs);
  return {
    admission: new Admission(table, learned, senders),
    policy: new ItemPolicy(counters, () => table.global.filters),
  };
}
