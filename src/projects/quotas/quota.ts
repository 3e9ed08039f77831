/**
 * Quotas of a project: what may be sent per window of time, by category and by whom.
 *
 * Source: control reference, section 6 ("Quota JSON"). Relay itself can enforce only those of limit 0; a node counts,
 * too (`quota_counters.ts`).
 */
import { z } from "zod";
import { type DataCategory, dataCategory } from "../../protocol/data_category.ts";

/** Part of the project document. */
export const quotaDocument = z.object({
  id: z.string().nullish(),
  categories: z.array(z.string()).default([]),
  scope: z.string().default("organization"),
  scopeId: z.union([z.string(), z.number().transform(String)]).nullish(),
  limit: z.number().int().nonnegative().nullish(),
  window: z.number().int().positive().nullish(),
  namespace: z.string().nullish(),
  reasonCode: z.string().nullish(),
  dimensions: z.unknown().optional(),
});

/** Whom a quota is shared by. */
export type QuotaScope = "organization" | "project" | "key";

/** Ids of an organisation, a project and a key, as far as they are known. */
export type ScopeIds = Readonly<Record<QuotaScope, string | null>>;

/** What quotas of all kinds say. */
interface Quota {
  /** Empty means all. */
  readonly categories: readonly DataCategory[];
  readonly scope: QuotaScope;
  readonly reason: string | null;
}

/** A quota that admits nothing (`limit: 0`). */
export interface BlockingQuota extends Quota {
  /** Metric namespaces it is restricted to; empty for no restriction. */
  readonly namespaces: readonly string[];
}

/** A quota that admits `limit` per window. */
export interface CountedQuota extends Quota {
  /** Names the counter among those of the same scope. */
  readonly id: string;
  readonly limit: number;
  readonly windowSeconds: number;
}

/** Quotas of a project, apart. Plain data. */
export interface Quotas {
  readonly blocking: readonly BlockingQuota[];
  readonly counted: readonly CountedQuota[];
}

/** Namespaces of metrics; a quota on another one is invalid. */
const NAMESPACES: ReadonlySet<string> = new Set([
  "custom",
  "outcomes",
  "sessions",
  "spans",
  "transactions",
]);

/**
 * The quotas that hold for one key; invalid ones, those of others and those without a limit are left out.
 *
 * So are those with `dimensions`, which hold for a part of the data that a relay cannot tell apart: enforced without
 * them they would refuse too much, and the upstream enforces them anyway. One with a namespace holds for metric buckets
 * alone, which a node announces limits for and does not count.
 */
export function quotasOf(documents: readonly z.output<typeof quotaDocument>[], ids: ScopeIds): Quotas {
  const blocking: BlockingQuota[] = [];
  const counted: CountedQuota[] = [];
  for (const document of documents) {
    const { limit, window, scope, namespace = null, reasonCode, dimensions } = document;
    if (limit === null || limit === undefined || hasEntries(dimensions) || !matches(document, ids)) continue;
    if (namespace !== null && !NAMESPACES.has(namespace)) continue;
    const categories = document.categories.map(dataCategory).filter((category) => category !== "unknown");
    if (document.categories.length > 0 && categories.length === 0) continue;
    const quota = { categories, scope: levelOf(scope) ?? "key", reason: reasonCode ?? null };
    if (limit === 0) blocking.push({ ...quota, namespaces: namespace === null ? [] : [namespace] });
    else if (window && namespace === null && haveOneUnit(categories)) {
      const id = document.id || [...categories].sort().join(";");
      counted.push({ ...quota, id, limit, windowSeconds: window });
    }
  }
  return { blocking, counted };
}

/** Whether dimensions are stated, in whatever form. */
function hasEntries(dimensions: unknown): boolean {
  if (dimensions === undefined || dimensions === null) return false;
  return typeof dimensions !== "object" || Object.keys(dimensions).length > 0;
}

function levelOf(scope: string): QuotaScope | null {
  return scope === "organization" || scope === "project" || scope === "key" ? scope : null;
}

/** An unknown scope holds for the key, unless it names whose it is. */
function matches(
  { scope, scopeId }: Pick<z.output<typeof quotaDocument>, "scope" | "scopeId">,
  ids: ScopeIds,
): boolean {
  if (scopeId === undefined || scopeId === null) return true;
  const level = levelOf(scope);
  return level !== null && /^\d+$/.test(scopeId) && ids[level] === scopeId;
}

type Unit = "bytes" | "milliseconds" | "count";

function unitOf(category: DataCategory): Unit {
  if (category === "attachment" || category.endsWith("_byte")) return "bytes";
  return category.startsWith("profile_duration") ? "milliseconds" : "count";
}

/** What is counted together must be of one kind; a quota on everything could not be. */
function haveOneUnit(categories: readonly DataCategory[]): boolean {
  return new Set(categories.map(unitOf)).size === 1;
}
