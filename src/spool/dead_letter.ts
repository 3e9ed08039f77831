/**
 * The dead letter of a partition: records that were given up, kept for whoever wants to look at them.
 *
 * It holds the same records in the same kind of segments, in a folder of its own; the reason stands in front of the
 * meta (dead_record.ts). A large body gets a second name in its folder, and goes with the segment of its record. All dead
 * letters of a node are bounded together (dead_letter_share.ts): when they are full, or when the whole spool is, an oldest
 * segment goes. They must never be what keeps new traffic out.
 */
import type { Clock } from "../core/clock.ts";
import { METRICS } from "../telemetry/catalogue.ts";
import { logger } from "../telemetry/log.ts";
import type { Metrics } from "../telemetry/registry.ts";
import { DeadBodies } from "./dead_bodies.ts";
import { DeadLetterShare } from "./dead_letter_share.ts";
import { joinReason } from "./dead_record.ts";
import type { SpaceBudget } from "./disk_budget.ts";
import { decodeLargeBody, encodeLargeBody, type LargeBody } from "./large_body.ts";
import { FLAG_DEAD, recordBytes, type SpoolRecord } from "./record.ts";
import { SegmentAppender } from "./segment_appender.ts";
import { DEAD_FOLDER, listSegments, type SegmentFile, segmentPath } from "./segment_name.ts";
import { SpoolError } from "./spool_error.ts";
import { type Storage, StorageError } from "./storage.ts";

/** Segments the even share of a lane is divided into, so that making room costs this part of it at most. */
const SEGMENTS = 8;
/** How long a lane within its share waits for the others to give way. Longer is a lane that is not there. */
const GIVE_WAY_MS = 2000;
/** How long it asks no more after that: many records must not wait one after the other, least of all while the node stops. */
const ASK_PAUSE_MS = 10_000;

/** Options of {@link DeadLetter.open}. */
export interface DeadLetterOptions {
  readonly storage: Storage;
  /** Folder of the partition. */
  readonly folder: string;
  readonly budget: SpaceBudget;
  readonly clock: Clock;
  readonly metrics: Metrics;
  /** Bound of the segments and large bodies of all lanes together; read at use. */
  readonly bytesMax: number;
  /** What the other lanes hold; nothing when absent. */
  readonly share?: DeadLetterShare;
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
  readonly #bodies: DeadBodies;
  /** Segments that `seal` named. Numbers start over once a later life finds none, so nothing else may be discarded. */
  readonly #sealed = new Set<number>();
  readonly #share: DeadLetterShare;
  readonly #closing = new AbortController();
  /** From when on other lanes may be asked again. */
  #askAgainMs = -Infinity;
  #turn: Promise<unknown> = Promise.resolve();
  #givingWay: Promise<void> = Promise.resolve();

