import type { PartitionReader } from "../spool/partition_reader.ts";
import { LargeTurns } from "./large_turns.ts";
import { type ParkedRecord, ParkedRecords } from "./parked_records.ts";
import { PostponedRecords } from "./postponed_records.ts";
import { RootWaits } from "./root_waits.ts";

/** Most records that wait. */
const WAITING_MAX = 100_000;
/** Waiting records of one project from which on it is on hold; those in flight then may come on top. */
const WAITING_PER_PROJECT = 64;

/**
 * Records that wait for another try, for room at their upstream, for the project their trace began in or, being large,
 * for their turn; they keep their place on disk and some 250 bytes of memory each.
 *
 * Limits: a project of which more than {@link WAITING_PER_PROJECT} wait is on hold until half of them do not. At most
 * {@link WAITING_MAX} wait; when that many projects fail, nothing new is to be read.
 */
export class WaitingRecords {
  readonly large: LargeTurns;
  readonly #parked = new ParkedRecords();
  readonly #postponed = new PostponedRecords();
  readonly #roots = new RootWaits();
  readonly #reader: Pick<PartitionReader, "hold" | "release">;
  /** Projects on hold because too many of their records wait. */
  readonly #crowded = new Set<number>();
  #onDue: (() => void) | null = null;

  /** @param largeMax most large records under way at once */
  constructor(reader: Pick<PartitionReader, "hold" | "release">, largeMax: () => number) {
    this.#reader = reader;
    this.large = new LargeTurns(largeMax);
  }

  /** Whether nothing more can wait. */
  get isFull(): boolean {
    return this.#parked.size + this.large.size + this.#roots.size >= WAITING_MAX;
  }

  /** Whether {@link WaitingRecords.take} has one at this monotonic time. */
  isDue(nowMs: number): boolean {
    return this.nextDueMs <= nowMs || this.large.isDue;
  }

  /** When the first record is due that waits for a time; `Infinity` when none does. */
  get nextDueMs(): number {
    return Math.min(this.#parked.nextDueMs, this.#roots.nextDueMs);
  }

  /** Calls `wake` at the next moment at which one may go earlier than its time says; null for nobody. */
  set onDue(wake: (() => void) | null) {
    this.#onDue = wake;
    this.large.onTurn = wake;
  }

  /** Lets a record wait until it is due. */
  park(record: ParkedRecord): void {
    this.#parked.push(record);
    this.#holdIfMany(record.projectHash);
  }

  /** Lets a large record wait for its turn. */
  awaitTurn(record: Omit<ParkedRecord, "dueMs">): void {
    this.large.wait(record);
    this.#holdIfMany(record.projectHash);
  }

  /** Lets a record wait for the state of the project its trace began in; false when it is not to wait any longer. */
  awaitRoot(key: string, record: Omit<ParkedRecord, "dueMs">, nowMs: number): boolean {
    return this.#roots.add(key, record, nowMs);
  }

  /** Lets go on what waited for roots that are no longer pending; the other keys are passed to `onPending`. */
  rootsChanged(isPending: (key: string) => boolean, onPending: (key: string) => void, nowMs: number): void {
    const known = this.#roots.takeKnown(isPending, onPending);
    for (const record of known) this.#parked.push({ ...record, dueMs: nowMs });
    if (known.length > 0) this.#onDue?.();
  }

  /** Lets a record wait until its upstream has room again, and its project with it. */
  postpone(record: ParkedRecord, upstream: string): void {
    this.#postponed.add(upstream, record);
    this.#reader.hold(record.projectHash);
  }

  /** Lets some of the records that wait for an upstream go on; false when none is left. */
  resume(upstream: string, nowMs: number): boolean {
    for (const record of this.#postponed.take(upstream)) {
      this.#parked.push({ ...record, dueMs: nowMs });
      if (!this.#crowded.has(record.projectHash)) this.#reader.release(record.projectHash);
    }
    return this.#postponed.has(upstream);
  }

  /** Takes one that may go, or null. */
  take(nowMs: number): ParkedRecord | null {
    for (const record of this.#roots.takeOverdue(nowMs)) this.#parked.push({ ...record, dueMs: nowMs });
    const record = this.large.take() ?? this.#parked.take(nowMs);
    const isOver = record && this.#crowded.has(record.projectHash) &&
      this.#countOf(record.projectHash) <= WAITING_PER_PROJECT / 2;
    if (isOver) this.release(record.projectHash);
    return record;
  }

  /** Ends the hold on a project; one that is held for another reason as well is found to be so again. */
  release(projectHash: number): void {
    this.#crowded.delete(projectHash);
    this.#reader.release(projectHash);
  }

  #countOf(projectHash: number): number {
    return this.#parked.countOf(projectHash) + this.large.countOf(projectHash);
  }

  #holdIfMany(projectHash: number): void {
    if (this.#countOf(projectHash) <= WAITING_PER_PROJECT || this.#crowded.has(projectHash)) return;
    this.#crowded.add(projectHash);
    this.#reader.hold(projectHash);
  }
}
