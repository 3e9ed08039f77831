/**
 * The dead letter of a partition: records that were given up, kept for whoever wants to look at them.
 *
 * It holds the same records in the same kind of segments, in a folder of its own. The reason stands in front of the
 * meta: two bytes of length, the reason in UTF-8, then the meta as it was. It is bounded: when it is full, or when the
 * whole spool is, its oldest segment goes. It must never be what keeps new traffic out.
 */
import type { Clock } from "../core/clock.ts";
import { METRICS } from "../telemetry/catalogue.ts";
import { logger } from "../telemetry/log.ts";
import type { Metrics } from "../telemetry/registry.ts";
import type { SpaceBudget } from "./disk_budget.ts";
import { FLAG_DEAD, recordBytes, type RecordPosition, type SpoolRecord } from "./record.ts";
import { SegmentAppender } from "./segment_appender.ts";
import { DEAD_FOLDER, listSegments, segmentPath } from "./segment_name.ts";
import { SegmentScanner } from "./segment_scanner.ts";
import { SpoolError } from "./spool_error.ts";
import { type Storage, StorageError } from "./storage.ts";

/** Segments the bound is divided into, so that making room costs this part of it at most. */
const SEGMENTS = 8;

/** A record in the dead letter. */
export interface DeadRecord {
  readonly position: RecordPosition;
  readonly receivedAtMs: number;
  readonly projectHash: number;
  readonly categoryBits: readonly [number, number];
  /** Why it was given up. */
  readonly reason: string;
  readonly meta: Uint8Array;
  readonly body: Uint8Array;
}

/** Options of {@link DeadLetter.open}. */
export interface DeadLetterOptions {
  readonly storage: Storage;
  /** Folder of the partition. */
  readonly folder: string;
  readonly budget: SpaceBudget;
  readonly clock: Clock;
  readonly metrics: Metrics;
  /** Bound of all its segments together. */
  readonly bytesMax: number;
  /** Called with the size of a segment that was deleted to make room. */
  readonly onEvicted?: (bytes: number) => void;
}

/** Bounded store of the records that were given up. */
export class DeadLetter {
  readonly #o: DeadLetterOptions;
  readonly #folder: string;
  readonly #appender: SegmentAppender;
  /** Durable bytes by segment, oldest first. */
  readonly #segments: Map<number, number>;
  #bytes = 0;
  #turn: Promise<unknown> = Promise.resolve();

  private constructor(options: DeadLetterOptions, folder: string, segments: Map<number, number>) {
    this.#o = options;
    this.#folder = folder;
    this.#segments = segments;
    for (const bytes of segments.values()) this.#bytes += bytes;
    this.#appender = new SegmentAppender({
      ...options,
      folder,
      firstSegment: Math.max(0, ...segments.keys()) + 1,
      firstSequence: 0,
      segmentBytesMax: options.bytesMax / SEGMENTS,
      onCommit: ({ segment, offset }) => this.#segments.set(segment, offset),
      onFailure: (_error, _records, bytesFreed) => this.#release(bytesFreed),
    });
  }

  /**
   * Opens the dead letter of a partition, creating its folder.
   *
   * @throws {SpoolError} when the folder cannot be read
   */
  static async open(options: DeadLetterOptions): Promise<DeadLetter> {
    const folder = `${options.folder}/${DEAD_FOLDER}`;
    try {
      await options.storage.ensureFolder(folder);
      const { segments } = await listSegments(options.storage, folder);
      const sizes = new Map(segments.map(({ number, bytes }) => [number, bytes]));
      return new DeadLetter(options, folder, sizes);
    } catch (cause) {
      throw SpoolError.from(cause);
    }
  }

  /** Bytes of all its segments. */
  get bytes(): number {
    return this.#bytes;
  }

  /**
   * Resolves with true once the record is durable, with false when there is no room even without older ones.
   *
   * @throws {SpoolError} `no_space`, `io_error` or `closed`
   */
  append(record: SpoolRecord, reason: string): Promise<boolean> {
    const turn = this.#turn.then(() => this.#append(record, reason));
    this.#turn = turn.catch(() => {});
    return turn;
  }

  /** All records, oldest first; damaged ones are left out. */
  async *list(): AsyncGenerator<DeadRecord> {
    for (const [segment, end] of [...this.#segments]) {
      const file = await this.#openSegment(segment);
      if (!file) continue;
      try {
        const scanner = new SegmentScanner(file);
        for (;;) {
          const step = await scanner.next(end);
          if (step.kind === "end") break;
          if (step.kind === "gap") continue;
          const { offset, bytes, header, body } = step;
          yield {
            position: { segment, offset, bytes },
            receivedAtMs: header.receivedAtMs,
            projectHash: header.projectHash,
            categoryBits: [header.categoryLow, header.categoryHigh],
            ...splitMeta(step.meta, header.flags),
            body,
          };
        }
      } finally {
        file.close();
      }
    }
  }

  /** Refuses further records, and resolves when those appended are durable. */
  async close(): Promise<void> {
    await this.#turn;
    await this.#appender.close();
  }

  async #append(record: SpoolRecord, reason: string): Promise<boolean> {
    const dead = { ...record, meta: joinMeta(reason, record.meta) };
    const bytes = recordBytes(dead);
    while (this.#bytes + bytes > this.#o.bytesMax || !this.#o.budget.tryReserve(bytes)) {
      if (bytes > this.#o.bytesMax || !await this.#evictOldest()) return false;
    }
    this.#bytes += bytes;
    await this.#appender.append(dead, bytes, FLAG_DEAD);
    this.#o.metrics.add(METRICS.deadLetters);
    return true;
  }

  /** Deletes the oldest segment; false when there is none. */
  async #evictOldest(): Promise<boolean> {
    for (const [segment, bytes] of this.#segments) {
      if (segment === this.#appender.openSegment) await this.#appender.roll();
      try {
        await this.#o.storage.remove(segmentPath(this.#folder, segment));
      } catch (error) {
        if (!StorageError.isNotFound(error)) throw SpoolError.from(error);
      }
      this.#segments.delete(segment);
      this.#release(bytes);
      logger("spool").warn("The dead letter is full; its oldest segment was deleted", {
        folder: this.#folder,
        bytes,
      });
      this.#o.onEvicted?.(bytes);
      return true;
    }
    return false;
  }

  #release(bytes: number): void {
    this.#bytes -= bytes;
    this.#o.budget.release(bytes);
  }

  async #openSegment(segment: number) {
    try {
      return await this.#o.storage.open(segmentPath(this.#folder, segment), "read");
    } catch (error) {
      if (StorageError.isNotFound(error)) return null;
      throw SpoolError.from(error);
    }
  }
}

function joinMeta(reason: string, meta: Uint8Array): Uint8Array {
  const joined = new Uint8Array(2 + 3 * reason.length + meta.length);
  const { written } = new TextEncoder().encodeInto(reason, joined.subarray(2, 2 + 0xffff));
  new DataView(joined.buffer).setUint16(0, written, true);
  joined.set(meta, 2 + written);
  return joined.subarray(0, 2 + written + meta.length);
}

function splitMeta(meta: Uint8Array, flags: number): { reason: string; meta: Uint8Array } {
  if ((flags & FLAG_DEAD) === 0 || meta.length < 2) return { reason: "", meta };
  const end = 2 + (meta[0]! | meta[1]! << 8);
  return { reason: new TextDecoder().decode(meta.subarray(2, end)), meta: meta.subarray(end) };
}
