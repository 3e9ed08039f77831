import { logger } from "../telemetry/log.ts";
import { type Checkpoint, CHECKPOINT_FILES, readCheckpoint } from "./checkpoint.ts";
import { LARGE_FOLDER, removeIfThere } from "./large_body.ts";
import { DEAD_FOLDER, isSegmentCopy, listSegments, type SegmentFile } from "./segment_name.ts";
import type { Storage } from "./storage.ts";

const OWN_NAMES: ReadonlySet<string> = new Set([DEAD_FOLDER, LARGE_FOLDER, ...CHECKPOINT_FILES]);

/** What a reader finds in the folder of a partition. */
export interface FoundPartition {
  /** In ascending order. */
  readonly segments: readonly SegmentFile[];
  readonly checkpoint: Checkpoint;
}

/**
 * Looks into the folder of a partition, which is created if there is none, and removes copies of segments that were never
 * put in place.
 *
 * @throws {StorageError}
 */
export async function openForReading(storage: Storage, folder: string): Promise<FoundPartition> {
  await storage.ensureFolder(folder);
  const { segments, others } = await listSegments(storage, folder);
  const { state, ...checkpoint } = await readCheckpoint(storage, folder);
  const log = logger("spool");
  if (state === "damaged") log.warn("The checkpoint is damaged; everything is sent again", { folder });
  const foreign = others.filter((name) => !OWN_NAMES.has(name) && !isSegmentCopy(name));
  if (foreign.length > 0) log.warn("Foreign files are ignored", { folder, files: foreign });
  for (const name of others.filter(isSegmentCopy)) await removeIfThere(storage, `${folder}/${name}`);
  return { segments, checkpoint };
}
