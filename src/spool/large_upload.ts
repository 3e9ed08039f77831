/**
 * A large body on its way to the disk.
 *
 * Written piece by piece, each reserved in the disk budget before; {@link LargeUpload.seal} makes it durable and gives it
 * its name. Until a record names it, it is its owner's to discard. After any failure nothing of it is trusted.
 */
import { extendCrc32, patchCrc32 } from "./crc32.ts";
import type { SpaceBudget } from "./disk_budget.ts";
import {
  LARGE_FOLDER,
  LARGE_PIECE_BYTES,
  type LargeBody,
  largePath,
  newLargeName,
  partPath,
  removeIfThere,
} from "./large_body.ts";
import { SpoolError } from "./spool_error.ts";
import { type Storage, StorageError, type StorageFile } from "./storage.ts";
import { writeFully } from "./write_fully.ts";

/** Options of {@link LargeUpload.create}. */
export interface LargeUploadOptions {
  readonly storage: Storage;
  /** Folder of the partition. */
  readonly folder: string;
  readonly budget: SpaceBudget;
  /** Called once when the disk fails or there is no room. */
  readonly onFailure: (error: SpoolError) => void;
}

/** A body that is being written; it has one owner, who makes one call after the other. */
export class LargeUpload {
  readonly #o: LargeUploadOptions;
  readonly #name = newLargeName();
  #file: StorageFile | null = null;
  #bytes = 0;
  #reserved = 0;
  #crc = 0;
  #path: string;
  #isKept = false;

  private constructor(options: LargeUploadOptions) {
    this.#o = options;
    this.#path = partPath(options.folder, this.#name);
  }

  /**
   * Starts a body.
   *
   * @throws {SpoolError} `no_space` or `io_error`
   */
  static async create(options: LargeUploadOptions): Promise<LargeUpload> {
    const upload = new LargeUpload(options);
    await upload.#guarded(() => upload.#create());
    return upload;
  }

  /** Bytes written so far. */
  get bytes(): number {
    return this.#bytes;
  }

  /**
   * Appends chunks; they may be changed once it resolved.
   *
   * @throws {SpoolError} `full`, `no_space` or `io_error`; what remains is to discard
   */
  async write(chunks: readonly Uint8Array[]): Promise<void> {
    let bytes = 0;
    for (const chunk of chunks) bytes += chunk.length;
    if (bytes === 0) return;
    await this.#guarded(async () => {
      if (!this.#o.budget.tryReserve(bytes)) {
        throw new SpoolError("full", "The spool has reached its bound");
      }
      this.#reserved += bytes;
      await writeFully(this.#file!, chunks, this.#bytes);
    });
    for (const chunk of chunks) this.#crc = extendCrc32(this.#crc, chunk);
    this.#bytes += bytes;
  }

  /**
   * Puts `after` in the place of `before`, which was written at `position` and is as long; before {@link LargeUpload.seal}, so
   * what is sealed is whole.
   *
   * @throws {SpoolError} `no_space` or `io_error`; what remains is to discard
   */
  async patch(position: number, before: Uint8Array, after: Uint8Array): Promise<void> {
    await this.#guarded(() => writeFully(this.#file!, [after], position));
    this.#crc = patchCrc32(this.#crc, before, after, this.#bytes - position - before.length);
  }

  /**
   * What was written so far, from the start; a piece is good until the next is asked for.
   *
   * @throws {SpoolError} `io_error`
   */
  async *read(): AsyncGenerator<Uint8Array> {
    const file = await this.#guarded(() => this.#o.storage.open(this.#path, "read"));
    try {
      const piece = new Uint8Array(Math.min(LARGE_PIECE_BYTES, this.#bytes));
      for (let at = 0; at < this.#bytes;) {
        const into = piece.subarray(0, this.#bytes - at);
        const read = await this.#guarded(() => file.read(into, at));
        if (read === 0) throw new SpoolError("io_error", `${this.#path}: ends too early`);
        at += read;
        yield into.subarray(0, read);
      }
    } finally {
      file.close();
    }
  }

  /**
   * Makes the body durable, ready to be named by a record.
   *
   * @throws {SpoolError} `no_space` or `io_error`; what remains is to discard
   */
  async seal(): Promise<LargeBody> {
    const { storage, folder } = this.#o;
    await this.#guarded(async () => {
      await this.#file!.sync();
      this.#close();
      const path = largePath(folder, this.#name);
      await storage.rename(this.#path, path);
      this.#path = path;
    });
    return { name: this.#name, bytes: this.#bytes, crc: this.#crc };
  }

  /** A record names the body and is durable: from now on it is the record's. */
  keep(): void {
    this.#isKept = true;
  }

  /** Removes the body unless it was kept, and gives back what it took. Never fails. */
  async discard(): Promise<void> {
    if (this.#isKept) return;
    this.#isKept = true;
    this.#close();
    // A rename that failed may have taken effect. What cannot be removed now is removed at the next start.
    for (const path of new Set([this.#path, largePath(this.#o.folder, this.#name)])) {
      await removeIfThere(this.#o.storage, path).catch(() => false);
    }
    this.#o.budget.release(this.#reserved);
  }

  async #create(): Promise<void> {
    const { storage, folder } = this.#o;
    try {
      this.#file = await storage.open(this.#path, "create");
    } catch (error) {
      if (!StorageError.isNotFound(error)) throw error;
      await storage.ensureFolder(`${folder}/${LARGE_FOLDER}`);
      this.#file = await storage.open(this.#path, "create");
    }
  }

  async #guarded<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (cause) {
      const error = SpoolError.from(cause);
      this.#o.onFailure(error);
      throw error;
    }
  }

  #close(): void {
    this.#file?.close();
    this.#file = null;
  }
}
