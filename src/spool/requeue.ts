/**
 * Taking records out of the dead letter, to be sent again.
 *
 * A dead segment is copied, record by record, behind everything that waits in its partition, and deleted once all of
 * the copy is durable. Why not moved: a running node may do the same while its writer gives out segment numbers, with
 * no more than an append. A crash in between leaves both, so at worst records are sent twice; it costs the room of one
 * dead segment for as long as it takes.
 *
 * On a running node the two halves of a lane share the work; on a stopped one whoever has the lock of the folder does
 * it with the functions of this file alone.
 */
import type { Clock } from "../core/clock.ts";
import { METRIC_LAYOUT } from "../telemetry/catalogue.ts";
import { Metrics } from "../telemetry/registry.ts";
import { readCheckpoint, writeCheckpoint } from "./checkpoint.ts";
import { ControlBlock } from "./control_block.ts";
import { splitReason } from "./dead_record.ts";
import type { SpaceBudget } from "./disk_budget.ts";
import {
  decodeLargeBody,
  encodeLargeBody,
  type LargeBody,
  largePath,
  linkLarge,
  listLargeFiles,
  removeIfThere,
  removeParts,
} from "./large_body.ts";
import { PartitionWriter } from "./partition_writer.ts";
import { FLAG_LARGE, FLAG_REQUEUED, type SpoolRecord } from "./record.ts";
import { DEAD_FOLDER, listSegments, segmentPath } from "./segment_name.ts";
import { SegmentScanner } from "./segment_scanner.ts";
import { SpoolError } from "./spool_error.ts";
import { type Storage, StorageError } from "./storage.ts";

/** Bytes handed to the writer before it is waited for. */
const BATCH_BYTES = 1 << 20;

/** What requeuing did. */
export interface Requeued {
  readonly records: number;
  /** Bytes of them on disk. */
  readonly bytes: number;
  /** Places that could not be read, and went with their segment. */
  readonly damaged: number;
}

/** Nothing. */
export const NOTHING_REQUEUED: Requeued = { records: 0, bytes: 0, damaged: 0 };

/** Both together. */
export function sumRequeued(a: Requeued, b: Requeued): Requeued {
  return { records: a.records + b.records, bytes: a.bytes + b.bytes, damaged: a.damaged + b.damaged };
}

/**
 * Appends the records of a dead segment to the partition, durably; the segment stays. One that is gone is empty.
 *
 * @throws {SpoolError} some records may have been appended
 */
export async function requeueSegment(
  storage: Storage,
  partition: string,
  segment: number,
  writer: Pick<PartitionWriter, "append" | "reserve" | "release">,
): Promise<Requeued> {
  let [records, bytes, damaged] = [0, 0, 0];
  let batch: Promise<void>[] = [];
  let batchBytes = 0;
  try {
    const file = await storage.open(segmentPath(`${partition}/${DEAD_FOLDER}`, segment), "read");
    try {
      const end = await file.size();
      const scanner = new SegmentScanner(file);
      for (let step = await scanner.next(end); step.kind !== "end"; step = await scanner.next(end)) {
        if (step.kind === "gap") {
          damaged++;
          continue;
        }
        const { receivedAtMs, projectHash, categoryLow, categoryHigh, flags } = step.header;
        const { meta } = splitReason(step.meta, flags);
        const record = {
          receivedAtMs,
          projectHash,
          categoryBits: [categoryLow, categoryHigh],
          meta,
        } as const;
        if ((flags & FLAG_LARGE) !== 0) {
          const body = decodeLargeBody(step.body);
          if (await requeueLarge({ storage, partition, writer }, record, body)) {
            records++;
            bytes += step.bytes + body.bytes;
          } else damaged++;
          continue;
        }
        const appended = writer.append({ ...record, body: [step.body] }, FLAG_REQUEUED);
        // Looked at when the batch is full; until then a refusal must not count as unhandled.
        appended.catch(() => {});
        batch.push(appended);
        records++;
        bytes += step.bytes;
        batchBytes += step.bytes;
        if (batchBytes < BATCH_BYTES) continue;
        await Promise.all(batch);
        batch = [];
        batchBytes = 0;
      }
      await Promise.all(batch);
    } finally {
      file.close();
    }
  } catch (error) {
    if (!StorageError.isNotFound(error)) throw SpoolError.from(error);
  }
  return { records, bytes, damaged };
}

