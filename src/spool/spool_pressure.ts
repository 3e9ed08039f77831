/**
 * How full the spool is, and what has to give way.
 *
 * A full spool must not cost errors because of replays: so what is large and what can be missed is refused first, as rate
 * limits that SDKs honour, and errors are taken until the last byte. Of the classes in `shed_class.ts` the bulky one is
 * refused from `bulkyShare` on, the costly one from `costlyShare`, the rest when it is full.
 *
 * If projects have a share of their own (`project_bytes.ts`), the same holds within it for each: one that has filled its share is
 * refused while there is room for all others.
 *
 * The time clients are told to wait follows the drain: what is above the threshold, divided by the rate at which the
 * spool has been emptying; within bounds, and the longest while it is not emptying at all.
 */
import type { Clock } from "../core/clock.ts";
import type { DataCategory } from "../protocol/data_category.ts";
import type { RateLimit } from "../protocol/rate_limit.ts";
import { BULKY_CATEGORIES, COSTLY_CATEGORIES } from "../protocol/shed_class.ts";
import type { DiskBudget } from "./disk_budget.ts";

const RETRY_MS_MIN = 10_000;
const RETRY_MS_MAX = 300_000;
/** Times between two looks at the fill level, from which the rate is taken. */
const SAMPLE_MS = 1000;
/** Weight of the newest sample. */
const SMOOTHING = 0.3;

const NONE: RateLimit[] = [];
/** What a limit has that comes from a project's share. */
const PROJECT = { scope: "project", reason: "project_share" } as const;

/** Options of {@link SpoolPressure}; shares are of the bound, 0 to 1. */
export interface SpoolPressureOptions {
  readonly budget: Pick<DiskBudget, "bytesUsed" | "bytesMax">;
  readonly clock: Clock;
  readonly bulkyShare: number;
  readonly costlyShare: number;
  /** What a project occupies, and the share of the bound that is one project's; null without such a share. */
  readonly projects?: { of(projectHash: number): number; readonly share: number } | null;
}

/** Fill level of the spool, or of one project's share. */
interface Level {
  readonly bytesUsed: number;
  readonly bytesMax: number;
}

/** Watches the fill level for one lane. */
export class SpoolPressure {
  readonly #o: SpoolPressureOptions;
  #sampledMs: number;
  #sampledBytes: number;
  /** Bytes per millisecond by which the spool has been emptying; negative while it fills. */
  #drainRate = 0;

  constructor(options: SpoolPressureOptions) {
    this.#o = options;
    this.#sampledMs = options.clock.monotonic();
    this.#sampledBytes = options.budget.bytesUsed;
  }

  /** Limits in force for a project at the present fill level; empty as long as there is room for everything. */
  limits(nowMs: number, projectHash: number): readonly RateLimit[] {
    const { budget, projects } = this.#o;
    const { bytesUsed, bytesMax } = budget;
    this.#sample(bytesUsed);
    const ofNode = this.#classLimits({ bytesUsed, bytesMax }, nowMs);
    if (!projects) return ofNode;
    const level = { bytesUsed: projects.of(projectHash), bytesMax: projects.share * bytesMax };
    const ofProject = this.#classLimits(level, nowMs);
    if (ofProject.length === 0) return ofNode;
    if (level.bytesUsed >= level.bytesMax) {
      ofProject.push(this.#limit([], level.bytesUsed - level.bytesMax, nowMs));
    }
    return [...ofNode, ...ofProject.map((limit) => ({ ...limit, ...PROJECT }))];
  }

  /** The limit for everything, when a record found no room. */
  fullLimit(nowMs: number): RateLimit {
    const { bytesMax } = this.#o.budget;
    return { ...this.#limit([], bytesMax * (1 - this.#o.costlyShare), nowMs), reason: "spool_full" };
  }

  #classLimits({ bytesUsed, bytesMax }: Level, nowMs: number): RateLimit[] {
    const { bulkyShare, costlyShare } = this.#o;
    if (bytesUsed < bulkyShare * bytesMax) return NONE;
    const limits = [this.#limit(BULKY_CATEGORIES, bytesUsed - bulkyShare * bytesMax, nowMs)];
    if (bytesUsed >= costlyShare * bytesMax) {
      limits.push(this.#limit(COSTLY_CATEGORIES, bytesUsed - costlyShare * bytesMax, nowMs));
    }
    return limits;
  }

  #limit(categories: readonly DataCategory[], excessBytes: number, nowMs: number): RateLimit {
    const waitMs = this.#drainRate > 0 ? excessBytes / this.#drainRate : RETRY_MS_MAX;
    return {
      categories,
      scope: "organization",
      reason: "spool_pressure",
      namespaces: [],
      expiresAtMs: nowMs + Math.min(RETRY_MS_MAX, Math.max(RETRY_MS_MIN, waitMs)),
    };
  }

  #sample(bytesUsed: number): void {
    const now = this.#o.clock.monotonic();
    const elapsedMs = now - this.#sampledMs;
    if (elapsedMs < SAMPLE_MS) return;
    const rate = (this.#sampledBytes - bytesUsed) / elapsedMs;
    this.#drainRate += SMOOTHING * (rate - this.#drainRate);
    this.#sampledMs = now;
    this.#sampledBytes = bytesUsed;
  }
}
