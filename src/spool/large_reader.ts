import { extendCrc32 } from "./crc32.ts";
import { LARGE_PIECE_BYTES, type LargeBody, largePath } from "./large_body.ts";
import { type Storage, StorageError } from "./storage.ts";

/** The file of a body is missing, of another length, or damaged: the record cannot be had any more. */
export class LargeBodyLost extends Error {
  override readonly name = "LargeBodyLost";
}

/**
 * A large body from its start, in pieces, read as fast as they are taken. A piece is good until the next is asked for: all
 * are read into the same memory, since the collector of garbage is in no hurry with buffers.
 *
 * The last piece comes only after the checksum of all was found right, so whoever passes pieces on has never passed on
 * a whole damaged body.
 *
 * @param folder of its partition or dead letter
 * @throws {LargeBodyLost}
 * @throws {StorageError} the disk fails; the bytes may be right
 */
export async function* readLargeBody(
  storage: Storage,
  folder: string,
  { name, bytes, crc }: LargeBody,
): AsyncGenerator<Uint8Array> {
  const path = largePath(folder, name);
  const file = await storage.open(path, "read").catch((error) => {
    throw StorageError.isNotFound(error) ? new LargeBodyLost(`${path} is missing`) : error;
  });
  try {
    if (await file.size() !== bytes) throw new LargeBodyLost(`${path} is not of the length it had`);
    let sum = 0;
    const buffer = new Uint8Array(Math.min(LARGE_PIECE_BYTES, bytes));
    for (let at = 0; at < bytes;) {
      const into = buffer.subarray(0, bytes - at);
      const read = await file.read(into, at);
      if (read === 0) throw new LargeBodyLost(`${path} ends too early`);
      const piece = into.subarray(0, read);
      sum = extendCrc32(sum, piece);
      at += read;
      if (at === bytes && sum !== crc) throw new LargeBodyLost(`${path} is damaged`);
      yield piece;
    }
  } finally {
    file.close();
  }
}

/**
 * Reads a large body without keeping it, to know whether it is whole.
 *
 * @returns what is wrong, or null
 */
export async function largeBodyFault(
  storage: Storage,
  folder: string,
  body: LargeBody,
): Promise<string | null> {
  try {
    const pieces = readLargeBody(storage, folder, body);
    while (!(await pieces.next()).done);
    return null;
  } catch (error) {
    if (error instanceof LargeBodyLost || error instanceof StorageError) return error.message;
    throw error;
  }
}