/** Appends a record whose body has a file of its own; false when that is missing. */
async function requeueLarge(
  { storage, partition, writer }: {
    readonly storage: Storage;
    readonly partition: string;
    readonly writer: Pick<PartitionWriter, "append" | "reserve" | "release">;
  },
  record: Omit<SpoolRecord, "body">,
  body: LargeBody,
): Promise<boolean> {
  const refusal = writer.reserve(body.bytes);
  if (refusal) throw refusal;
  let linked: LargeBody | null = null;
  try {
    linked = await linkLarge(storage, `${partition}/${DEAD_FOLDER}`, partition, body);
    await writer.append({ ...record, body: [encodeLargeBody(linked)], isLarge: true }, FLAG_REQUEUED);
    return true;
  } catch (error) {
    writer.release(body.bytes);
    if (linked === null && StorageError.isNotFound(error)) return false;
    if (linked) await removeIfThere(storage, largePath(partition, linked.name)).catch(() => false);
    throw error;
  }
}

/** There is no bound while a dead segment and its copy are both there: the copy replaces it. */
const UNBOUNDED: SpaceBudget = { tryReserve: () => true, release() {} };

/**
 * Requeues the dead letter of a partition whose node is stopped; the folder's lock is held by the caller.
 *
 * @param partition its folder
 * @throws {SpoolError} what was not requeued is where it was
 */
export async function requeueStopped(
  storage: Storage,
  partition: string,
  { clock, segmentBytesMax }: { readonly clock: Clock; readonly segmentBytesMax: number },
): Promise<Requeued> {
  let total = NOTHING_REQUEUED;
  const segments = await deadSegments(storage, partition);
  if (segments.length === 0) return total;
  const writer = await PartitionWriter.open({
    storage,
    folder: partition,
    control: new ControlBlock(),
    budget: UNBOUNDED,
    clock,
    metrics: new Metrics(METRIC_LAYOUT),
    segmentBytesMax,
  });
  try {
    for (const segment of segments) {
      total = sumRequeued(total, await requeueSegment(storage, partition, segment, writer));
      await storage.remove(segmentPath(`${partition}/${DEAD_FOLDER}`, segment));
    }
    await removeLargeFiles(storage, `${partition}/${DEAD_FOLDER}`);
  } catch (error) {
    throw SpoolError.from(error);
  } finally {
    await writer.close();
  }
  return total;
}

/**
 * Deletes the dead letter of a partition whose node is stopped, and with `all` everything that waits in it; the
 * folder's lock is held by the caller.
 *
 * @throws {SpoolError} what was not deleted is where it was
 */
export async function purgeStopped(storage: Storage, partition: string, all: boolean): Promise<void> {
  try {
    for (const segment of await deadSegments(storage, partition)) {
      await storage.remove(segmentPath(`${partition}/${DEAD_FOLDER}`, segment));
    }
    await removeLargeFiles(storage, `${partition}/${DEAD_FOLDER}`);
    if (!all) return;
    const { segments } = await listSegments(storage, partition);
    const { highest } = await readCheckpoint(storage, partition);
    for (const { number } of segments) await storage.remove(segmentPath(partition, number));
    await removeLargeFiles(storage, partition);
    // Last, because it makes the removals durable too. The numbers stay taken.
    const last = Math.max(highest, segments.at(-1)?.number ?? 0);
    await writeCheckpoint(storage, partition, { highest: last, segments: new Map() });
  } catch (error) {
    throw SpoolError.from(error);
  }
}

async function deadSegments(storage: Storage, partition: string): Promise<number[]> {
  try {
    const { segments } = await listSegments(storage, `${partition}/${DEAD_FOLDER}`);
    return segments.map(({ number }) => number);
  } catch (error) {
    if (StorageError.isNotFound(error)) return [];
    throw SpoolError.from(error);
  }
}

/** Removes the large bodies of a folder whose segments are gone. */
async function removeLargeFiles(storage: Storage, folder: string): Promise<void> {
  await removeParts(storage, folder);
  for (const { name } of await listLargeFiles(storage, folder)) {
    await removeIfThere(storage, largePath(folder, name));
  }
}
