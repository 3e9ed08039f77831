/** What both halves of a lane share: what they need of the machine, and the policy they hold copies of. */
import type { Clock } from "../core/clock.ts";
import { Admission } from "../projects/admission.ts";
import { ProjectTable } from "../projects/project_table.ts";
import { RateLimitTable } from "../projects/rate_limit_table.ts";
import type { Storage } from "../spool/storage.ts";
import type { CommonOptions, ToHalf } from "./messages.ts";

/** What a half needs of the machine. */
export interface HalfDeps {
  readonly clock: Clock;
  readonly storage: Storage;
}

/** Policy of a half, as the control plane described it at the start. */
export function admissionOf({ projects, limits }: CommonOptions, nowMs: number): Admission {
  const table = new RateLimitTable();
  for (const learned of limits) table.learn(learned.key, learned.limits, nowMs);
  return new Admission(new ProjectTable(projects), table);
}

/** Brings a half's policy up to date; the control plane tells both halves of every lane. */
export function updatePolicy(
  admission: Admission,
  message: ToHalf & { readonly type: "projects" | "limits" },
  nowMs: number,
): void {
  if (message.type === "projects") admission.projects = new ProjectTable(message.snapshot);
  else admission.limits.learn(message.key, message.limits, nowMs);
}
