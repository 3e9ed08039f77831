/**
 * The ingest half's end of a partition: records go in, and are durable when {@link PartitionWriter.append} resolves.
 *
 * The writer starts a new segment with every life and never touches an older one, so a torn tail is simply where a
 * segment ends. Its number is above every one that is on disk or in the checkpoint, otherwise a new record might be
 * taken for one that was settled. How far it got is published in the control block; that is all the reader knows of it.
 */
import type { Clock, Timer } from "../core/clock.ts";
import { METRICS } from "../telemetry/catalogue.ts";
import { logger } from "../telemetry/log.ts";
import type { Metrics } from "../telemetry/registry.ts";
import { readCheckpoint } from "./checkpoint.ts";
import type { ControlBlock } from "./control_block.ts";
import type { SpaceBudget } from "./disk_budget.ts";
import { decodeLargeBody, removeParts } from "./large_body.ts";
import { LargeUpload } from "./large_upload.ts";
import type { ProjectBytes } from "./project_bytes.ts";
import { recordBytes, type SpoolRecord } from "./record.ts";
import { type AppendEntry, type Commit, SegmentAppender } from "./segment_appender.ts";
import { listSegments } from "./segment_name.ts";
import { SpoolError } from "./spool_error.ts";
import type { Storage } from "./storage.ts";

/** How often a disk that refused a write is tried, because nobody sends to a node that is not ready. */
const PROBE_MS = 1000;

/** Options of {@link PartitionWriter.open}. */
export interface PartitionWriterOptions {
  readonly storage: Storage;
  /** Folder of the partition. */
  readonly folder: string;
  readonly control: ControlBlock;
  readonly budget: SpaceBudget;
  readonly clock: Clock;
  readonly metrics: Metrics;
  /** Bytes after which a segment is complete; a single record may be larger. */
  readonly segmentBytesMax: number;
  /** Told what is appended of each project, if anybody wants to know. */
  readonly projects?: Pick<ProjectBytes, "append" | "settle"> | null;
}

/** Writer of one partition. */
export class PartitionWriter {
  readonly #control: ControlBlock;
  readonly #budget: SpaceBudget;
  readonly #metrics: Metrics;
  readonly #folder: string;
  readonly #appender: SegmentAppender;
  readonly #clock: Clock;
  readonly #storage: Storage;
  readonly #projects: PartitionWriterOptions["projects"];
  #probe: Timer | null = null;

