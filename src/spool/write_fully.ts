import { StorageError, type StorageFile } from "./storage.ts";

/** Writes all chunks, however short the single writes fall. */
export async function writeFully(
  file: StorageFile,
  chunks: readonly Uint8Array[],
  position: number,
): Promise<void> {
  let rest = [...chunks];
  while (rest.length > 0) {
    let written = await file.write(rest, position);
    if (written === 0) throw new StorageError("io", "The file takes no bytes");
    position += written;
    let first = 0;
    while (first < rest.length && written >= rest[first]!.length) written -= rest[first++]!.length;
    rest = rest.slice(first);
    if (written > 0) rest[0] = rest[0]!.subarray(written);
  }
}
