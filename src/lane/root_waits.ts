import type { ParkedRecord } from "./parked_records.ts";

/** Longest time in which records wait for one project. */
const WAIT_MS = 60_000;
/** Most projects that are waited for, and most that were given up. */
const KEYS_MAX = 10_000;
/** Most records of one project that wait. */
const RECORDS_PER_PROJECT = 4096;
/** Most records that wait. */
const RECORDS_MAX = 50_000;

type Waiting = Omit<ParkedRecord, "dueMs">;

/** Records that wait for one project. */
interface Root {
  /** Monotonic, ms. */
  readonly untilMs: number;
  readonly records: Waiting[];
}

/**
 * Transactions whose own project is known, and that wait for the state of the project their trace began in, the root,
 * which says what is sampled (control reference, sections 4 and 8).
 *
 * Unlike a project of one's own that is not known, an unknown root must not stop what came after: whatever an envelope
 * names as its root holds back that envelope alone, and not for long. Limits: the first record that waits for a root
 * starts {@link WAIT_MS}. After that, beyond {@link KEYS_MAX} roots, {@link RECORDS_PER_PROJECT} records of a project or
 * {@link RECORDS_MAX} in all, records go on as if the root were known not to sample, until its state comes.
 */
export class RootWaits {
  /** By key of the root, the one that ends first at the front. */
  readonly #roots = new Map<string, Root>();
  readonly #givenUp = new Set<string>();
  readonly #byProject = new Map<number, number>();
  #size = 0;

  /** Records that wait. */
  get size(): number {
    return this.#size;
  }

  /** How many of a project wait. */
  countOf(projectHash: number): number {
    return this.#byProject.get(projectHash) ?? 0;
  }

  /** When the next wait ends whatever is known by then; `Infinity` when nothing waits. */
  get nextDueMs(): number {
    const [first] = this.#roots.values();
    return first?.untilMs ?? Infinity;
  }

  /** Lets a record wait for the state of `key`; false when it is not to wait any longer. */
  add(key: string, record: Waiting, nowMs: number): boolean {
    if (this.#givenUp.has(key) || this.#size >= RECORDS_MAX) return false;
    if (this.countOf(record.projectHash) >= RECORDS_PER_PROJECT) return false;
    let root = this.#roots.get(key);
    if (!root) {
      if (this.#roots.size >= KEYS_MAX) return false;
      root = { untilMs: nowMs + WAIT_MS, records: [] };
      this.#roots.set(key, root);
    }
    root.records.push(record);
    this.#size++;
    this.#byProject.set(record.projectHash, this.countOf(record.projectHash) + 1);
    return true;
  }

  /** Takes out what waits for roots that are no longer pending; the other keys are passed to `onPending`. */
  takeKnown(isPending: (key: string) => boolean, onPending: (key: string) => void): Waiting[] {
    for (const key of this.#givenUp) if (!isPending(key)) this.#givenUp.delete(key);
    const known: (readonly Waiting[])[] = [];
    for (const [key, root] of this.#roots) {
      if (isPending(key)) onPending(key);
      else known.push(this.#take(key, root));
    }
    return known.flat();
  }

  /** Takes out what has waited for long enough. */
  takeOverdue(nowMs: number): Waiting[] {
    const overdue: (readonly Waiting[])[] = [];
    for (const [key, root] of this.#roots) {
      if (root.untilMs > nowMs) break;
      overdue.push(this.#take(key, root));
      if (this.#givenUp.size >= KEYS_MAX) this.#givenUp.delete(this.#givenUp.values().next().value!);
      this.#givenUp.add(key);
    }
    return overdue.flat();
  }

  #take(key: string, { records }: Root): readonly Waiting[] {
    this.#roots.delete(key);
    this.#size -= records.length;
    for (const { projectHash } of records) {
      const left = this.countOf(projectHash) - 1;
      if (left > 0) this.#byProject.set(projectHash, left);
      else this.#byProject.delete(projectHash);
    }
    return records;
  }
}
