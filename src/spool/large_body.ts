/**
 * Large bodies: each in a file of its own beside the segments, so that none is ever held whole in memory.
 *
 * Layout, in the folder of a partition and in that of its dead letter:
 *
 *     large/<name>.part      a body that is arriving (large_upload.ts)
 *     large/<name>.body      a whole one, named by exactly one record
 *
 * The record is an ordinary one whose body is {@link LargeBody}, 28 bytes: the name (16 random bytes), the length (f64)
 * and the CRC-32 (u32) of the file. So segments, their reading and their settling know nothing of it.
 *
 * Order of events: the file is written and synced, gets its final name, and only then is the record appended. When the
 * record is settled, that is on disk in the checkpoint before the file is removed. So a record on disk always has its
 * file; the reverse does not hold, and what a crash leaves over is removed: `.part` files at once when their partition
 * is opened for writing, `.body` files as soon as everything that waited at the start was read and no record named them
 * (large_leftovers.ts). A file that is missing, short or damaged all the same costs its record alone.
 *
 * No two records share a name: whoever passes a body on (the dead letter, requeuing, adoption) gives it a second name by
 * a hard link, and each removes its own.
 *
 * Limits: the bytes count in the disk budget as they arrive. Memory is a piece of {@link LARGE_PIECE_BYTES} for each body
 * under way.
 */
import { FLAG_LARGE } from "./record.ts";
import { type Storage, StorageError } from "./storage.ts";

/** Bodies of more bytes than this have a file of their own. */
export const LARGE_BYTES_MIN = 1 << 20;

/** Bytes that are read or written at once. */
export const LARGE_PIECE_BYTES = 1 << 18;

/** Folder of large bodies inside that of their partition or dead letter. */
export const LARGE_FOLDER = "large";

const NAME_BYTES = 16;
const REFERENCE_BYTES = NAME_BYTES + 12;

/** A body in a file of its own. */
export interface LargeBody {
  /** 32 hex digits. */
  readonly name: string;
  readonly bytes: number;
  readonly crc: number;
}

/** A body of this name in `folder`, on its way or whole. */
export interface LargeFile {
  readonly name: string;
  readonly bytes: number;
  readonly isPart: boolean;
}

/** A name that nothing else has. */
export function newLargeName(): string {
  return crypto.randomUUID().replaceAll("-", "");
}

/** Path of a whole body; `folder` is that of the partition or the dead letter. */
export function largePath(folder: string, name: string): string {
  return `${folder}/${LARGE_FOLDER}/${name}.body`;
}

/** Path of a body that is arriving. */
export function partPath(folder: string, name: string): string {
  return `${folder}/${LARGE_FOLDER}/${name}.part`;
}

/** The body of the record that names the file. */
export function encodeLargeBody({ name, bytes, crc }: LargeBody): Uint8Array {
  const reference = new Uint8Array(REFERENCE_BYTES);
  for (let i = 0; i < NAME_BYTES; i++) reference[i] = Number.parseInt(name.slice(2 * i, 2 * i + 2), 16);
  const view = new DataView(reference.buffer);
  view.setFloat64(NAME_BYTES, bytes, true);
  view.setUint32(NAME_BYTES + 8, crc, true);
  return reference;
}

/** Reads what {@link encodeLargeBody} wrote; the record's own checksum vouches for it. */
export function decodeLargeBody(reference: Uint8Array): LargeBody {
  const view = new DataView(reference.buffer, reference.byteOffset, REFERENCE_BYTES);
  let name = "";
  for (const byte of reference.subarray(0, NAME_BYTES)) name += byte.toString(16).padStart(2, "0");
  return { name, bytes: view.getFloat64(NAME_BYTES, true), crc: view.getUint32(NAME_BYTES + 8, true) };
}

/** The body of its own file that a record names, or null. */
export function largeBodyOf(
  { header, body }: { readonly header: { readonly flags: number }; readonly body: Uint8Array },
): LargeBody | null {
  return (header.flags & FLAG_LARGE) === 0 ? null : decodeLargeBody(body);
}

/**
 * The large bodies in a folder; none when it has no place for them yet.
 *
 * @throws {StorageError}
 */
export async function listLargeFiles(storage: Storage, folder: string): Promise<LargeFile[]> {
  const files: LargeFile[] = [];
  for (const { name, bytes } of await listIfThere(storage, `${folder}/${LARGE_FOLDER}`)) {
    const [, base, ending] = /^([0-9a-f]{32})\.(body|part)$/.exec(name) ?? [];
    if (base !== undefined) files.push({ name: base, bytes, isPart: ending === "part" });
  }
  return files;
}

/**
 * Removes bodies whose arrival was cut off, and returns their bytes; nothing may be arriving.
 *
 * @throws {StorageError}
 */
export async function removeParts(storage: Storage, folder: string): Promise<number> {
  let removed = 0;
  for (const { name, bytes, isPart } of await listLargeFiles(storage, folder)) {
    if (!isPart) continue;
    if (await removeIfThere(storage, partPath(folder, name))) removed += bytes;
  }
  return removed;
}

/**
 * Removes a file; false when it is gone already.
 *
 * @throws {StorageError}
 */
export async function removeIfThere(storage: Storage, path: string): Promise<boolean> {
  try {
    await storage.remove(path);
    return true;
  } catch (error) {
    if (StorageError.isNotFound(error)) return false;
    throw error;
  }
}

async function listIfThere(storage: Storage, folder: string) {
  try {
    return await storage.list(folder);
  } catch (error) {
    if (StorageError.isNotFound(error)) return [];
    throw error;
  }
}

/**
 * Gives a body a name in another folder, durably, and says how it is called there.
 *
 * @throws {StorageError} `not_found` when the body is missing
 */
export async function linkLarge(
  storage: Storage,
  from: string,
  to: string,
  body: LargeBody,
): Promise<LargeBody> {
  const linked = { ...body, name: newLargeName() };
  await storage.ensureFolder(`${to}/${LARGE_FOLDER}`);
  await storage.link(largePath(from, body.name), largePath(to, linked.name));
  return linked;
}
