/**
 * What a node knows of a project, from the configuration document Sentry hands to relays.
 *
 * Source: control reference, section 4. Fields a node does not use are ignored, whatever they hold; a field it does use
 * has to have the documented type, or the whole document is refused.
 */
import { z } from "zod";
import { type DataCategory, dataCategory } from "../protocol/data_category.ts";

const quota = z.object({
  id: z.string().nullish(),
  categories: z.array(z.string()).default([]),
  scope: z.string().default("organization"),
  scopeId: z.union([z.string(), z.number().transform(String)]).nullish(),
  limit: z.number().int().nonnegative().nullish(),
  window: z.number().int().positive().nullish(),
  namespace: z.string().nullish(),
  reasonCode: z.string().nullish(),
});

/** Document of one project, as served by Sentry or written by hand to `projects/<id>.json`. */
export const projectDocument = z.object({
  disabled: z.boolean().default(false),
  projectId: z.union([z.number().int().nonnegative(), z.string().regex(/^\d+$/)]).transform(String).nullish(),
  organizationId: z.union([z.number(), z.string()]).transform(String).nullish(),
  slug: z.string().nullish(),
  publicKeys: z.array(z.object({
    publicKey: z.string().length(32, "a public key has 32 characters"),
    numericId: z.union([z.number(), z.string()]).transform(String).nullish(),
    isEnabled: z.boolean().default(true),
  })).default([]),
  config: z.object({
    allowedDomains: z.array(z.string()).default(["*"]),
    quotas: z.array(quota).default([]),
    features: z.array(z.string()).nullish(),
  }).prefault({}),
});

/** A quota that admits nothing (`limit: 0`): the only kind a relay without shared counters can enforce. */
export interface BlockingQuota {
  /** Empty means all. */
  readonly categories: readonly DataCategory[];
  readonly scope: "organization" | "project" | "key";
  readonly reason: string | null;
}

/** State of one public key. Plain data: it is posted to the lanes as it is. */
export interface ProjectState {
  readonly disabled: boolean;
  /** `null` when the document does not say. */
  readonly projectId: string | null;
  readonly allowedDomains: readonly string[];
  readonly blockingQuotas: readonly BlockingQuota[];
  /** Names of features that are on for the project. */
  readonly features: readonly string[];
}

/** The states a document describes, one per public key. A key that is not enabled counts as disabled. */
export function projectStates(
  document: z.output<typeof projectDocument>,
  projectId: string | null = document.projectId ?? null,
): [key: string, state: ProjectState][] {
  return document.publicKeys.map(({ publicKey, numericId, isEnabled }) => {
    const ids = {
      organization: document.organizationId ?? null,
      project: projectId,
      key: numericId ?? null,
    };
    return [publicKey, {
      disabled: document.disabled || !isEnabled,
      projectId,
      allowedDomains: document.config.allowedDomains,
      blockingQuotas: document.config.quotas.flatMap((entry) => blockingQuota(entry, ids) ?? []),
      features: document.config.features ?? [],
    }];
  });
}

/** Validity and matching as in section 6 of the control reference; `null` when the quota does not block here. */
function blockingQuota(
  { limit, categories, scope, scopeId, namespace, reasonCode }: z.output<typeof quota>,
  ids: Readonly<Record<"organization" | "project" | "key", string | null>>,
): BlockingQuota | null {
  if (limit !== 0 || namespace) return null;
  const level = scope === "organization" || scope === "project" || scope === "key" ? scope : null;
  if (scopeId !== undefined && scopeId !== null && (level === null || ids[level] !== scopeId)) return null;
  const known = categories.map(dataCategory).filter((category) => category !== "unknown");
  if (categories.length > 0 && known.length === 0) return null;
  return { categories: known, scope: level ?? "key", reason: reasonCode ?? null };
}
