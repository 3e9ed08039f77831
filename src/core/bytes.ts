/** Byte arrays and UTF-8, with the encoder and decoders shared by everything in the process. */

const encoder = new TextEncoder();
const lossy = new TextDecoder("utf-8", { ignoreBOM: true });
const strict = new TextDecoder("utf-8", { ignoreBOM: true, fatal: true });

const EMPTY = new Uint8Array(0);

/** The UTF-8 bytes of `text`; lone surrogates become U+FFFD. */
export function utf8(text: string): Uint8Array {
  return encoder.encode(text);
}

/** The text of `bytes`; invalid UTF-8 becomes U+FFFD. */
export function fromUtf8(bytes: Uint8Array): string {
  return lossy.decode(bytes);
}

/**
 * The text of `bytes`.
 *
 * @throws {TypeError} when they are not valid UTF-8
 */
export function fromUtf8Strict(bytes: Uint8Array): string {
  return strict.decode(bytes);
}

/** The chunks as one array. A single chunk is returned as it is, not copied. */
export function concatBytes(chunks: readonly Uint8Array[]): Uint8Array {
  if (chunks.length <= 1) return chunks[0] ?? EMPTY;
  const whole = new Uint8Array(bytesLength(chunks));
  let at = 0;
  for (const chunk of chunks) {
    whole.set(chunk, at);
    at += chunk.length;
  }
  return whole;
}

/** Number of bytes in all chunks together. */
export function bytesLength(chunks: readonly Uint8Array[]): number {
  let total = 0;
  for (const chunk of chunks) total += chunk.length;
  return total;
}

/** The same bytes without the different habits of a `Buffer`, whose `slice` shares memory. */
export function plainBytes(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
