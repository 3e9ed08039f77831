/**
 * The ingest half's end of a partition: records go in, and are durable when {@link PartitionWriter.append} resolves.
 *
 * The writer starts a new segment with every life and never touches an older one, so a torn tail is simply where a
 * segment ends. Its number is above every one that is on disk or in the checkpoint, otherwise a new record might be
 * taken for one that was settled. How far it got is published in the control block; that is all the reader knows of it.
 */
import type { Clock } from "../core/clock.ts";
import { METRICS } from "../telemetry/catalogue.ts";
import { logger } from "../telemetry/log.ts";
import type { Metrics } from "../telemetry/registry.ts";
import { readCheckpoint } from "./checkpoint.ts";
import type { ControlBlock } from "./control_block.ts";
import type { SpaceBudget } from "./disk_budget.ts";
import { recordBytes, type SpoolRecord } from "./record.ts";
import { type Commit, SegmentAppender } from "./segment_appender.ts";
import { listSegments } from "./segment_name.ts";
import { SpoolError } from "./spool_error.ts";
import type { Storage } from "./storage.ts";

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
}

/** Writer of one partition. */
export class PartitionWriter {
  readonly #control: ControlBlock;
  readonly #budget: SpaceBudget;
  readonly #metrics: Metrics;
  readonly #folder: string;
  readonly #appender: SegmentAppender;

  private constructor(options: PartitionWriterOptions, firstSegment: number) {
    this.#control = options.control;
    this.#budget = options.budget;
    this.#metrics = options.metrics;
    this.#folder = options.folder;
    const firstSequence = this.#control.position().sequence;
    this.#appender = new SegmentAppender({
      ...options,
      firstSegment,
      firstSequence,
      onCommit: (commit) => this.#committed(commit),
      onFailure: (error, records, bytesFreed) => this.#failed(error, records, bytesFreed),
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
    if (this.#appender.isClosed) return this.#refuse("closed", "The spool is shut down");
    const bytes = recordBytes(record);
    if (!this.#budget.tryReserve(bytes)) return this.#refuse("full", "The spool has reached its bound");
    return this.#appender.append(record, bytes, flags);
  }

  /** Refuses further appends, and resolves when those made are durable. */
  close(): Promise<void> {
    return this.#appender.close();
  }

  #refuse(kind: "full" | "closed", message: string): Promise<never> {
    this.#metrics.add(METRICS.spoolRefused, 1, kind);
    return Promise.reject(new SpoolError(kind, message));
  }

  #committed({ segment, offset, sequence, records, bytes, elapsedMs }: Commit): void {
    this.#control.publish(segment, offset, sequence);
    this.#metrics.add(METRICS.spoolAppended, records);
    this.#metrics.add(METRICS.spoolAppendedBytes, bytes);
    this.#metrics.add(METRICS.spoolCommits);
    this.#metrics.observe(METRICS.spoolCommitTime, elapsedMs / 1000);
    if (this.#control.unhealthy) this.#setHealth(null);
  }

  #failed(error: SpoolError, records: number, bytesFreed: number): void {
    this.#budget.release(bytesFreed);
    this.#metrics.add(METRICS.spoolRefused, records, error.kind);
    if (!this.#control.unhealthy) this.#setHealth(error);
  }

  #setHealth(error: SpoolError | null): void {
    this.#control.unhealthy = error !== null;
    this.#metrics.set(METRICS.spoolUnhealthy, error ? 1 : 0);
    const log = logger("spool");
    if (error) log.error("The disk refuses writes", { folder: this.#folder, error: error.message });
    else log.info("The disk takes writes again", { folder: this.#folder });
  }
}
