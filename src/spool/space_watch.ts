/**
 * Looks at the disk now and then: how much is free on the spool's volume, and whether the budget still says what is there.
 *
 * Free space: what may be taken before less than `freeBytesMin` is left goes into the budget, from which writers take
 * their share until the next look. So the bound holds between two looks as well, whoever else fills the volume.
 *
 * Drift: files that somebody else deletes, or a worker that died between reserving and writing, leave bytes in the budget
 * that are not on disk. Reservations under way look the same, but not for long: what is off at {@link DRIFT_LOOKS} looks
 * in a row is set right, by the least that it was off.
 */
import type { Clock } from "../core/clock.ts";
import { logger } from "../telemetry/log.ts";
import type { DiskBudget } from "./disk_budget.ts";
import { spoolBytes } from "./spool_folder.ts";
import { type Storage, StorageError } from "./storage.ts";

const LOOK_MS = 1000;
const DRIFT_LOOKS = 3;
/** Less than this is left alone. */
const DRIFT_BYTES_MIN = 1024 * 1024;
/** Looks at the free space for each one at all files. */
const LOOKS_PER_MEASURE = 20;

/** Options of {@link SpaceWatch}. */
export interface SpaceWatchOptions {
  readonly storage: Storage;
  /** Folders of all partitions. */
  readonly partitions: readonly string[];
  readonly budget: DiskBudget;
  /** Bytes to leave free on the volume; 0 for none. */
  readonly freeBytesMin: number;
}

/** Watches over the space of a node's spool. */
export class SpaceWatch {
  readonly #o: SpaceWatchOptions;
  #looks = 0;
  #drifts: number[] = [];
  #freeBytes: number | null = null;
  #hasFailed = false;

  constructor(options: SpaceWatchOptions) {
    this.#o = options;
  }

  /** Bytes free on the volume at the last look, or null when nothing is known. */
  get freeBytes(): number | null {
    return this.#freeBytes;
  }

  /** Whether no more may be written because too little is free. */
  get isLow(): boolean {
    const { freeBytesMin } = this.#o;
    return freeBytesMin > 0 && this.#freeBytes !== null && this.#freeBytes <= freeBytesMin;
  }

  /** Looks every second until `signal` aborts; by itself, so that a volume that hangs holds nothing else up. */
  async run(clock: Clock, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await clock.sleep(LOOK_MS, signal);
      if (!signal.aborted) await this.look();
    }
  }

  /** Looks once. Never rejects: a disk that fails is found out by writing. */
  async look(): Promise<void> {
    try {
      await this.#lookAtVolume();
      if (this.#looks++ % LOOKS_PER_MEASURE === 0) await this.#lookAtFiles();
      this.#hasFailed = false;
    } catch (error) {
      if (!(error instanceof StorageError)) throw error;
      if (!this.#hasFailed) logger("spool").warn("The space of the spool cannot be measured", { error });
      this.#hasFailed = true;
    }
  }

  async #lookAtVolume(): Promise<void> {
    const { storage, partitions, budget, freeBytesMin } = this.#o;
    this.#freeBytes = await storage.freeBytes(partitions[0]!);
    if (freeBytesMin > 0) budget.roomOnVolume = Math.max(0, this.#freeBytes - freeBytesMin);
  }

  async #lookAtFiles(): Promise<void> {
    const { storage, partitions, budget } = this.#o;
    const before = budget.bytesUsed;
    const measured = await spoolBytes(storage, partitions);
    this.#drifts.push(Math.min(before, budget.bytesUsed) - measured);
    if (this.#drifts.length < DRIFT_LOOKS) return;
    const least = Math.min(...this.#drifts);
    if (least < DRIFT_BYTES_MIN) return void this.#drifts.shift();
    budget.release(least);
    this.#drifts = [];
    logger("spool").warn("Bytes that are no longer on disk were given back to the budget", { bytes: least });
  }
}
