import { type ParkedRecord, ParkedRecords } from "./parked_records.ts";

/**
 * Whose turn it is among records whose bodies have files of their own.
 *
 * A body of 200 MiB may be under way for minutes. If such bodies could take all requests a lane may have under way, a slow
 * upstream would keep everything small waiting behind them; so only a share of the requests is theirs, and what is beyond it
 * waits here, in its order.
 */
export class LargeTurns {
  readonly #max: () => number;
  readonly #waiting = new ParkedRecords();
  #underWay = 0;
  #turns = 0;
  #onTurn: (() => void) | null = null;

  /** @param max most under way at once */
  constructor(max: () => number) {
    this.#max = max;
  }

  /** Whether one more may be under way. */
  get isFree(): boolean {
    return this.#underWay < this.#max();
  }

  /** Whether one that waits may go. */
  get isDue(): boolean {
    return this.#waiting.size > 0 && this.isFree;
  }

  /** Records that wait. */
  get size(): number {
    return this.#waiting.size;
  }

  /** How many of a project wait. */
  countOf(projectHash: number): number {
    return this.#waiting.countOf(projectHash);
  }

  /** Lets a record wait behind those that do already. */
  wait(record: Omit<ParkedRecord, "dueMs">): void {
    this.#waiting.push({ ...record, dueMs: this.#turns++ });
  }

  /** Takes the one that has waited longest, if it may go. */
  take(): ParkedRecord | null {
    return this.isFree ? this.#waiting.take(Infinity) : null;
  }

  /** One more is under way. */
  started(): void {
    this.#underWay++;
  }

  /** One is not under way any more. */
  ended(): void {
    this.#underWay--;
    if (this.isDue) this.#onTurn?.();
  }

  /** Calls `wake` at the next moment at which one that waits may go; null for nobody. */
  set onTurn(wake: (() => void) | null) {
    this.#onTurn = wake;
  }
}
