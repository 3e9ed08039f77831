/**
 * Cuts a zstd body into its frames (RFC 8878, section 3.1).
 *
 * Why: the runtime's decoder returns what a frame that is cut short holds so far, and may stop after the first of
 * several frames; both would make this node see another body than the upstream does. Encoders do write several: the
 * runtime's own appends an empty one to what does not fit its buffer.
 */

const MAGIC = 0xfd2fb528;
const SKIPPABLE_MAGIC = 0x184d2a50;
const DICTIONARY_ID_BYTES = [0, 1, 2, 4];
const CONTENT_SIZE_BYTES = [0, 2, 4, 8];
const BLOCK_RLE = 1;
const BLOCK_RESERVED = 3;

/**
 * The frames that hold data, in order; null when the bytes are anything but complete frames.
 *
 * Looks at frame and block headers only; the blocks themselves are the decoder's to judge.
 */
export function zstdFrames(bytes: Uint8Array): Uint8Array[] | null {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const frames: Uint8Array[] = [];
  for (let at = 0; at < bytes.length;) {
    if (at + 9 > bytes.length) return null;
    const magic = view.getUint32(at, true);
    const isSkippable = (magic & 0xfffffff0) === SKIPPABLE_MAGIC;
    if (!isSkippable && magic !== MAGIC) return null;
    const end = isSkippable ? at + 8 + view.getUint32(at + 4, true) : endOfFrame(bytes, at);
    if (end > bytes.length) return null;
    if (!isSkippable) frames.push(bytes.subarray(at, end));
    at = end;
  }
  return frames;
}

/** Offset after the frame at `start`; Infinity when it is malformed or cut short. */
function endOfFrame(bytes: Uint8Array, start: number): number {
  const descriptor = bytes[start + 4]!;
  const isSingleSegment = (descriptor & 0x20) !== 0;
  const sizeBytes = CONTENT_SIZE_BYTES[descriptor >> 6]!;
  const windowAndSizeBytes = isSingleSegment ? Math.max(1, sizeBytes) : 1 + sizeBytes;
  const checksumBytes = descriptor & 0x04 ? 4 : 0;
  for (
    let at = start + 5 + windowAndSizeBytes + DICTIONARY_ID_BYTES[descriptor & 3]!;
    at + 3 <= bytes.length;
  ) {
    const header = bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16);
    const type = (header >> 1) & 3;
    if (type === BLOCK_RESERVED) return Infinity;
    at += 3 + (type === BLOCK_RLE ? 1 : header >> 3);
    if (header & 1) return at + checksumBytes;
  }
  return Infinity;
}
