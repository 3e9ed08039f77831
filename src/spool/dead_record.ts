/**
 * How a record in the dead letter says why it was given up: in front of its meta stand two bytes of length and the
 * reason in UTF-8. Whoever reads or requeues it takes them off again.
 */
import { FLAG_DEAD } from "./record.ts";

const REASON_BYTES_MAX = 0xffff;

/** The meta of a dead record: the reason, as far as it fits, and the meta it had. */
export function joinReason(reason: string, meta: Uint8Array): Uint8Array {
  const joined = new Uint8Array(2 + 3 * reason.length + meta.length);
  const { written } = new TextEncoder().encodeInto(reason, joined.subarray(2, 2 + REASON_BYTES_MAX));
  new DataView(joined.buffer).setUint16(0, written, true);
  joined.set(meta, 2 + written);
  return joined.subarray(0, 2 + written + meta.length);
}

/** The reverse of {@link joinReason}; a record without the dead flag has no reason. */
export function splitReason(meta: Uint8Array, flags: number): { reason: string; meta: Uint8Array } {
  if ((flags & FLAG_DEAD) === 0 || meta.length < 2) return { reason: "", meta };
  const end = 2 + (meta[0]! | meta[1]! << 8);
  return { reason: new TextDecoder().decode(meta.subarray(2, end)), meta: meta.subarray(end) };
}
