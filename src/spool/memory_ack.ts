/**
 * The way into a partition for nodes that acknowledge before the disk has the record (`spool.ack: memory`).
 *
 * Why: a disk whose sync is slow, or wears out by it, is asked for one sync in a while instead of one for each answer.
 * What it costs is a window of loss, and this file is what bounds it: what is acknowledged and not on disk is never
 * more than `bytesMax`, and was acknowledged within one period of `delayMs`. Where the next record would leave that
 * window its append waits for the disk, as every append does otherwise; so pressure and slow disks end in answers that
 * wait, never in a larger loss. Large bodies always wait for the disk.
 *
 * Records are written in rounds, each begun half of `delayMs` after its first record, which leaves the other half for
 * the disk. Room in the disk budget is taken before the acknowledgement, so it cannot be what fails later.
 *
 * Failures: what could not be written stays in memory and is tried again with the next round, on a new segment. As long
 * as there is any, nothing is acknowledged from memory, and what arrives waits for that round and is refused if it
 * fails too. Only what the disk still refuses at the very end is given up, and accounted for.
 */
import type { Clock } from "../core/clock.ts";
import { logger } from "../telemetry/log.ts";
import type { LargeUpload } from "./large_upload.ts";
import type { PartitionWriter } from "./partition_writer.ts";
import { recordBytes, type SpoolRecord } from "./record.ts";
import type { AppendEntry } from "./segment_appender.ts";
import type { SpoolError } from "./spool_error.ts";

/** Options of {@link MemoryAck}. */
export interface MemoryAckOptions {
  readonly writer: PartitionWriter;
  readonly clock: Clock;
  /** Most bytes of records that are acknowledged and not on disk. */
  readonly bytesMax: number;
  /** Longest time between the first and the last acknowledgement of records that are not on disk, ms. */
  readonly delayMs: number;
  /** Called at the end for each record that was acknowledged but never written. */
  readonly onLost: (record: SpoolRecord) => void;
}

/** Acknowledges records before they are on disk, within a bounded window. */
export class MemoryAck {
  readonly #o: MemoryAckOptions;
  /** Acknowledged, and not handed to the writer. */
  #held: HeldRecord[] = [];
  #heldSinceMs = 0;
  /** When the first record of the round being written was acknowledged. */
  #writingSinceMs: number | null = null;
  /** Bytes acknowledged and not on disk. */
  #bytes = 0;
  #round: Promise<void> | null = null;
  #hurry = new AbortController();
  /** Why records of the last round are still held. */
  #failure: SpoolError | null = null;
  #isClosed = false;

  constructor(options: MemoryAckOptions) {
    this.#o = options;
  }

  /** Bytes acknowledged and not on disk. */
  get unwrittenBytes(): number {
    return this.#bytes;
  }

  /**
   * Resolves once the record is acknowledged: at once, or when it is durable.
   *
   * @throws {SpoolError} the record is refused: `full`, `no_space`, `io_error` or `closed`
   */
  append(record: SpoolRecord): Promise<void> {
    const { writer, clock } = this.#o;
    const bytes = recordBytes(record);
    const now = clock.monotonic();
    if (
      this.#isClosed || record.isLarge || !this.#isWithinWindow(bytes, now) || writer.reserve(bytes) !== null
    ) {
      return this.#appendDurably(record);
    }
    if (this.#held.length === 0) this.#heldSinceMs = now;
    this.#held.push(new HeldRecord(record, bytes));
    this.#bytes += bytes;
    this.#start();
    return DONE;
  }

  /**
   * Starts a body of its own file; its record waits for the disk.
   *
   * @throws {SpoolError} it is refused: `no_space`, `io_error` or `closed`
   */
  openLarge(): Promise<LargeUpload> {
    return this.#o.writer.openLarge();
  }

  /** Refuses further appends; resolves when everything acknowledged is on disk, or given up, and the writer closed. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#hurry.abort();
    await this.#round;
    if (this.#held.length > 0) await this.#write();
    const lost = this.#held;
    this.#held = [];
    for (const { record, bytes } of lost) {
      this.#bytes -= bytes;
      this.#o.onLost(record);
    }
    if (lost.length > 0) {
      logger("spool").error("Acknowledged records could not be written", {
        records: lost.length,
        error: this.#failure?.message,
      });
    }
    await this.#o.writer.close();
  }

  #isWithinWindow(bytes: number, now: number): boolean {
    if (this.#failure !== null || this.#bytes + bytes > this.#o.bytesMax) return false;
    const sinceMs = this.#writingSinceMs ?? (this.#held.length > 0 ? this.#heldSinceMs : now);
    return now - sinceMs <= this.#o.delayMs;
  }

  async #appendDurably(record: SpoolRecord): Promise<void> {
    if (this.#failure === null) this.#hurry.abort();
    else if (!this.#isClosed) {
      await this.#start();
      if (this.#failure) throw this.#failure;
    }
    await this.#o.writer.append(record);
  }

  #start(): Promise<void> {
    return this.#round ??= this.#run();
  }

  async #run(): Promise<void> {
    await this.#o.clock.sleep(this.#o.delayMs / 2, this.#hurry.signal);
    if (!this.#isClosed) this.#hurry = new AbortController();
    await this.#write();
    this.#round = null;
    if (this.#held.length > 0 && !this.#isClosed) void this.#start();
  }

  /** Hands everything to the writer; what fails is held again, before what came meanwhile. */
  async #write(): Promise<void> {
    const records = this.#held;
    this.#held = [];
    this.#writingSinceMs = this.#heldSinceMs;
    const round = new Round(records.length);
    for (const record of records) record.write(this.#o.writer, round);
    await round.finished;
    this.#bytes -= round.writtenBytes;
    this.#failure = round.error;
    if (round.failed.length > 0) {
      this.#held = [...round.failed, ...this.#held];
      this.#heldSinceMs = this.#writingSinceMs;
    }
    this.#writingSinceMs = null;
  }
}

const DONE: Promise<void> = Promise.resolve();

/** Outcome of the records that are written together. */
class Round {
  readonly failed: HeldRecord[] = [];
  writtenBytes = 0;
  error: SpoolError | null = null;
  readonly finished: Promise<void>;
  #finish: () => void;
  #left: number;

  constructor(records: number) {
    this.#left = records;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.finished = promise;
    this.#finish = resolve;
    if (records === 0) resolve();
  }

  done(record: HeldRecord, error: SpoolError | null): void {
    if (error === null) this.writtenBytes += record.bytes;
    else {
      this.failed.push(record);
      this.error = error;
    }
    if (--this.#left === 0) this.#finish();
  }
}

/** A record that is acknowledged; one object for each, because there are many. */
class HeldRecord implements AppendEntry {
  readonly flags = 0;
  #round: Round | null = null;
  #isReserved = true;

  constructor(readonly record: SpoolRecord, readonly bytes: number) {}

  write(writer: PartitionWriter, round: Round): void {
    this.#round = round;
    const refusal = this.#isReserved ? null : writer.reserve(this.bytes);
    if (refusal) return round.done(this, refusal);
    this.#isReserved = true;
    writer.write(this);
  }

  done(error: SpoolError | null): void {
    this.#isReserved = error === null;
    this.#round!.done(this, error);
  }
}
