/**
 * The machine's file-system.
 *
 * A new or replaced file is synced together with its folder, because a file whose name is not durable is as lost as
 * one whose bytes are not.
 */
// "node:fs/promises" of older runtimes lacks statfs.
import { promises as files } from "node:fs";
import { systemClock } from "../core/clock.ts";
import { lockFile } from "./file_lock.ts";
import {
  type Storage,
  type StorageEntry,
  StorageError,
  type StorageErrorKind,
  type StorageFile,
  type StorageLock,
  type StorageOpenMode,
} from "./storage.ts";

const KINDS: Readonly<Record<string, StorageErrorKind>> = {
  ENOSPC: "no_space",
  EDQUOT: "no_space",
  ENOENT: "not_found",
  EEXIST: "exists",
  ENOTDIR: "exists",
};

/** Unit in which systems say how much a file occupies. */
const STAT_BLOCK_BYTES = 512;
const OWNER_MAY_WRITE = 0o200;
/** Sparse files are written once, by whoever created them; that they may not be opened for writing marks them. */
const SPARSE_MODE = 0o400;

class DiskStorage implements Storage {
  list(folder: string): Promise<StorageEntry[]> {
    return guarded(folder, async () => {
      const entries: StorageEntry[] = [];
      for await (const { name, isDirectory } of Deno.readDir(folder)) {
        const sizes = isDirectory ? { bytes: 0, occupied: 0 } : await sizesOf(`${folder}/${name}`);
        if (sizes !== null) entries.push({ name, isFolder: isDirectory, ...sizes });
      }
      return entries;
    });
  }

  ensureFolder(folder: string): Promise<void> {
    return guarded(folder, async () => {
      await Deno.mkdir(folder, { recursive: true, mode: 0o700 });
      await syncFolder(parentOf(folder));
    });
  }

  open(path: string, mode: StorageOpenMode): Promise<StorageFile> {
    return guarded(path, async () => {
      if (mode === "read") return new DiskFile(await Deno.open(path, { read: true }), path);
      const bits = mode === "create_sparse" ? SPARSE_MODE : 0o600;
      const file = await Deno.open(path, { write: true, createNew: true, mode: bits });
      try {
        await syncFolder(parentOf(path));
      } catch (error) {
        file.close();
        throw error;
      }
      return new DiskFile(file, path);
    });
  }

  readFile(path: string): Promise<Uint8Array> {
    return guarded(path, () => Deno.readFile(path));
  }

  replaceFile(path: string, bytes: Uint8Array): Promise<void> {
    const temporary = `${path}.tmp`;
    return guarded(path, async () => {
      const file = await Deno.open(temporary, { write: true, create: true, truncate: true, mode: 0o600 });
      try {
        for (let rest = bytes; rest.length > 0;) rest = rest.subarray(await file.write(rest));
        await file.syncData();
      } finally {
        file.close();
      }
      await Deno.rename(temporary, path);
      await syncFolder(parentOf(path));
    });
  }

  remove(path: string): Promise<void> {
    return guarded(path, () => Deno.remove(path));
  }

  rename(from: string, to: string): Promise<void> {
    return guarded(from, async () => {
      await Deno.rename(from, to);
      await syncFolder(parentOf(to));
      await syncFolder(parentOf(from));
    });
  }

  link(from: string, to: string): Promise<void> {
    return guarded(from, async () => {
      await Deno.link(from, to);
      await syncFolder(parentOf(to));
    });
  }

  removeFolder(folder: string): Promise<void> {
    return guarded(folder, () => Deno.remove(folder));
  }

  freeBytes(folder: string): Promise<number> {
    return guarded(folder, async () => {
      const { bavail, bsize } = await files.statfs(folder);
      return Number(bavail) * Number(bsize);
    });
  }

  lock(path: string): Promise<StorageLock | string> {
    return guarded(path, () => lockFile(path, systemClock));
  }
}

/** {@link Storage} on disk. */
export const diskStorage: Storage = new DiskStorage();

/** An open file; keeps its own position so that sequential calls need no seek. */
class DiskFile implements StorageFile {
  readonly #file: Deno.FsFile;
  readonly #path: string;
  #position = 0;

  constructor(file: Deno.FsFile, path: string) {
    this.#file = file;
    this.#path = path;
  }

  size(): Promise<number> {
    return guarded(this.#path, async () => (await this.#file.stat()).size);
  }

  write(chunks: readonly Uint8Array[], position: number): Promise<number> {
    return guarded(this.#path, async () => {
      await this.#moveTo(position);
      let total = 0;
      for (const chunk of chunks) {
        const written = chunk.length === 0 ? 0 : await this.#file.write(chunk);
        this.#position += written;
        total += written;
        if (written < chunk.length) break;
      }
      return total;
    });
  }

  read(into: Uint8Array, position: number): Promise<number> {
    return guarded(this.#path, async () => {
      await this.#moveTo(position);
      const read = await this.#file.read(into) ?? 0;
      this.#position += read;
      return read;
    });
  }

  async sync(): Promise<void> {
    await guarded(this.#path, () => this.#file.syncData());
    // Bytes without a name end with the process, however often they are synced.
    if (this.#file.statSync().nlink === 0) throw new StorageError("not_found", `${this.#path}: deleted`);
  }

  occupied(): Promise<number> {
    return guarded(this.#path, async () => occupiedBytes(await this.#file.stat()));
  }

  truncate(bytes: number): Promise<void> {
    return guarded(this.#path, () => this.#file.truncate(bytes));
  }

  close(): void {
    this.#file.close();
  }

  async #moveTo(position: number): Promise<void> {
    if (this.#position === position) return;
    this.#position = -1;
    this.#position = await this.#file.seek(position, Deno.SeekMode.Start);
  }
}

/** Sizes of a file, or null when it was removed since its folder was listed. */
async function sizesOf(path: string): Promise<Pick<StorageEntry, "bytes" | "occupied"> | null> {
  try {
    const info = await Deno.lstat(path);
    return { bytes: info.size, occupied: occupiedBytes(info) };
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    throw error;
  }
}

/** Not every system tells. */
function occupiedBytes({ size, blocks, mode }: Pick<Deno.FileInfo, "size" | "blocks" | "mode">): number {
  const isSparse = mode !== null && (mode & OWNER_MAY_WRITE) === 0;
  return blocks === null || !isSparse ? size : Math.min(size, blocks * STAT_BLOCK_BYTES);
}

async function syncFolder(folder: string): Promise<void> {
  const handle = await Deno.open(folder, { read: true });
  try {
    await handle.sync();
  } finally {
    handle.close();
  }
}

function parentOf(path: string): string {
  const slash = path.lastIndexOf("/");
  if (slash < 0) return ".";
  return slash === 0 ? "/" : path.slice(0, slash);
}

async function guarded<T>(path: string, call: () => Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (cause) {
    const code = cause instanceof Error && "code" in cause ? String(cause.code) : "";
    const message = cause instanceof Error ? cause.message : String(cause);
    throw new StorageError(KINDS[code] ?? "io", `${path}: ${message}`, { cause });
  }
}
