/**
 * The record: what a segment file is a sequence of.
 *
 * Layout, little endian, {@link HEADER_BYTES} bytes of header, then the meta, then the body:
 *
 *     0  u32 magic            20  u32 flags
 *     4  u32 CRC-32 of 8..63  24  f64 received at, ms since the epoch
 *     8  u32 meta bytes       32  f64 sequence within the writer's life
 *    12  u32 body bytes       40  u32 project hash
 *    16  u32 CRC-32 of meta   44  u32 category bits, low   48  u32 high
 *        and body             52  zeros
 *
 * The header has a checksum of its own, so that a damaged body costs its record alone (the length is still known), and
 * a damaged header can be skipped by searching for the next one that checks.
 */
import { crc32 } from "node:zlib";
import type { LargeBody } from "./large_body.ts";

/** Bytes of a record's header. */
export const HEADER_BYTES = 64;

/** First bytes of every record. 0xF5 occurs in no UTF-8 text, which keeps the search after damage short. */
export const MAGIC: readonly [number, number, number, number] = [0xf5, 0x4c, 0x46, 0x31];

const MAGIC_WORD = (MAGIC[0] | MAGIC[1] << 8 | MAGIC[2] << 16 | MAGIC[3] << 24) >>> 0;

/** The record's meta starts with the reason it was given up for (see `dead_record.ts`). */
export const FLAG_DEAD = 1;

/** The record was taken out of the dead letter by the operator, and is to be sent whatever its age. */
export const FLAG_REQUEUED = 2;

/** The record's body is a reference to a file of its own (see `large_body.ts`). */
export const FLAG_LARGE = 4;

/** No record: a header for bytes that were settled and are not on disk any more (see `segment_shrinker.ts`). */
export const FLAG_HOLE = 8;

/** A record as it is handed to the spool. */
export interface SpoolRecord {
  /** Wall clock, ms since the epoch. */
  readonly receivedAtMs: number;
  /** 32 bits of a hash of the project and key. */
  readonly projectHash: number;
  /** Bit set of the data categories inside, by their number: low 32 bits, high 32 bits. */
  readonly categoryBits: readonly [number, number];
  readonly meta: Uint8Array;
  /** The body in pieces, none of which may change until the record is durable. */
  readonly body: readonly Uint8Array[];
  /** The body is the reference to a file of its own, which is durable. */
  readonly isLarge?: boolean;
}

/** Where a record lies. */
export interface RecordPosition {
  readonly segment: number;
  readonly offset: number;
  readonly bytes: number;
  readonly projectHash: number;
  /** The file that its body lies in, if it has one of its own. */
  readonly large?: LargeBody;
}

/** Fields of a header that checked. */
export interface RecordHeader {
  readonly metaBytes: number;
  readonly bodyBytes: number;
  readonly payloadCrc: number;
  readonly flags: number;
  readonly receivedAtMs: number;
  readonly sequence: number;
  readonly projectHash: number;
  readonly categoryLow: number;
  readonly categoryHigh: number;
}

/** Bytes of the record on disk. */
export function recordBytes(record: SpoolRecord): number {
  let bytes = HEADER_BYTES + record.meta.length;
  for (const piece of record.body) bytes += piece.length;
  return bytes;
}

/** Writes the header at `at`; `view` spans `into`. */
export function encodeHeader(into: Uint8Array, view: DataView, at: number, header: RecordHeader): void {
  view.setUint32(at, MAGIC_WORD, true);
  view.setUint32(at + 8, header.metaBytes, true);
  view.setUint32(at + 12, header.bodyBytes, true);
  view.setUint32(at + 16, header.payloadCrc, true);
  view.setUint32(at + 20, header.flags, true);
  view.setFloat64(at + 24, header.receivedAtMs, true);
  view.setFloat64(at + 32, header.sequence, true);
  view.setUint32(at + 40, header.projectHash, true);
  view.setUint32(at + 44, header.categoryLow, true);
  view.setUint32(at + 48, header.categoryHigh, true);
  into.fill(0, at + 52, at + HEADER_BYTES);
  view.setUint32(at + 4, crc32(into.subarray(at + 8, at + HEADER_BYTES)), true);
}

/** Reads the header at `at`, or null when there is none that checks. `view` spans `from`. */
export function decodeHeader(from: Uint8Array, view: DataView, at: number): RecordHeader | null {
  if (view.getUint32(at, true) !== MAGIC_WORD) return null;
  if (view.getUint32(at + 4, true) !== crc32(from.subarray(at + 8, at + HEADER_BYTES))) return null;
  return {
    metaBytes: view.getUint32(at + 8, true),
    bodyBytes: view.getUint32(at + 12, true),
    payloadCrc: view.getUint32(at + 16, true),
    flags: view.getUint32(at + 20, true),
    receivedAtMs: view.getFloat64(at + 24, true),
    sequence: view.getFloat64(at + 32, true),
    projectHash: view.getUint32(at + 40, true),
    categoryLow: view.getUint32(at + 44, true),
    categoryHigh: view.getUint32(at + 48, true),
  };
}

/** Whether meta and body, which lie one after the other in `payload`, are what the header promised. */
export function payloadChecks(header: RecordHeader, payload: Uint8Array): boolean {
  return crc32(payload) === header.payloadCrc;
}
