import type { LargeBody } from "./large_body.ts";
import type { RecordPosition } from "./record.ts";

/** A record read from disk. `meta` and `body` may be held for any time, but pin up to 128 KiB around them. */
export interface StoredRecord {
  readonly position: RecordPosition;
  readonly receivedAtMs: number;
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
