/**
 * Batches of log lines on disk that wait to be sent.
 *
 * A file per batch, and not the spool's segments: a batch is what is sent, retried and dropped, so there is nothing to
 * settle within a file and no checkpoint to keep. What a restart finds is sent again.
 *
 * Limits: bytes of all files; beyond them the oldest batches give way.
 */
import { type Storage, StorageError } from "../spool/storage.ts";

/** A batch on disk. */
export interface StoredBatch {
  readonly number: number;
  readonly lines: number;
  readonly bytes: number;
}

/** Options of {@link LogBuffer.open}. */
export interface LogBufferOptions {
  readonly storage: Storage;
  readonly folder: string;
  readonly bytesMax: number;
  /** Form of the batches, e.g. `loki.gzip`; those of another form cannot be sent. */
  readonly form: string;
  /** Batches that are gone without having been sent. */
  onDropped(lines: number, reason: "buffer_full" | "other_form"): void;
}

const NAME = /^(\d{12})-(\d+)\.([a-z.]+)$/;

/** Queue of batches on disk. */
export class LogBuffer {
  readonly #batches: StoredBatch[] = [];
  #bytes = 0;
  #next = 1;

  private constructor(private readonly o: LogBufferOptions) {}

  /** Opens the folder, with what an earlier run left. @throws {StorageError} */
  static async open(options: LogBufferOptions): Promise<LogBuffer> {
    const buffer = new LogBuffer(options);
    const { storage, folder, form } = options;
    await storage.ensureFolder(folder);
    for (const { name, bytes } of await storage.list(folder)) {
      const [, number, lines, found] = NAME.exec(name) ?? [];
      if (number === undefined) continue;
      buffer.#next = Math.max(buffer.#next, Number(number) + 1);
      if (found === form) buffer.#batches.push({ number: Number(number), lines: Number(lines), bytes });
      else {
        await storage.remove(`${folder}/${name}`);
        options.onDropped(Number(lines), "other_form");
      }
    }
    buffer.#batches.sort((a, b) => a.number - b.number);
    buffer.#bytes = buffer.#batches.reduce((sum, { bytes }) => sum + bytes, 0);
    await buffer.#makeRoom(0);
    return buffer;
  }

  /** Bytes on disk. */
  get bytes(): number {
    return this.#bytes;
  }

  /** The batch that has waited longest, or null. */
  get oldest(): StoredBatch | null {
    return this.#batches[0] ?? null;
  }

  /** Adds a batch. @throws {StorageError} it is not on disk */
  async add(body: Uint8Array, lines: number): Promise<void> {
    await this.#makeRoom(body.length);
    const batch = { number: this.#next++, lines, bytes: body.length };
    await this.o.storage.replaceFile(this.#path(batch), body);
    this.#batches.push(batch);
    this.#bytes += batch.bytes;
  }

  /** Bytes of a batch; null when it is gone. @throws {StorageError} */
  async read(batch: StoredBatch): Promise<Uint8Array | null> {
    try {
      return await this.o.storage.readFile(this.#path(batch));
    } catch (error) {
      if (StorageError.isNotFound(error)) return null;
      throw error;
    }
  }

  /** Forgets a batch. @returns whether it was still there */
  async remove(batch: StoredBatch): Promise<boolean> {
    const index = this.#batches.indexOf(batch);
    if (index < 0) return false;
    this.#batches.splice(index, 1);
    this.#bytes -= batch.bytes;
    await this.o.storage.remove(this.#path(batch)).catch(() => {});
    return true;
  }

  async #makeRoom(bytes: number): Promise<void> {
    while (this.#bytes + bytes > this.o.bytesMax && this.#batches.length > 0) {
      const oldest = this.#batches[0]!;
      await this.remove(oldest);
      this.o.onDropped(oldest.lines, "buffer_full");
    }
  }

  #path({ number, lines }: StoredBatch): string {
    return `${this.o.folder}/${String(number).padStart(12, "0")}-${lines}.${this.o.form}`;
  }
}
