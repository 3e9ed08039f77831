import type { Clock } from "../core/clock.ts";
import type { Metrics } from "../telemetry/registry.ts";
import type { ControlBlock } from "./control_block.ts";
import type { SpaceBudget } from "./disk_budget.ts";
import type { FairLimits } from "./fair_limits.ts";
import type { Leftover } from "./large_leftovers.ts";
import type { LaneProjectBytes } from "./project_bytes.ts";
import type { SpoolLoss } from "./segment_walk.ts";
import type { Storage } from "./storage.ts";

/** Options of `PartitionReader.open`. */
export interface PartitionReaderOptions {
  readonly storage: Storage;
  /** Folder of the partition. */
  readonly folder: string;
  readonly control: ControlBlock;
  readonly budget: SpaceBudget;
  readonly clock: Clock;
  readonly metrics: Metrics;
  /** Longest time a settlement stays in memory only, ms. */
  readonly checkpointIntervalMs: number;
  /** Share of the records handed out that comes from the backlog while fresh ones wait, 0 to 1. */
  readonly backlogShare: number;
  /** Age from which on a record is backlog, ms. */
  readonly freshMs: number;
  /** Age from which on a record of a project on hold is handed out all the same, to be dropped, ms. */
  readonly recordAgeMsMax: number;
  /** Bound of what projects on hold take; default `HELD_STRETCHES_MAX`. */
  readonly heldStretchesMax?: number;
  /** Told what is found and settled of each project, if anybody wants to know. */
  readonly projects?: LaneProjectBytes | null;
  /** Bounds of taking turns; default `FAIR_LIMITS`. */
  readonly fairLimits?: FairLimits;
  /** Bytes read at once unless a record is larger; default 128 KiB. */
  readonly chunkBytes?: number;
  /** What the file-system keeps or leaves out as one, bytes; default 4096. */
  readonly blockBytes?: number;
  /** Large bodies that were there when the node started; those no record names are removed. */
  readonly leftovers?: readonly Leftover[];
  /** Called for bytes that were skipped, so that they can be accounted for. */
  readonly onLoss?: (loss: SpoolLoss) => void;
}
