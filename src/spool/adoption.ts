/**
 * Adoption: partitions that no lane owns any more, because there are fewer lanes than before, are moved into those
 * that live. Runs before any half of a lane starts.
 *
 * A segment moves by a rename. Before it, the checkpoint of the partition it goes to names it under its new number,
 * with what was settled of it. So whenever a crash comes, the segment is in one of the two folders with what was
 * settled of it, and at worst the new checkpoint knows a number without a file. That number is not given away again.
 *
 * Large bodies go before the segments that name them: each gets its name in every partition that takes segments in, by a
 * hard link, and those whose records went elsewhere are removed with what else no record names (large_leftovers.ts).
 */
import { logger } from "../telemetry/log.ts";
import { type Checkpoint, readCheckpoint, removeCheckpoint, writeCheckpoint } from "./checkpoint.ts";
import { LARGE_FOLDER, largePath, listLargeFiles, removeIfThere, removeParts } from "./large_body.ts";
import { DEAD_FOLDER, isSegmentCopy, listSegments, segmentPath } from "./segment_name.ts";
import { type Storage, StorageError } from "./storage.ts";

/** A living partition that takes segments in. */
interface Heir {
  readonly folder: string;
  checkpoint: Checkpoint;
  lastSegment: number;
  lastDead: number;
  /** Bytes waiting, so that what is adopted goes where least waits. */
  bytes: number;
}

/**
 * Moves the segments of `orphans` into `living` (folders of partitions) and removes the orphans' folders.
 *
 * @throws {StorageError} some segments may have moved, none is lost; it may be called again
 */
export async function adoptOrphans(
  storage: Storage,
  orphans: readonly string[],
  living: readonly string[],
): Promise<void> {
  if (orphans.length === 0) return;
  const heirs: Heir[] = [];
  for (const folder of living) heirs.push(await openHeir(storage, folder));
  for (const orphan of orphans) {
    const moved = await adopt(storage, orphan, heirs);
    logger("spool").info("The partition of a former lane was adopted", { folder: orphan, segments: moved });
  }
}

async function openHeir(storage: Storage, folder: string): Promise<Heir> {
  await storage.ensureFolder(`${folder}/${DEAD_FOLDER}`);
  const { segments } = await listSegments(storage, folder);
  const dead = await listSegments(storage, `${folder}/${DEAD_FOLDER}`);
  const checkpoint = await readCheckpoint(storage, folder);
  return {
    folder,
    checkpoint,
    lastSegment: Math.max(checkpoint.highest, segments.at(-1)?.number ?? 0),
    lastDead: dead.segments.at(-1)?.number ?? 0,
    bytes: segments.reduce((sum, { bytes }) => sum + bytes, 0),
  };
}

async function adopt(storage: Storage, orphan: string, heirs: readonly Heir[]): Promise<number> {
  for (const { folder } of heirs) await linkAll(storage, orphan, folder);
  const { segments, others } = await listSegments(storage, orphan);
  const settled = (await readCheckpoint(storage, orphan)).segments;
  for (const { number, bytes } of segments) {
    const heir = heirs.reduce((least, other) => other.bytes < least.bytes ? other : least);
    const newNumber = ++heir.lastSegment;
    const ranges = settled.get(number) ?? [];
    heir.checkpoint = {
      highest: newNumber,
      segments: new Map([...heir.checkpoint.segments, [newNumber, ranges]]),
    };
    await writeCheckpoint(storage, heir.folder, heir.checkpoint);
    await storage.rename(segmentPath(orphan, number), segmentPath(heir.folder, newNumber));
    heir.bytes += bytes;
  }
  await removeBodies(storage, orphan);
  for (const name of others.filter(isSegmentCopy)) await removeIfThere(storage, `${orphan}/${name}`);
  await adoptDead(storage, orphan, heirs[0]!);
  await removeCheckpoint(storage, orphan);
  await removeEmptyFolder(storage, orphan);
  return segments.length;
}

async function adoptDead(storage: Storage, orphan: string, heir: Heir): Promise<void> {
  const folder = `${orphan}/${DEAD_FOLDER}`;
  try {
    await linkAll(storage, folder, `${heir.folder}/${DEAD_FOLDER}`);
    for (const { number } of (await listSegments(storage, folder)).segments) {
      const target = segmentPath(`${heir.folder}/${DEAD_FOLDER}`, ++heir.lastDead);
      await storage.rename(segmentPath(folder, number), target);
    }
    await removeBodies(storage, folder);
    await removeEmptyFolder(storage, folder);
  } catch (error) {
    if (!StorageError.isNotFound(error)) throw error;
  }
}

/** Gives all large bodies of a folder the same name in another one. */
async function linkAll(storage: Storage, from: string, to: string): Promise<void> {
  await removeParts(storage, from);
  const files = await listLargeFiles(storage, from);
  if (files.length > 0) await storage.ensureFolder(`${to}/${LARGE_FOLDER}`);
  for (const { name } of files) {
    try {
      await storage.link(largePath(from, name), largePath(to, name));
    } catch (error) {
      // Done before a crash.
      if (!(error instanceof StorageError && error.kind === "exists")) throw error;
    }
  }
}

/** Removes the large bodies of a folder, and theirs. */
async function removeBodies(storage: Storage, folder: string): Promise<void> {
  for (const { name } of await listLargeFiles(storage, folder)) await storage.remove(largePath(folder, name));
  try {
    await removeEmptyFolder(storage, `${folder}/${LARGE_FOLDER}`);
  } catch (error) {
    if (!StorageError.isNotFound(error)) throw error;
  }
}

/** Removes a folder unless something foreign is left in it. */
async function removeEmptyFolder(storage: Storage, folder: string): Promise<void> {
  const left = await storage.list(folder);
  if (left.length === 0) return await storage.removeFolder(folder);
  logger("spool").warn("Foreign files keep a folder", { folder, files: left.map(({ name }) => name) });
}
