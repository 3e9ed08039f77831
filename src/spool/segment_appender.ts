/**
 * Appends records to the segments of one folder, with group commit.
 *
 * Everything that waits when a commit starts shares one write and one sync; what arrives meanwhile waits for the next.
 * So the price of a sync is shared by more records the busier the node is, and a lone record waits for nobody.
 *
 * A segment is only ever appended to by the appender that created it, and only as long as nothing went wrong: after
 * any failure it is cut back to its last durable byte and never written again, because a failed sync may have dropped
 * pages that look written. The next commit opens a new segment.
 */
import { crc32 } from "node:zlib";
import type { Clock } from "../core/clock.ts";
import { crc32Of } from "./crc32.ts";
import { encodeHeader, FLAG_LARGE, HEADER_BYTES, recordBytes, type SpoolRecord } from "./record.ts";
import { segmentPath } from "./segment_name.ts";
import { SpoolError } from "./spool_error.ts";
import { type Storage, StorageError, type StorageFile } from "./storage.ts";
import { writeFully } from "./write_fully.ts";

/** A commit takes no further record once it has this many bytes. */
const COMMIT_BYTES = 1 << 20;
/** Records up to this size are gathered into one buffer; the pieces of larger ones are written where they lie. */
const GATHER_BYTES = 1 << 16;
/** What the disk has to take to be called well: more than an ordinary record. */
const PROBE_BYTES = 1 << 16;

/** A group commit that is durable. */
export interface Commit {
  readonly segment: number;
  /** Durable bytes of the segment. */
  readonly offset: number;
  /** Sequence of the next record. */
  readonly sequence: number;
  readonly records: number;
  readonly bytes: number;
  readonly elapsedMs: number;
}

/** Options of {@link SegmentAppender}. */
export interface AppenderOptions {
  readonly storage: Storage;
  readonly folder: string;
  /** Number of the first segment it creates; nothing in the folder or its checkpoint has it or a higher one. */
  readonly firstSegment: number;
  readonly firstSequence: number;
  /** Bytes after which a segment is complete; a single record may be larger. */
  readonly segmentBytesMax: number;
  readonly clock: Clock;
  /** Called after the sync, before the appends resolve. */
  readonly onCommit: (commit: Commit) => void;
  /** Called when a commit failed, with the bytes that are not on disk. */
  readonly onFailure: (error: SpoolError, records: number, bytesFreed: number) => void;
}

/** A record to be written, and whom to tell. */
export interface AppendEntry {
  readonly record: SpoolRecord;
  /** Its {@link recordBytes}. */
  readonly bytes: number;
  /** Of the record's header. */
  readonly flags: number;
  /** Called once: with `null` when the record is durable, otherwise why it is not. */
  done(error: SpoolError | null): void;
}

/** Group committing writer of a folder's segments. */
export class SegmentAppender {
  readonly #o: AppenderOptions;
  #queue: AppendEntry[] = [];
  #running: Promise<void> | null = null;
  #closed = false;

  #file: StorageFile | null = null;
  #segment: number;
  #offset = 0;
  #sequence: number;
  #gather = new Uint8Array(0);
  #gatherView = new DataView(this.#gather.buffer);

  constructor(options: AppenderOptions) {
    this.#o = options;
    this.#segment = options.firstSegment - 1;
    this.#sequence = options.firstSequence;
  }

  /** Whether appends are refused for good. */
  get isClosed(): boolean {
    return this.#closed;
  }

  /** Segment being written, or null when the next append creates one. */
  get openSegment(): number | null {
    return this.#file ? this.#segment : null;
  }

  /**
   * Resolves once the record is durable.
   *
   * @throws {SpoolError} `no_space`, `io_error`, or `closed`
   */
  append(record: SpoolRecord, bytes: number = recordBytes(record), flags = 0): Promise<void> {
    return new Promise((resolve, reject) => {
      this.add({ record, flags, bytes, done: (error) => error === null ? resolve() : reject(error) });
    });
  }