  private constructor(options: PartitionWriterOptions, firstSegment: number) {
    this.#control = options.control;
    this.#budget = options.budget;
    this.#metrics = options.metrics;
    this.#folder = options.folder;
    this.#storage = options.storage;
    this.#clock = options.clock;
    this.#projects = options.projects;
    const firstSequence = this.#control.position().sequence;
    this.#appender = new SegmentAppender({
      ...options,
      get segmentBytesMax() {
        return options.segmentBytesMax;
      },
      firstSegment,
      firstSequence,
      onCommit: (commit) => this.#committed(commit),
      onFailure: (error, _records, bytesFreed) => this.#failed(error, bytesFreed),
    });
    this.#metrics.set(METRICS.spoolUnhealthy, 0);
    this.#control.unhealthy = false;
    this.#control.publish(firstSegment, 0, firstSequence);
  }

  /**
   * Opens the partition for writing. The first append creates the first segment.
   *
   * @throws {SpoolError} when the folder cannot be read
   */
  static async open(options: PartitionWriterOptions): Promise<PartitionWriter> {
    const { storage, folder, control } = options;
    try {
      await storage.ensureFolder(folder);
      // What a writer that died had reserved for them.
      options.budget.release(await removeParts(storage, folder));
      const { segments } = await listSegments(storage, folder);
      const { highest } = await readCheckpoint(storage, folder);
      const last = Math.max(segments.at(-1)?.number ?? 0, highest, control.position().segment);
      return new PartitionWriter(options, last + 1);
    } catch (cause) {
      throw SpoolError.from(cause);
    }
  }

  /**
   * Resolves once the record is durable, in the order of the calls.
   *
   * @param flags of the record's header
   * @throws {SpoolError} the record is refused: `full`, `no_space`, `io_error` or `closed`
   */
  append(record: SpoolRecord, flags = 0): Promise<void> {
    const bytes = recordBytes(record);
    const refusal = this.reserve(bytes);
    if (refusal) return Promise.reject(this.#refused(refusal));
    return new Promise((resolve, reject) => {
      this.write({
        record,
        bytes,
        flags,
        done: (error) => error === null ? resolve() : reject(this.#refused(error)),
      });
    });
  }

  /**
   * Starts a body of its own file, for a record that is appended once that is sealed.
   *
   * @throws {SpoolError} it is refused: `no_space`, `io_error` or `closed`
   */
  async openLarge(): Promise<LargeUpload> {
    if (this.#appender.isClosed) throw this.#refused(new SpoolError("closed", "The spool is shut down"));
    return await LargeUpload.create({
      storage: this.#storage,
      folder: this.#folder,
      budget: this.#budget,
      onFailure: (error) => {
        this.#refused(error);
        if (error.kind !== "full") this.#failed(error, 0);
      },
    });
  }

  /** Takes the room for a record that will be handed to {@link PartitionWriter.write}; says why if there is none. */
  reserve(bytes: number): SpoolError | null {
    if (this.#appender.isClosed) return new SpoolError("closed", "The spool is shut down");
    return this.#budget.tryReserve(bytes) ? null : new SpoolError("full", "The spool has reached its bound");
  }

  /** Gives back room that was taken for something that will not be written. */
  release(bytes: number): void {
    this.#budget.release(bytes);
  }

  /** Writes a record whose room is reserved. If that fails the room is given back. */
  write(entry: AppendEntry): void {
    this.#appender.add(this.#projects ? this.#counted(entry, this.#projects) : entry);
  }

  /** Counted before it is written: it may be read and settled before it is acknowledged. */
  #counted(entry: AppendEntry, projects: Pick<ProjectBytes, "append" | "settle">): AppendEntry {
    const { record, bytes, flags } = entry;
    const total = bytes + (record.isLarge ? decodeLargeBody(record.body[0]!).bytes : 0);
    projects.append(record.projectHash, total, this.#clock.now());
    const done = (error: SpoolError | null): void => {
      if (error) projects.settle(record.projectHash, total);
      entry.done(error);
    };
    return { record, bytes, flags, done };
  }

  /** Refuses further appends, and resolves when those made are durable. */
  async close(): Promise<void> {
    this.#probe?.cancel();
    await this.#appender.close();
    this.#probe?.cancel();
  }

  #refused(error: SpoolError): SpoolError {
    this.#metrics.add(METRICS.spoolRefused, 1, error.kind);
    return error;
  }

  #committed({ segment, offset, sequence, records, bytes, elapsedMs }: Commit): void {
    this.#control.publish(segment, offset, sequence);
    this.#metrics.add(METRICS.spoolAppended, records);
    this.#metrics.add(METRICS.spoolAppendedBytes, bytes);
    this.#metrics.add(METRICS.spoolCommits);
    this.#metrics.observe(METRICS.spoolCommitTime, elapsedMs / 1000);
    if (this.#control.unhealthy) this.#setHealth(null);
  }

  #failed(error: SpoolError, bytesFreed: number): void {
    this.#budget.release(bytesFreed);
    if (this.#control.unhealthy) return;
    this.#setHealth(error);
    this.#probeLater();
  }

  #probeLater(): void {
    this.#probe = this.#clock.after(PROBE_MS, () => void this.#probeDisk());
  }

  async #probeDisk(): Promise<void> {
    if (!this.#control.unhealthy) return;
    if (await this.#appender.probe()) this.#setHealth(null);
    else if (!this.#appender.isClosed) this.#probeLater();
  }

  #setHealth(error: SpoolError | null): void {
    this.#control.unhealthy = error !== null;
    this.#metrics.set(METRICS.spoolUnhealthy, error ? 1 : 0);
    const log = logger("spool");
    if (error) log.error("The disk refuses writes", { folder: this.#folder, error: error.message });
    else log.info("The disk takes writes again", { folder: this.#folder });
  }
}
