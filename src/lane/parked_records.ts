/**
 * Records that wait for another try: where they lie on disk and when they are due, not their bodies; and how many of each project.
 *
 * A binary heap by due time, so that the cost per record does not grow with how many wait.
 */
import type { RecordPosition } from "../spool/partition_reader.ts";

/** What happened to a record so far. */
export interface RecordHistory {
  /** Tries that failed. */
  readonly attempts: number;
  /** How many of them were server errors. */
  readonly serverErrors: number;
  /** What limits took out of the record has been counted already. */
  readonly isCounted: boolean;
  /** What filters, sampling and quotas left, once they have been asked; they are asked once. */
  readonly policedItems: readonly PolicedItem[] | null;
}

/** An item that policy left of a record. */
export interface PolicedItem {
  readonly index: number;
  /** What is left of a container, by index; `null` for all. */
  readonly elements: readonly number[] | null;
}

/** One waiting record. */
export interface ParkedRecord {
  readonly position: RecordPosition;
  readonly projectHash: number;
  /** Monotonic time, ms. */
  readonly dueMs: number;
  readonly history: RecordHistory;
}

/** What is kept of a record that is read again; what was decided and counted is not to be so twice. */
export function parkedRecord(
  { position, record, attempts, serverErrors, isCounted, policedItems }: RecordHistory & {
    readonly position: RecordPosition;
    readonly record: { readonly projectHash: number };
  },
  dueMs: number,
): ParkedRecord {
  const history = { attempts, serverErrors, isCounted, policedItems };
  return { position, projectHash: record.projectHash, dueMs, history };
}

/** Heap of parked records, the one due first on top. */
export class ParkedRecords {
  readonly #heap: ParkedRecord[] = [];
  readonly #byProject = new Map<number, number>();

  get size(): number {
    return this.#heap.length;
  }

  /** How many of a project wait. */
  countOf(projectHash: number): number {
    return this.#byProject.get(projectHash) ?? 0;
  }

  /** When the first record is due; `Infinity` when none waits. */
  get nextDueMs(): number {
    return this.#heap[0]?.dueMs ?? Infinity;
  }

  push(record: ParkedRecord): void {
    const heap = this.#heap;
    this.#byProject.set(record.projectHash, this.countOf(record.projectHash) + 1);
    let at = heap.push(record) - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (heap[parent]!.dueMs <= record.dueMs) break;
      heap[at] = heap[parent]!;
      at = parent;
    }
    heap[at] = record;
  }

  /** Takes the first record that is due at `nowMs`, or `null`. */
  take(nowMs: number): ParkedRecord | null {
    const heap = this.#heap;
    const first = heap[0];
    if (!first || first.dueMs > nowMs) return null;
    const last = heap.pop()!;
    if (heap.length > 0) this.#sink(last);
    const left = this.countOf(first.projectHash) - 1;
    if (left > 0) this.#byProject.set(first.projectHash, left);
    else this.#byProject.delete(first.projectHash);
    return first;
  }

  #sink(record: ParkedRecord): void {
    const heap = this.#heap;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && heap[child + 1]!.dueMs < heap[child]!.dueMs) child++;
      if (heap[child]!.dueMs >= record.dueMs) break;
      heap[at] = heap[child]!;
      at = child;
    }
    heap[at] = record;
  }
}
