/**
 * The one place where a half of a lane accounts for what did not reach the upstream: in metrics at once, and added up
 * for the client reports that tell the upstream.
 *
 * The upstream is told what it cannot know: what was filtered, limited, or refused here (control reference, section
 * 10), also for reasons a Relay keeps to itself. It is not told what it said itself (answers with 429 or another refusal),
 * nor about projects it does not have.
 *
 * Limits: {@link SUMS_MAX} sums of different project, reason and category between two reports; what comes on top is in the
 * metrics alone, and counted there as unreported.
 */
import type { DataCategory } from "../protocol/data_category.ts";
import type { Quantity } from "../protocol/item_type.ts";
import type { Outcome } from "../protocol/outcome.ts";
import { METRICS } from "../telemetry/catalogue.ts";
import type { Metrics } from "../telemetry/registry.ts";
import { countOutcomes } from "./count_outcomes.ts";

const SUMS_MAX = 20_000;
/** Longest reason that is kept; they come from project settings and upstreams. */
const REASON_CHARS_MAX = 100;

/** Whom an outcome belongs to. */
export interface OutcomeScope {
  /** Public key. */
  readonly key: string;
  /** Empty when it is not known; then nobody can be told. */
  readonly projectId: string;
}

/** A sum of one project, outcome, reason and category. Plain data. */
export interface OutcomeSum extends OutcomeScope {
  readonly outcome: Outcome;
  readonly reason: string;
  readonly category: DataCategory;
  readonly quantity: number;
}

/** Reasons that are not told to the upstream: it has no such project, or said so itself. */
const UNTOLD: ReadonlySet<string> = new Set(["project_id", "upstream_rejected", "upstream_error"]);

/** Accounts of one half. */
export class OutcomeLedger {
  readonly #sums = new Map<string, { sum: Omit<OutcomeSum, "quantity">; quantity: number }>();

  /** @param isReporting whether the upstream is to be told */
  constructor(readonly metrics: Metrics, private readonly isReporting: boolean) {}

  /** Accounts for something the upstream has to be told. */
  count(scope: OutcomeScope, outcome: Outcome, reason: string, quantities: readonly Quantity[]): void {
    countOutcomes(this.metrics, outcome, reason, quantities);
    if (UNTOLD.has(reason)) return;
    for (const [category, quantity] of quantities) {
      this.#add({ ...scopeOf(scope), outcome, reason, category, quantity });
    }
  }

  /** Accounts for something the upstream knows already, or nobody has to know. */
  countHere(outcome: Outcome, reason: string, quantities: readonly Quantity[]): void {
    countOutcomes(this.metrics, outcome, reason, quantities);
  }

  /** Takes over what another half has counted. */
  include(sums: readonly OutcomeSum[]): void {
    for (const sum of sums) this.#add(sum);
  }

  /** What has come together since the last time. */
  take(): OutcomeSum[] {
    const sums = [...this.#sums.values()].map(({ sum, quantity }) => ({ ...sum, quantity }));
    this.#sums.clear();
    return sums;
  }

  #add({ quantity, ...sum }: OutcomeSum): void {
    if (!this.isReporting || sum.projectId === "" || sum.outcome === "accepted") return;
    const reason = sum.reason.slice(0, REASON_CHARS_MAX);
    const id = `${sum.key} ${sum.projectId} ${sum.outcome} ${sum.category} ${reason}`;
    const known = this.#sums.get(id);
    if (known) known.quantity += quantity;
    else if (this.#sums.size < SUMS_MAX) this.#sums.set(id, { sum: { ...sum, reason }, quantity });
    else this.metrics.add(METRICS.outcomesUnreported, quantity);
  }
}

/** Scopes are often parts of something larger, which is not to be held on to. */
const scopeOf = ({ key, projectId }: OutcomeScope): OutcomeScope => ({ key, projectId });