  /** Same as {@link SegmentAppender.append}, without a promise. */
  add(entry: AppendEntry): void {
    if (this.#closed) return entry.done(new SpoolError("closed", "The spool is shut down"));
    this.#queue.push(entry);
    this.#running ??= Promise.resolve().then(() => this.#run());
  }

  /** Resolves with whether the disk takes writes: a segment of nothing is written and removed again. */
  async probe(): Promise<boolean> {
    while (this.#running) await this.#running;
    if (this.#closed) return false;
    let isTaken = false;
    this.#running = this.#tryDisk().then((result) => {
      isTaken = result;
      return this.#run();
    });
    await this.#running;
    return isTaken;
  }

  /** Completes the current segment once nothing waits any more. */
  async roll(): Promise<void> {
    while (this.#running) await this.#running;
    this.#completeSegment();
  }

  /** Refuses further appends, and resolves when those made are durable. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.roll();
  }

  async #run(): Promise<void> {
    while (this.#queue.length > 0) {
      const batch = this.#takeBatch();
      const error = await this.#commit(batch);
      for (const entry of batch) entry.done(error);
    }
    this.#running = null;
  }

  /** The waiting records that fit into one commit and into the segment, at least one. */
  #takeBatch(): AppendEntry[] {
    const max = this.#o.segmentBytesMax;
    if (this.#offset > 0 && this.#offset + this.#queue[0]!.bytes > max) this.#completeSegment();
    const room = Math.min(COMMIT_BYTES, max - this.#offset);
    let bytes = 0;
    let count = 0;
    while (count < this.#queue.length) {
      bytes += this.#queue[count]!.bytes;
      if (count > 0 && bytes > room) break;
      count++;
    }
    return this.#queue.splice(0, count);
  }

  async #commit(batch: readonly AppendEntry[]): Promise<SpoolError | null> {
    const { clock } = this.#o;
    const startedAt = clock.monotonic();
    let bytes = 0;
    for (const entry of batch) bytes += entry.bytes;
    try {
      this.#file ??= await this.#createSegment();
      await writeFully(this.#file, this.#encode(batch), this.#offset);
      await this.#file.sync();
    } catch (cause) {
      const error = SpoolError.from(cause);
      const freed = await this.#abandonSegment() ? bytes : 0;
      this.#o.onFailure(error, batch.length, freed);
      return error;
    }
    this.#offset += bytes;
    this.#sequence += batch.length;
    this.#o.onCommit({
      segment: this.#segment,
      offset: this.#offset,
      sequence: this.#sequence,
      records: batch.length,
      bytes,
      elapsedMs: clock.monotonic() - startedAt,
    });
    return null;
  }

  /** A folder that was deleted under the node is made again. */
  async #createSegment(): Promise<StorageFile> {
    const { storage, folder } = this.#o;
    const path = segmentPath(folder, ++this.#segment);
    try {
      return await storage.open(path, "create");
    } catch (error) {
      if (!StorageError.isNotFound(error)) throw error;
      await storage.ensureFolder(folder);
      return await storage.open(path, "create");
    }
  }

  async #tryDisk(): Promise<boolean> {
    try {
      this.#completeSegment();
      this.#file = await this.#createSegment();
      await writeFully(this.#file, [new Uint8Array(PROBE_BYTES)], 0);
      await this.#file.sync();
      return await this.#abandonSegment();
    } catch {
      await this.#abandonSegment();
      return false;
    }
  }

  /** The bytes of a batch: small records copied into one reused buffer, large bodies as they are. */
  #encode(batch: readonly AppendEntry[]): Uint8Array[] {
    let room = 0;
    for (const { record, bytes } of batch) room += copied(record, bytes);
    if (this.#gather.length < room) {
      this.#gather = new Uint8Array(Math.max(GATHER_BYTES, 2 ** Math.ceil(Math.log2(room))));
      this.#gatherView = new DataView(this.#gather.buffer);
    }
    const gather = this.#gather;
    const chunks: Uint8Array[] = [];
    let from = 0;
    let at = 0;
    let sequence = this.#sequence;
    for (const { record, bytes, flags } of batch) {
      const { meta, body } = record;
      const start = at;
      gather.set(meta, at += HEADER_BYTES);
      at += meta.length;
      const isLarge = bytes > GATHER_BYTES;
      if (!isLarge) {
        for (const piece of body) {
          gather.set(piece, at);
          at += piece.length;
        }
      }
      encodeHeader(gather, this.#gatherView, start, {
        metaBytes: meta.length,
        bodyBytes: bytes - HEADER_BYTES - meta.length,
        payloadCrc: isLarge ? crc32Of([meta, ...body]) : crc32(gather.subarray(start + HEADER_BYTES, at)),
        flags: record.isLarge ? flags | FLAG_LARGE : flags,
        receivedAtMs: record.receivedAtMs,
        sequence: sequence++,
        projectHash: record.projectHash,
        categoryLow: record.categoryBits[0],
        categoryHigh: record.categoryBits[1],
      });
      if (isLarge) {
        chunks.push(gather.subarray(from, at), ...body);
        from = at;
      }
    }
    if (at > from) chunks.push(gather.subarray(from, at));
    return chunks;
  }

  #completeSegment(): void {
    this.#file?.close();
    this.#file = null;
    this.#offset = 0;
  }

  /** Seals a segment that failed at its last durable byte; false when what was written could not be cut off. */
  async #abandonSegment(): Promise<boolean> {
    const file = this.#file;
    if (!file) return true;
    const durable = this.#offset;
    this.#file = null;
    this.#offset = 0;
    let isCut = await succeeds(file.truncate(durable));
    await succeeds(file.sync());
    if (durable === 0) {
      const isRemoved = await succeeds(this.#o.storage.remove(segmentPath(this.#o.folder, this.#segment)));
      isCut ||= isRemoved;
    }
    file.close();
    return isCut;
  }
}

/** For what is tried on a disk that is in trouble already; the failure that counts has been reported. */
function succeeds(call: Promise<void>): Promise<boolean> {
  return call.then(() => true, () => false);
}

function copied(record: SpoolRecord, bytes: number): number {
  return bytes > GATHER_BYTES ? HEADER_BYTES + record.meta.length : bytes;
}
