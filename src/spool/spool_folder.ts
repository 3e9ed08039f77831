/**
 * The spool: what was acknowledged and has not reached its end yet, on this node's own disk.
 *
 * Why files of our own: the only question ever asked is "what comes next", so an append-only log answers it with one
 * write and one sync for everybody who waits, and needs no index, no compaction and no memory per waiting record.
 *
 * Layout of the folder:
 *
 *     lock                        held by the node, with its process id
 *     p0/ p1/ ...                 a partition per lane, shared with nobody
 *       000000000001.seg ...      segments: records one after the other (record.ts); once little is left of a
 *                                 complete one, a copy with holes replaces it (segment_shrinker.ts)
 *       large/                    bodies beyond 1 MiB, each in a file of its own (large_body.ts)
 *       checkpoint                what of them is settled (checkpoint.ts)
 *       dead/000000000001.seg     records that were given up (dead_letter.ts), with a folder large/ of their own
 *
 * The ingest half of a lane appends (partition_writer.ts), its forward half reads and settles (partition_reader.ts);
 * between them there are only the files and a block of shared memory (control_block.ts). The bound on all of it is
 * shared by all lanes (disk_budget.ts). Operators look into the files from outside (spool_inspection.ts) and have dead
 * letters sent again (requeue.ts).
 *
 * Limits: `max_disk_size` bounds segments, large bodies and dead letters together, checkpoints come on top; an append that would
 * exceed it is refused before anything is written. A record holds at most 1 MiB of body itself.
 *
 * Recovery needs no pass over the files. A writer starts a new segment, so nothing has to be repaired before it; a
 * reader starts at the oldest segment and skips what the checkpoint says is settled. Whatever state a crash leaves
 * (a torn tail, half a checkpoint or none, a name without a file) is a case of reading, not of starting.
 */
import { adoptOrphans } from "./adoption.ts";
import { listLargeFiles, removeParts } from "./large_body.ts";
import type { Leftover } from "./large_leftovers.ts";
import { DEAD_FOLDER, listSegments } from "./segment_name.ts";
import { type Storage, StorageError, type StorageLock } from "./storage.ts";

const SQLITE_MAGIC = "SQLite format 3\0";

/** Another process has the folder. */
export class SpoolLockedError extends Error {
  override readonly name = "SpoolLockedError";

  constructor(readonly path: string, readonly holder: string) {
    super(`The spool folder ${path} is in use by ${holder}; every node needs a folder of its own`);
  }
}

/** The configured path cannot be a spool's folder. */
export class SpoolPathError extends Error {
  override readonly name = "SpoolPathError";

  constructor(readonly path: string, problem: string, options?: ErrorOptions) {
    super(`The spool path ${path} ${problem}`, options);
  }
}

/** A spool folder that this process has locked. */
export interface SpoolFolder {
  readonly path: string;
  /** Folders of the partitions, one per lane. */
  readonly partitions: readonly string[];
  /** Large bodies in each partition when it was opened. */
  readonly leftovers: readonly (readonly Leftover[])[];
  /** Bytes of all segments, large bodies and dead letters when it was opened. */
  readonly bytes: number;
  /** Gives the lock back; after all partitions are closed. */
  release(): void;
}

/**
 * Locks the folder, adopts what former lanes left, and makes a partition per lane ready to be opened.
 *
 * @throws {SpoolLockedError} another node uses it
 * @throws {SpoolPathError} it is a file or cannot be used
 */
export async function openSpoolFolder(storage: Storage, path: string, lanes: number): Promise<SpoolFolder> {
  const lock = await lockSpoolFolder(storage, path);
  try {
    const partitions = Array.from({ length: lanes }, (_, lane) => `${path}/p${lane}`);
    for (const partition of partitions) await storage.ensureFolder(`${partition}/${DEAD_FOLDER}`);
    await adoptOrphans(storage, await findOrphans(storage, path, lanes), partitions);
    const leftovers: Leftover[][] = [];
    for (const partition of partitions) {
      await removeParts(storage, partition);
      leftovers.push(await listLargeFiles(storage, partition));
    }
    const bytes = await spoolBytes(storage, partitions);
    return { path, partitions, leftovers, bytes, release: () => lock.release() };
  } catch (cause) {
    lock.release();
    if (!(cause instanceof StorageError)) throw cause;
    throw new SpoolPathError(path, `cannot be used: ${cause.message}`, { cause });
  }
}

/**
 * Bytes of all segments, large bodies and dead letters in these partitions.
 *
 * @throws {StorageError} a folder cannot be listed
 */
export async function spoolBytes(storage: Storage, partitions: readonly string[]): Promise<number> {
  let bytes = 0;
  for (const partition of partitions) {
    for (const folder of [partition, `${partition}/${DEAD_FOLDER}`]) {
      bytes += await segmentBytes(storage, folder) + sum(await listLargeFiles(storage, folder));
    }
  }
  return bytes;
}

/**
 * Takes the lock of a spool folder, which is created if there is none.
 *
 * @throws {SpoolLockedError} another process has it
 * @throws {SpoolPathError} it is a file or cannot be used
 */
export async function lockSpoolFolder(storage: Storage, path: string): Promise<StorageLock> {
  try {
    await storage.ensureFolder(path);
    const lock = await storage.lock(`${path}/lock`);
    if (typeof lock === "string") throw new SpoolLockedError(path, lock);
    return lock;
  } catch (cause) {
    if (!(cause instanceof StorageError)) throw cause;
    if (cause.kind !== "exists") {
      throw new SpoolPathError(path, `cannot be used: ${cause.message}`, { cause });
    }
    const isSqlite = await startsAsSqlite(storage, path);
    const problem = isSqlite ? "is a SQLite database, perhaps the spool of a Relay" : "is not a folder";
    throw new SpoolPathError(path, `${problem}; name a folder that Landfall may create`, { cause });
  }
}

async function startsAsSqlite(storage: Storage, path: string): Promise<boolean> {
  try {
    const file = await storage.open(path, "read");
    try {
      const start = new Uint8Array(SQLITE_MAGIC.length);
      await file.read(start, 0);
      return new TextDecoder().decode(start) === SQLITE_MAGIC;
    } finally {
      file.close();
    }
  } catch (error) {
    if (error instanceof StorageError) return false;
    throw error;
  }
}

/** Folders of partitions whose lane no longer exists. */
async function findOrphans(storage: Storage, path: string, lanes: number): Promise<string[]> {
  const orphans: string[] = [];
  for (const { name, isFolder } of await storage.list(path)) {
    const lane = isFolder ? /^p(\d+)$/.exec(name)?.[1] : undefined;
    if (lane !== undefined && Number(lane) >= lanes) orphans.push(`${path}/${name}`);
  }
  return orphans.sort();
}

async function segmentBytes(storage: Storage, folder: string): Promise<number> {
  try {
    return sum((await listSegments(storage, folder)).segments);
  } catch (error) {
    // A folder that was deleted under the node holds nothing.
    if (StorageError.isNotFound(error)) return 0;
    throw error;
  }
}

function sum(files: readonly { readonly bytes: number }[]): number {
  return files.reduce((total, { bytes }) => total + bytes, 0);
}
