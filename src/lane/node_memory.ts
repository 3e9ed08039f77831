/**
 * What a node has learned and has to remember over a restart: limits of the upstream that hold, and outcomes that no
 * ingest half was there to report.
 */
import type { OutcomeSum } from "../outcomes/outcome_ledger.ts";
import { keptLimits, readKeptLimits } from "../projects/kept_limits.ts";
import { RateLimitTable } from "../projects/rate_limit_table.ts";
import { KeptFile } from "./kept_file.ts";
import type { LearnedLimits } from "./messages.ts";

/** Sums that are kept while no ingest half is there. */
const UNTOLD_MAX = 20_000;

/** Gives sums to an ingest half; false when none runs. */
export type Report = (sums: readonly OutcomeSum[]) => boolean;

/** Memory of the control plane. */
export class NodeMemory {
  readonly limits = new RateLimitTable();
  readonly #limitsFile: KeptFile;
  readonly #outcomesFile: KeptFile;
  #hasNewLimits = false;
  #untold: OutcomeSum[] = [];

  /** @param folder of the spool */
  constructor(folder: string) {
    this.#limitsFile = new KeptFile(folder, "limits.json");
    this.#outcomesFile = new KeptFile(folder, "outcomes.json");
  }

  /** Takes up what was written before. */
  recall(nowMs: number): void {
    for (const { owner, limits } of readKeptLimits(this.#limitsFile.read(), nowMs)) {
      this.limits.learn(owner, limits, nowMs);
    }
    const sums = this.#outcomesFile.read();
    this.#untold = Array.isArray(sums) ? sums : [];
  }

  learn({ owner, limits }: LearnedLimits, nowMs: number): void {
    this.limits.learn(owner, limits, nowMs);
    this.#hasNewLimits = true;
  }

  /** Outcomes of a forward half, for the ingest half of its lane, or any later on. */
  report(sums: readonly OutcomeSum[], report: Report): void {
    if (!report(sums) && this.#untold.length < UNTOLD_MAX) this.#untold.push(...sums);
  }

  /** Tells what was untold, and writes new limits. */
  tick(nowMs: number, report: Report): void {
    if (this.#untold.length > 0 && report(this.#untold)) {
      this.#untold = [];
      this.#outcomesFile.write(null);
    }
    this.#keepLimits(nowMs);
  }

  /** Writes everything. */
  close(nowMs: number): void {
    this.#keepLimits(nowMs);
    this.#outcomesFile.write(this.#untold.length > 0 ? this.#untold : null);
  }

  #keepLimits(nowMs: number): void {
    if (!this.#hasNewLimits) return;
    this.#hasNewLimits = false;
    this.#limitsFile.write(keptLimits(this.limits.all(nowMs), nowMs));
  }
}
