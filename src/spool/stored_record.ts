import type { LargeBody } from "./large_body.ts";
import { FLAG_REQUEUED, type RecordHeader, type RecordPosition } from "./record.ts";

const NO_BYTES = new Uint8Array(0);

/** A record as it stands in a segment. */
export interface ReadRecord {
  readonly header: RecordHeader;
  readonly meta: Uint8Array;
  readonly body: Uint8Array;
}

/** A record read from disk. `meta` and `body` may be held for any time, but pin up to 128 KiB around them. */
export interface StoredRecord {
  readonly position: RecordPosition;
  /** As written down when it came; wall clock, ms. */
  readonly receivedAtMs: number;
  /** When that was, on the monotonic clock, ms; see `receipt_times.ts`. */
  readonly receivedMs: number;
  readonly projectHash: number;
  readonly categoryBits: readonly [number, number];
  readonly meta: Uint8Array;
  /** Empty when the body is in a file of its own. */
  readonly body: Uint8Array;
  readonly large: LargeBody | null;
  /** Whether an earlier life of the reader may have handed it out already. */
  readonly redelivered: boolean;
  /** Whether the operator took it out of the dead letter to have it sent whatever its age. */
  readonly requeued: boolean;
}

/** What is handed out of a record that was read. */
export function storedRecord(
  { header, meta, body }: ReadRecord,
  position: RecordPosition,
  receivedMs: number,
  redelivered: boolean,
): StoredRecord {
  return {
    position,
    receivedAtMs: header.receivedAtMs,
    receivedMs,
    projectHash: header.projectHash,
    categoryBits: [header.categoryLow, header.categoryHigh],
    meta,
    body: position.large ? NO_BYTES : body,
    large: position.large ?? null,
    redelivered,
    requeued: (header.flags & FLAG_REQUEUED) !== 0,
  };
}
