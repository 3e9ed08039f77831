/** The form in which learned limits are kept over a restart. */
import { z } from "zod";
import { dataCategory } from "../protocol/data_category.ts";
import type { RateLimit } from "../protocol/rate_limit.ts";

/** Longest a limit read back is believed, so that a clock that was wrong then does not shut a project out for good. */
const LIMIT_MS_MAX = 24 * 3600 * 1000;

const schema = z.array(z.object({
  owner: z.string(),
  limits: z.array(z.object({
    categories: z.array(z.string()),
    scope: z.enum(["organization", "project", "key"]),
    reason: z.string().nullable(),
    namespaces: z.array(z.string()),
    expiresAtMs: z.number(),
  })),
}));

/** Limits of one owner (`rate_limit_table.ts`). */
export interface KeptLimits {
  readonly owner: string;
  readonly limits: readonly RateLimit[];
}

/** What was kept and has not expired; nothing when it is damaged. */
export function readKeptLimits(raw: unknown, nowMs: number): KeptLimits[] {
  const read = schema.safeParse(raw);
  if (!read.success) return [];
  return read.data.map(({ owner, limits }) => ({
    owner,
    limits: limits.filter(({ expiresAtMs }) => expiresAtMs > nowMs).map((limit) => ({
      ...limit,
      categories: limit.categories.map(dataCategory),
      expiresAtMs: Math.min(limit.expiresAtMs, nowMs + LIMIT_MS_MAX),
    })),
  })).filter(({ limits }) => limits.length > 0);
}
