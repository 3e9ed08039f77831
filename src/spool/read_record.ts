import { segmentPath } from "./segment_name.ts";
import { SegmentScanner } from "./segment_scanner.ts";
import type { RecordPosition } from "./record.ts";
import { SpoolError } from "./spool_error.ts";
import type { ReadRecord } from "./stored_record.ts";
import { type Storage, StorageError } from "./storage.ts";

/** A record that was read before is no longer what it was, or its segment is gone: it cannot be had any more. */
export class RecordLost extends Error {
  override readonly name = "RecordLost";
}

/**
 * Reads a record again from where it was found.
 *
 * @throws {RecordLost}
 * @throws {SpoolError} `io_error`: the disk fails; the record may be had later
 */
export async function readRecordAt(
  storage: Storage,
  folder: string,
  { segment, offset, bytes }: RecordPosition,
): Promise<ReadRecord> {
  const path = segmentPath(folder, segment);
  try {
    const file = await storage.open(path, "read");
    try {
      const step = await new SegmentScanner(file, offset).next(offset + bytes);
      if (step.kind === "record") return step;
      throw new RecordLost(`${path}: the record at ${offset} is damaged`);
    } finally {
      file.close();
    }
  } catch (cause) {
    if (cause instanceof RecordLost) throw cause;
    if (StorageError.isNotFound(cause)) throw new RecordLost(`${path} is missing`);
    throw SpoolError.from(cause);
  }
}
