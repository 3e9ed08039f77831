/**
 * What the disk failed to read, to be tried again.
 *
 * Why: a disk that fails for a while must not keep what waits on it until somebody restarts the node, and one that fails for
 * good must not be asked so often that others wait for it, since each failing read costs a reader its pause. So everything
 * is tried again after {@link PAUSE_MS_MIN}, and after twice as long each time that did not help, up to
 * {@link PAUSE_MS_MAX}.
 */
import type { Clock } from "../core/clock.ts";
import { METRICS } from "../telemetry/catalogue.ts";
import type { Metrics } from "../telemetry/registry.ts";
import type { ControlBlock } from "./control_block.ts";
import { segmentPath } from "./segment_name.ts";
import type { SpoolLoss, Stretch } from "./segment_walk.ts";
import { type Storage, StorageError } from "./storage.ts";

const PAUSE_MS_MIN = 30_000;
const PAUSE_MS_MAX = 3_600_000;

/** Options of {@link UnreadableStretches}. */
export interface UnreadableStretchesOptions {
  readonly storage: Storage;
  readonly folder: string;
  readonly control: ControlBlock;
  readonly clock: Clock;
  readonly metrics: Metrics;
}

/** Stretches of one partition. */
export class UnreadableStretches {
  readonly #o: UnreadableStretchesOptions;
  #stretches: Pick<SpoolLoss, "segment" | "offset" | "bytes">[] = [];
  #pauseMs = PAUSE_MS_MIN;
  /** Monotonic, ms. */
  #dueMs = Infinity;
  #takenMs = -Infinity;

  constructor(options: UnreadableStretchesOptions) {
    this.#o = options;
    this.#report();
  }

  /** Whether it is time to try again. */
  get isDue(): boolean {
    return this.#dueMs < Infinity && this.#o.clock.monotonic() >= this.#dueMs;
  }

  /** Notes what could not be read. */
  add({ segment, offset, bytes }: Pick<SpoolLoss, "segment" | "offset" | "bytes">): void {
    if (this.#stretches.length === 0) {
      const nowMs = this.#o.clock.monotonic();
      const isAgain = nowMs - this.#takenMs < 2 * this.#pauseMs;
      this.#pauseMs = isAgain ? Math.min(2 * this.#pauseMs, PAUSE_MS_MAX) : PAUSE_MS_MIN;
      this.#dueMs = nowMs + this.#pauseMs;
    }
    this.#stretches.push({ segment, offset, bytes });
    this.#report();
  }

  /** Takes all of them out; those of which the disk says nothing yet stay for later. */
  async take(): Promise<Stretch[]> {
    const { clock, control } = this.#o;
    const tried = this.#stretches;
    this.#stretches = [];
    this.#dueMs = Infinity;
    this.#takenMs = clock.monotonic();
    const found: Stretch[] = [];
    for (const stretch of tried) {
      const { segment, offset: from, bytes } = stretch;
      const end = from + bytes;
      try {
        // Who reads a complete segment to its end says that it is done with; what lies behind this is in other hands.
        const isRest = segment < control.position().segment && await this.#sizeOf(segment) <= end;
        found.push({ segment, from, to: isRest ? null : end, fileBytes: null });
      } catch (error) {
        if (!(error instanceof StorageError)) throw error;
        this.add(stretch);
      }
    }
    this.#report();
    return found;
  }

  /** Bytes of a segment; 0 when it is gone, which its reader finds out. */
  async #sizeOf(segment: number): Promise<number> {
    const { storage, folder } = this.#o;
    try {
      const file = await storage.open(segmentPath(folder, segment), "read");
      try {
        return await file.size();
      } finally {
        file.close();
      }
    } catch (error) {
      if (StorageError.isNotFound(error)) return 0;
      throw error;
    }
  }

  #report(): void {
    this.#o.metrics.set(METRICS.spoolUnreadable, this.#stretches.length);
  }
}
