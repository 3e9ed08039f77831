/**
 * zstd, as this runtime can be trusted with it (RFC 8878).
 *
 * The runtime's decoder returns what a frame that is cut short holds so far, and may stop after the first of several
 * frames; both would make this node see another body than the upstream does. Its encoder appends an empty frame to
 * what does not fit its buffer, which strict decoders refuse. And its stream and callback forms throw past their error
 * handlers when they meet corrupt data late in a body, which ends the process. So bodies are cut into frames here, and
 * each is coded in one call, at about a millisecond per MiB.
 */
import * as zlib from "node:zlib";
import { concatBytes, plainBytes } from "../core/bytes.ts";

type Code = (bytes: Uint8Array, options: object) => Uint8Array;

const { zstdCompressSync, zstdDecompressSync } = zlib as {
  zstdCompressSync?: Code;
  zstdDecompressSync?: Code;
};

/** Whether this runtime has zstd; older ones do not. */
export const HAS_ZSTD: boolean = zstdCompressSync !== undefined && zstdDecompressSync !== undefined;

/** Compression level, by the number of its parameter, since typings differ between runtimes. */
const LEVEL_1 = { params: { 100: 1 } };

/** The bytes as one frame, level 1. Only where {@link HAS_ZSTD}. */
export function encodeZstd(bytes: Uint8Array): Uint8Array {
  const encoded = zstdCompressSync!(bytes, LEVEL_1);
  return plainBytes(zstdFrames(encoded)?.[0] ?? encoded);
}

/**
 * The decoded bytes of all frames. Only where {@link HAS_ZSTD}.
 *
 * @throws {RangeError} the bytes are not complete frames, or hold more than `max` (`code` is `ERR_BUFFER_TOO_LARGE`)
 * @throws {Error} a frame is corrupt
 */
export function decodeZstd(bytes: Uint8Array, max: number): Uint8Array {
  const frames = zstdFrames(bytes);
  if (frames === null) throw new RangeError("not zstd");
  let left = max;
  return concatBytes(frames.map((frame) => {
    const decoded = zstdDecompressSync!(frame, { maxOutputLength: Math.max(1, left) });
    left -= decoded.length;
    return plainBytes(decoded);
  }));
}

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
