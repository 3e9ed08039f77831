/**
 * The file-system as the spool sees it.
 *
 * Why a seam: what the spool promises is decided by what happens between two calls of a file-system, and a real one
 * does not fail on demand. `disk_storage.ts` is the real one; tests use a simulation that tears writes, runs full,
 * fails and loses power at any call.
 *
 * Every failure is a {@link StorageError}; whoever calls decides by its `kind`.
 */

/** Why a file-system call failed. */
export type StorageErrorKind = "no_space" | "not_found" | "exists" | "io";

/** Failure of a file-system call. */
export class StorageError extends Error {
  override readonly name = "StorageError";

  constructor(readonly kind: StorageErrorKind, message: string, options?: ErrorOptions) {
    super(message, options);
  }

  /** Whether `error` says that there is no such file. */
  static isNotFound(error: unknown): boolean {
    return error instanceof StorageError && error.kind === "not_found";
  }
}

/** An open file. It has one owner, who never has two calls in flight at once. */
export interface StorageFile {
  /** Length, bytes. */
  size(): Promise<number>;
  /** Writes the chunks one after the other from `position` on; resolves with the bytes written, which may be fewer. */
  write(chunks: readonly Uint8Array[], position: number): Promise<number>;
  /** Fills `into` from `position` on; resolves with the bytes read, which may be fewer, 0 at the end of the file. */
  read(into: Uint8Array, position: number): Promise<number>;
  /** Resolves once everything written is durable; `not_found` when the file was deleted since it was opened. */
  sync(): Promise<void>;
  /** What of it takes room on disk, see {@link StorageEntry.occupied}. */
  occupied(): Promise<number>;
  /** Cuts the file to `bytes`, or extends it by a hole. */
  truncate(bytes: number): Promise<void>;
  /** Gives the file back. Never fails. */
  close(): void;
}

/** How a file is opened. */
export type StorageOpenMode = "create" | "create_sparse" | "read";

/** Entry of a folder. */
export interface StorageEntry {
  readonly name: string;
  readonly isFolder: boolean;
  /** Length of a file, 0 of a folder. */
  readonly bytes: number;
  /**
   * What of it takes room on disk: less than its length only of a file that was created as a sparse one, because what a
   * file-system that compresses says of others changes from one look to the next.
   */
  readonly occupied: number;
}

/** A lock held by this process. */
export interface StorageLock {
  release(): void;
}

/** The calls of a file-system that the spool needs. Paths are joined with `/`. */
export interface Storage {
  /** Entries of a folder in no particular order. */
  list(folder: string): Promise<StorageEntry[]>;
  /** Creates a folder and its parents, durably; an existing one is fine. `exists` when something else is there. */
  ensureFolder(folder: string): Promise<void>;
  /**
   * - `create`: a new file for writing whose name is durable at once, `exists` when there is one
   * - `create_sparse`: the same, and what is never written of it takes no room if the file-system can do that
   * - `read`: for reading
   */
  open(path: string, mode: StorageOpenMode): Promise<StorageFile>;
  /** The whole of a small file. */
  readFile(path: string): Promise<Uint8Array>;
  /** Replaces a file or creates it: afterwards, even after a crash, it holds either the old bytes or the new ones. */
  replaceFile(path: string, bytes: Uint8Array): Promise<void>;
  /** Removes a file. After a power loss it may be back until the folder is synced by a later call. */
  remove(path: string): Promise<void>;
  /** Moves a file, durably, in place of one that has the name already. */
  rename(from: string, to: string): Promise<void>;
  /** Gives a file a second name, durably; its bytes stay until both are removed. `exists` when the name is taken. */
  link(from: string, to: string): Promise<void>;
  /** Removes an empty folder. */
  removeFolder(folder: string): Promise<void>;
  /** Bytes that are free on the volume of a folder. */
  freeBytes(folder: string): Promise<number>;
  /** Takes an exclusive lock on a file, creating it; a string names the holder when another process has it. */
  lock(path: string): Promise<StorageLock | string>;
}
