/**
 * When the oldest record that is not settled was received.
 *
 * Why from the files: what a reader knows of records it has not read is nothing, so that a backlog costs no memory. One
 * look reads the checkpoint, the names of the segments, and one header per partition; what the checkpoint does not
 * have yet looks older than it is, by a checkpoint interval.
 */
import { readCheckpoint } from "./checkpoint.ts";
import { decodeHeader, FLAG_HOLE, HEADER_BYTES } from "./record.ts";
import { listSegments, segmentPath } from "./segment_name.ts";
import { type Storage, StorageError } from "./storage.ts";

/**
 * Time of receipt of the oldest unsettled record of a partition, ms since the epoch; null when there is none, or it cannot
 * be read.
 */
export async function oldestReceivedAt(storage: Storage, folder: string): Promise<number | null> {
  try {
    const { segments } = await listSegments(storage, folder);
    const checkpoint = await readCheckpoint(storage, folder);
    for (const { number, length } of segments) {
      const [from, until] = checkpoint.segments.get(number) ?? [];
      const offset = from === 0 ? until! : 0;
      if (offset + HEADER_BYTES > length) continue;
      return await receivedAt(storage, segmentPath(folder, number), offset);
    }
    return null;
  } catch (error) {
    // A segment may be deleted meanwhile, and a disk that fails is told elsewhere.
    if (error instanceof StorageError) return null;
    throw error;
  }
}

async function receivedAt(storage: Storage, path: string, from: number): Promise<number | null> {
  const file = await storage.open(path, "read");
  try {
    const bytes = new Uint8Array(HEADER_BYTES);
    for (let at = from;;) {
      if (await file.read(bytes, at) < HEADER_BYTES) return null;
      const header = decodeHeader(bytes, new DataView(bytes.buffer), 0);
      if (header === null || (header.flags & FLAG_HOLE) === 0) return header?.receivedAtMs ?? null;
      // Only without the checkpoint that made it one.
      at += HEADER_BYTES + header.bodyBytes;
    }
  } finally {
    file.close();
  }
}
