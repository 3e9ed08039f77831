/**
 * What a node knows of a project, from the configuration document Sentry hands to relays.
 *
 * Source: control reference, section 4. Fields a node does not use are ignored, whatever they hold; a field it does use
 * has to have the documented type, or the whole document is refused.
 */
import { z } from "zod";
import { type FilterSettings, filterSettingsDocument } from "./filters/filter_settings.ts";
import {
  type BlockingQuota,
  type CountedQuota,
  quotaDocument,
  quotasOf,
  type ScopeIds,
} from "./quotas/quota.ts";
import { type SamplingConfig, samplingConfig, samplingDocument } from "./sampling/sampling_config.ts";

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
  config: z.preprocess(
    withSampling,
    z.object({
      allowedDomains: z.array(z.string()).default(["*"]),
      quotas: z.array(quotaDocument).default([]),
      features: z.array(z.string()).nullish(),
      filterSettings: filterSettingsDocument.nullish(),
      sampling: samplingDocument,
      trustedRelays: z.array(z.string()).nullish(),
      trustedRelaySettings: z.object({
        verifySignature: z.enum(["enabled", "disabled"]).default("disabled"),
      }).nullish(),
    }),
  ).prefault({}),
});

/** What a document says, with defaults. */
export type ProjectDocument = z.output<typeof projectDocument>;

/** `sampling` has an older name. */
function withSampling(config: unknown): unknown {
  if (typeof config !== "object" || config === null || "sampling" in config) return config;
  return "dynamicSampling" in config ? { ...config, sampling: config.dynamicSampling } : config;
}

/** State of one public key. Plain data: it is posted to the lanes as it is. */
export interface ProjectState {
  readonly disabled: boolean;
  /** `null` when the document does not say. */
  readonly projectId: string | null;
  readonly organizationId: string | null;
  /** Numeric id of the key. */
  readonly keyId: string | null;
  readonly allowedDomains: readonly string[];
  readonly blockingQuotas: readonly BlockingQuota[];
  readonly countedQuotas: readonly CountedQuota[];
  /** Names of features that are on for the project. */
  readonly features: readonly string[];
  readonly filters: FilterSettings | null;
  readonly sampling: SamplingConfig | null;
  /** Public keys of the relays that may send for it; `null` when everybody may. */
  readonly trustedSenders: readonly string[] | null;
}

/** Whom the counted quotas of a key are shared by. */
export function scopeIdsOf(key: string, { projectId, organizationId, keyId }: ProjectState): ScopeIds {
  return { organization: organizationId ?? projectId, project: projectId, key: keyId ?? key };
}

/** The states a document describes, one per public key. A key that is not enabled counts as disabled. */
export function projectStates(
  document: ProjectDocument,
  projectId: string | null = document.projectId ?? null,
): [key: string, state: ProjectState][] {
  return document.publicKeys.map(({ publicKey, numericId, isEnabled }) => {
    const { allowedDomains, quotas, features, filterSettings, sampling } = document.config;
    const { trustedRelays, trustedRelaySettings } = document.config;
    const ids: ScopeIds = {
      organization: document.organizationId ?? null,
      project: projectId,
      key: numericId ?? null,
    };
    const { blocking, counted } = quotasOf(quotas, ids);
    return [publicKey, {
      disabled: document.disabled || !isEnabled,
      projectId,
      organizationId: ids.organization,
      keyId: ids.key,
      allowedDomains,
      blockingQuotas: blocking,
      countedQuotas: counted,
      features: features ?? [],
      filters: filterSettings ?? null,
      sampling: samplingConfig(sampling),
      trustedSenders: trustedRelaySettings?.verifySignature === "enabled" ? trustedRelays ?? [] : null,
    }];
  });
}
