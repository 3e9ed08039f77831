/**
 * CRC-32 of bytes that lie in pieces.
 *
 * Why not `crc32(bytes, previous)` of node:zlib: in Deno 2.4 it returns wrong sums once the caller is compiled and
 * `previous` has its highest bit set. So the sum of every piece is taken on its own, and the sums are combined.
 */
import { crc32 } from "node:zlib";

/** The polynomial, reflected. */
const POLYNOMIAL = 0xedb88320;

/** x to the power of 2^n modulo the polynomial, reflected: what moves a sum by 2^n bits. */
const POWERS = powers();

/** CRC-32 of the pieces one after the other. */
export function crc32Of(pieces: readonly Uint8Array[]): number {
  let sum = 0;
  for (const piece of pieces) sum = extendCrc32(sum, piece);
  return sum;
}

/** The CRC-32 of what has the sum `sum`, with `piece` behind it; that of nothing is 0. */
export function extendCrc32(sum: number, piece: Uint8Array): number {
  return (multiply(shiftBy(piece.length), sum) ^ crc32(piece)) >>> 0;
}

/**
 * The CRC-32 of what has the sum `sum`, with `after` in the place of `before`, which is as long and has `bytesBehind` behind
 * it: sums of equal length differ by what they differ in, moved.
 */
export function patchCrc32(sum: number, before: Uint8Array, after: Uint8Array, bytesBehind: number): number {
  return (sum ^ multiply(shiftBy(bytesBehind), (crc32(before) ^ crc32(after)) >>> 0)) >>> 0;
}

/** What multiplies a sum when `bytes` follow. */
function shiftBy(bytes: number): number {
  let shift = 0x80000000;
  for (let power = 3, rest = bytes; rest > 0; rest = Math.floor(rest / 2), power++) {
    if (rest % 2 === 1) shift = multiply(POWERS[power & 31]!, shift);
  }
  return shift;
}

/** Product modulo the polynomial, reflected. */
function multiply(a: number, b: number): number {
  let product = 0;
  for (let bit = 0x80000000; bit !== 0; bit >>>= 1) {
    if ((a & bit) !== 0) product ^= b;
    b = (b & 1) === 1 ? b >>> 1 ^ POLYNOMIAL : b >>> 1;
  }
  return product >>> 0;
}

function powers(): Uint32Array {
  const table = new Uint32Array(32);
  table[0] = 0x40000000;
  for (let n = 1; n < 32; n++) table[n] = multiply(table[n - 1]!, table[n - 1]!);
  return table;
}
