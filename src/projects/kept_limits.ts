/**
 * The form in which learned limits are kept over a restart.
 *
 * With them stands when they were written: a clock that was set back while the node was down shows by standing before that
 * moment, and then a limit holds for what was left of it then. So from a start on no limit holds for longer than it was
 * announced for.
 */
import { z } from "zod";
import { dataCategory } from "../protocol/data_category.ts";
import type { RateLimit } from "../protocol/rate_limit.ts";

/** Longest a limit read back is believed, so that a clock that was wrong then does not shut a project out for good. */
const LIMIT_MS_MAX = 24 * 3600 * 1000;

const schema = z.object({
  keptAtMs: z.number(),
  owners: z.array(z.object({
    owner: z.string(),
    limits: z.array(z.object({
      categories: z.array(z.string()),
      scope: z.enum(["organization", "project", "key"]),
      reason: z.string().nullable(),
      namespaces: z.array(z.string()),
      expiresAtMs: z.number(),
    })),
  })),
});

/** Limits of one owner (`rate_limit_table.ts`). */
export interface KeptLimits {
  readonly owner: string;
  readonly limits: readonly RateLimit[];
}

/** What to keep, as of now; JSON. */
export function keptLimits(
  owners: Iterable<KeptLimits>,
  nowMs: number,
): { readonly keptAtMs: number; readonly owners: readonly KeptLimits[] } {
  return { keptAtMs: nowMs, owners: [...owners] };
}

/** What was kept and has not expired; nothing when it is damaged. */
export function readKeptLimits(raw: unknown, nowMs: number): KeptLimits[] {
  const read = schema.safeParse(raw);
  if (!read.success) return [];
  const backMs = Math.max(0, read.data.keptAtMs - nowMs);
  return read.data.owners.map(({ owner, limits }) => ({
    owner,
    limits: limits.map((limit) => ({
      ...limit,
      categories: limit.categories.map(dataCategory),
      expiresAtMs: Math.min(limit.expiresAtMs - backMs, nowMs + LIMIT_MS_MAX),
    })).filter(({ expiresAtMs }) => expiresAtMs > nowMs),
  })).filter(({ limits }) => limits.length > 0);
}
