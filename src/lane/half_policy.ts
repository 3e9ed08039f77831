/** What both halves of a lane share: what they need of the machine, and the policy they hold copies of. */
import type { Clock } from "../core/clock.ts";
import { Admission } from "../projects/admission.ts";
import { type ProjectChanges, ProjectTable } from "../projects/project_table.ts";
import { RateLimitTable } from "../projects/rate_limit_table.ts";
import type { Storage } from "../spool/storage.ts";
import type { CommonOptions, ToHalf } from "./messages.ts";

/** What a half needs of the machine. */
export interface HalfDeps {
  readonly clock: Clock;
  readonly storage: Storage;
}

/** Policy of a half, as the control plane described it at the start. */
export function admissionOf({ projects, limits, senders }: CommonOptions, nowMs: number): Admission {
  const table = new RateLimitTable();
  for (const learned of limits) table.learn(learned.owner, learned.limits, nowMs);
  return new Admission(new ProjectTable(projects), table, senders);
}

/** Messages that change the policy of a half. */
export type PolicyMessage = "projects" | "project_changes" | "global" | "limits";

/** Brings a half's policy up to date; the control plane tells both halves of every lane. */
export function updatePolicy(
  admission: Admission,
  message: ToHalf & { readonly type: PolicyMessage },
  nowMs: number,
): void {
  switch (message.type) {
    case "projects": {
      const { onStale } = admission.projects;
      admission.projects = new ProjectTable(message.snapshot);
      admission.projects.onStale = onStale;
      return;
    }
    case "project_changes":
      return admission.projects.apply(message.changes);
    case "global":
      admission.projects.global = message.config;
      return;
    case "limits":
      return admission.limits.learn(message.owner, message.limits, nowMs);
  }
}

/** The organisation a key belongs to, if its state is known and says so. */
export function organizationOf({ projects }: Admission, key: string): string | null {
  const project = projects.lookup(key);
  return project.kind === "known" ? project.state.organizationId : null;
}

/** Keys whose states have arrived. */
export function knownKeys({ states }: ProjectChanges): string[] {
  return states.map(([key]) => key);
}