  private constructor(
    options: DeadLetterOptions,
    folder: string,
    segments: Map<number, number>,
    bodies: DeadBodies,
  ) {
    this.#o = options;
    this.#folder = folder;
    this.#segments = segments;
    this.#bodies = bodies;
    const share = options.share ?? new DeadLetterShare(DeadLetterShare.createBuffer(1), 0);
    this.#share = share;
    share.bytes = [...segments.values()].reduce((sum, bytes) => sum + bytes, bodies.bytes);
    this.#appender = new SegmentAppender({
      ...options,
      folder,
      firstSegment: Math.max(0, ...segments.keys()) + 1,
      firstSequence: 0,
      get segmentBytesMax() {
        return share.of(options.bytesMax) / SEGMENTS;
      },
      onCommit: ({ segment, offset }) => this.#segments.set(segment, offset),
      onFailure: (_error, _records, bytesFreed) => this.#release(bytesFreed),
    });
    if (!share.isAlone) this.#givingWay = this.#giveWay();
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
      const bodies = await DeadBodies.open({ ...options, partition: options.folder, folder }, segments);
      return new DeadLetter(options, folder, sizes, bodies);
    } catch (cause) {
      throw SpoolError.from(cause);
    }
  }

  /** Bytes of all its segments and large bodies. */
  get bytes(): number {
    return this.#share.bytes;
  }

  /**
   * Resolves with true once the record is durable, with false when there is no room even without older ones.
   *
   * @throws {SpoolError} `no_space`, `io_error` or `closed`
   */
  append(record: SpoolRecord, reason: string): Promise<boolean> {
    return this.#inTurn(() => this.#append(record, reason));
  }

  /** Completes the segment being written; resolves with all segments, oldest first, none of which grows any more. */
  seal(): Promise<SegmentFile[]> {
    return this.#inTurn(async () => {
      await this.#appender.roll();
      for (const number of this.#segments.keys()) this.#sealed.add(number);
      return [...this.#segments].map(([number, bytes]) => ({ number, bytes, length: bytes }));
    });
  }

  /**
   * Deletes a segment that {@link DeadLetter.seal} named in this life; any other is left alone.
   *
   * @throws {SpoolError} `io_error`
   */
  discard(segment: number): Promise<void> {
    return this.#inTurn(async () => {
      if (this.#sealed.has(segment)) await this.#delete(segment);
    });
  }

  /** Refuses further records, and resolves when those appended are durable. */
  async close(): Promise<void> {
    this.#closing.abort();
    await this.#givingWay;
    await this.#turn;
    await this.#appender.close();
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#turn.then(work);
    this.#turn = turn.catch(() => {});
    return turn;
  }

  async #append(record: SpoolRecord, reason: string): Promise<boolean> {
    const dead = { ...record, meta: joinReason(reason, record.meta) };
    const bytes = recordBytes(dead);
    const large = record.isLarge ? decodeLargeBody(record.body[0]!) : null;
    if (!await this.#makeRoom(bytes + (large?.bytes ?? 0))) return false;
    const linked = large && await this.#link(large, bytes);
    const body = linked ? [encodeLargeBody(linked)] : record.body;
    try {
      await this.#appender.append({ ...dead, body }, bytes, FLAG_DEAD);
    } catch (error) {
      if (linked) this.#release(await this.#bodies.drop(linked));
      throw error;
    }
    if (linked) this.#bodies.add([...this.#segments.keys()].at(-1)!, linked);
    this.#o.metrics.add(METRICS.deadLetters);
    return true;
  }

  /** Takes the room for a record, at the cost of older ones. */
  async #makeRoom(bytes: number): Promise<boolean> {
    const { bytesMax } = this.#o;
    if (bytes > bytesMax) return false;
    if (this.#tryTake(bytes)) return true;
    const isWithinShare = this.bytes + bytes <= this.#share.of(bytesMax);
    if (isWithinShare && await this.#askOthers(bytes)) return true;
    while (await this.#evictOldest()) if (this.#tryTake(bytes)) return true;
    return false;
  }

  #tryTake(bytes: number): boolean {
    if (!this.#share.tryTake(bytes, this.#o.bytesMax)) return false;
    if (this.#o.budget.tryReserve(bytes)) return true;
    this.#share.bytes -= bytes;
    return false;
  }

  /** Takes the room for a record as soon as lanes beyond their shares have given way; false when they do not. */
  async #askOthers(bytes: number): Promise<boolean> {
    const share = this.#share;
    const { clock } = this.#o;
    const isShort = (): boolean => share.isShort(this.#o.bytesMax);
    const startMs = clock.monotonic();
    if (startMs < this.#askAgainMs) return false;
    share.ask(bytes);
    while (isShort() && clock.monotonic() < startMs + GIVE_WAY_MS) await share.changed(clock, isShort);
    const isTaken = this.#tryTake(bytes);
    if (!isTaken) this.#askAgainMs = clock.monotonic() + ASK_PAUSE_MS;
    return isTaken;
  }

  /** Deletes what is beyond the share of this lane whenever another one within its own asks for room. */
  async #giveWay(): Promise<void> {
    const share = this.#share;
    const { clock } = this.#o;
    const { signal } = this.#closing;
    const mayStay = (): boolean => !share.mustGive(this.#o.bytesMax);
    while (!signal.aborted) {
      if (mayStay()) await share.changed(clock, mayStay, signal);
      else if (!await this.#inTurn(async () => mayStay() || await this.#tryEvict())) {
        await share.changed(clock, undefined, signal);
      }
    }
  }

  async #tryEvict(): Promise<boolean> {
    try {
      return await this.#evictOldest();
    } catch (error) {
      logger("spool").error("The dead letter cannot make room: {error}", { folder: this.#folder, error });
      return false;
    }
  }

  /** @param recordBytes taken for the record beside its body */
  async #link(large: LargeBody, recordBytes: number): Promise<LargeBody> {
    try {
      return await this.#bodies.link(large);
    } catch (error) {
      this.#release(recordBytes + large.bytes);
      throw SpoolError.from(error);
    }
  }

  /** Deletes the oldest segment; false when there is none. */
  async #evictOldest(): Promise<boolean> {
    for (const [segment, bytes] of this.#segments) {
      if (segment === this.#appender.openSegment) await this.#appender.roll();
      await this.#delete(segment);
      logger("spool").warn("The dead letter is full; its oldest segment was deleted", {
        folder: this.#folder,
        bytes,
      });
      this.#o.onEvicted?.(bytes);
      return true;
    }
    return false;
  }

  async #delete(segment: number): Promise<void> {
    try {
      await this.#o.storage.remove(segmentPath(this.#folder, segment));
    } catch (error) {
      if (!StorageError.isNotFound(error)) throw SpoolError.from(error);
    }
    const bytes = this.#segments.get(segment) ?? 0;
    this.#segments.delete(segment);
    this.#sealed.delete(segment);
    this.#release(bytes + await this.#bodies.dropOf(segment));
  }

  #release(bytes: number): void {
    this.#o.budget.release(bytes);
    this.#share.release(bytes);
  }
}
