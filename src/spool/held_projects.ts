/**
 * Projects on hold: what is found of them is not handed out and not read again until they are released.
 *
 * Why: a project whose state is not known yet, or whose records fail for reasons of their own, may have a million
 * records waiting while everybody else's have to go on. So a record of a project on hold is only noted, as part of a stretch of
 * the log, and the walk goes on behind it.
 *
 * Limits: neighbouring records of a project share a stretch ({@link STRETCH_BYTES} bytes), however many they are; a
 * project takes some 300 bytes more. When {@link HELD_STRETCHES_MAX} stretches are waiting, of which a project on hold counts
 * as {@link PROJECT_WEIGHT}, reading waits too, until something is released, settled or too old; what is written meanwhile is
 * safe on disk.
 *
 * Age: a stretch spans at most 1/{@link SPANS} of the age limit. Once all of it is past the limit it is read again, and
 * its records are let through to whoever drops them; so no record is read again and again.
 */
import type { FoundRecord } from "./segment_walk.ts";
import { type RecordStretch, StretchList, type StretchPool } from "./stretch_list.ts";

/** Stretches that one reader keeps in memory. */
export const HELD_STRETCHES_MAX = 2_000_000;
/** Stretches that take as much memory as a project on hold. */
const PROJECT_WEIGHT = 8;
/** Parts of the age limit that one stretch may span. */
const SPANS = 64;
/** Times between two looks for what is too old, as long as that is short beside the age limit. */
const AGE_CHECK_MS = 60_000;

/** Options of {@link HeldProjects}. */
export interface HeldProjectsOptions {
  readonly pool: StretchPool;
  /** Age at which records are let through, ms. */
  readonly recordAgeMsMax: number;
  readonly stretchesMax: number;
}

/** What is held of which project. */
export class HeldProjects {
  readonly #o: HeldProjectsOptions;
  readonly #spanMs: number;
  readonly #lists = new Map<number, StretchList>();
  #records = 0;
  #nextCheckMs = -Infinity;

  constructor(options: HeldProjectsOptions) {
    this.#o = options;
    this.#spanMs = options.recordAgeMsMax / SPANS;
  }

  /** Projects on hold. */
  get projects(): number {
    return this.#lists.size;
  }

  /** Records of them that were found. */
  get records(): number {
    return this.#records;
  }

  /** Whether no more can be held. */
  get isFull(): boolean {
    return this.#o.pool.used + PROJECT_WEIGHT * this.#lists.size >= this.#o.stretchesMax;
  }

  has(projectHash: number): boolean {
    return this.#lists.has(projectHash);
  }

  /** Puts a project on hold, with what was found of it before, oldest first. */
  hold(projectHash: number, found: StretchList): void {
    this.#records += found.records;
    const list = this.#lists.get(projectHash);
    // What comes back was found before what has been held since.
    if (list) found.append(list);
    this.#lists.set(projectHash, found);
  }

  /** Takes a record if its project is on hold and it is not too old; both moments on the monotonic clock. */
  divert(found: FoundRecord, receivedMs: number, nowMs: number): boolean {
    const list = this.#lists.get(found.header.projectHash);
    if (!list) return false;
    if (nowMs - receivedMs > this.#o.recordAgeMsMax) return false;
    list.push(stretchOf(found, receivedMs), this.#spanMs);
    this.#records++;
    return true;
  }

  /** Ends the hold on a project; null if there is none. */
  release(projectHash: number): StretchList | null {
    const list = this.#lists.get(projectHash);
    if (!list) return null;
    this.#lists.delete(projectHash);
    this.#records -= list.records;
    return list;
  }

  /**
   * Takes what is past the age limit out of the lists, now and then. A project of which nothing is left is released.
   *
   * @param nowMs monotonic clock
   */
  takeExpired(nowMs: number, take: (projectHash: number, stretch: RecordStretch) => void): void {
    if (this.#lists.size === 0) return;
    const { recordAgeMsMax } = this.#o;
    if (nowMs < this.#nextCheckMs) return;
    this.#nextCheckMs = nowMs + Math.min(AGE_CHECK_MS, this.#spanMs);
    for (const [projectHash, list] of this.#lists) {
      for (;;) {
        const first = list.peek();
        if (!first || nowMs - first.oldestMs <= recordAgeMsMax + this.#spanMs) break;
        list.shift();
        this.#records -= first.records;
        if (list.length === 0) this.#lists.delete(projectHash);
        take(projectHash, first);
      }
    }
  }
}

/** A record as a stretch of its own. */
export function stretchOf(
  { segment, offset, bytes }: { readonly segment: number; readonly offset: number; readonly bytes: number },
  oldestMs: number,
): RecordStretch {
  return { segment, from: offset, to: offset + bytes, records: 1, oldestMs };
}
