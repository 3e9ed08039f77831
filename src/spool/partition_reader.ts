/**
 * The forward half's end of a partition: records come out, each at least once, fresh ones before the backlog.
 *
 * Reading and settling are apart. Reading goes once through the segments; where a record ended is reported later and in
 * any order by {@link PartitionReader.settle}, and a record nobody settles is read again after a restart.
 *
 * Order: two walks (segment_walk.ts). The fresh one follows the writer, the other takes the backlog, oldest first. Fresh
 * records go first, so that after an outage new events show at once; while they come without a pause, the backlog
 * still gets its share. A fresh walk that finds a record which is no longer fresh has fallen behind: it leaves
 * everything up to the writer to the backlog and goes on from there. Within each, projects take turns (fair_walk.ts).
 *
 * A project can be put on hold (held_projects.ts): what is found of it is noted and passed over until it is released.
 *
 * Cost: a walk has one file open and a chunk of it in memory, and the backlog is a list of stretches, one for each time
 * the fresh walk fell behind. Opening a partition costs the same however much waits in it.
 */
import { METRICS } from "../telemetry/catalogue.ts";
import { logger } from "../telemetry/log.ts";
import type { WritePosition } from "./control_block.ts";
import { FAIR_LIMITS } from "./fair_limits.ts";
import { FairWalk } from "./fair_walk.ts";
import { HELD_STRETCHES_MAX, HeldProjects, stretchOf } from "./held_projects.ts";
import { type LargeBody, largeBodyOf } from "./large_body.ts";
import { LargeLeftovers } from "./large_leftovers.ts";
import { readLargeBody } from "./large_reader.ts";
import { FLAG_REQUEUED, type RecordPosition } from "./record.ts";
import { openForReading } from "./partition_folder.ts";
import type { PartitionReaderOptions } from "./partition_reader_options.ts";
import { readRecordAt } from "./read_record.ts";
import { ReceiptTimes } from "./receipt_times.ts";
import { SegmentLedger } from "./segment_ledger.ts";
import type { SegmentFile } from "./segment_name.ts";
import { type FoundRecord, SegmentWalk, type SpoolLoss, type Stretch } from "./segment_walk.ts";
import { SpoolError } from "./spool_error.ts";
import { type ReadRecord, type StoredRecord, storedRecord } from "./stored_record.ts";
import { StretchList, StretchPool } from "./stretch_list.ts";
import { UnreadableStretches } from "./unreadable_stretches.ts";

export type { PartitionReaderOptions, RecordPosition, SpoolLoss, StoredRecord };

type Found = FoundRecord | null | Promise<FoundRecord | null>;

/** Reader of one partition. */
export class PartitionReader {
  readonly #o: PartitionReaderOptions;
  readonly #ledger: SegmentLedger;
  /** Where the writer was when this reader was opened: what lies before may have been handed out already. */
  readonly #openedAt: WritePosition;
  /** To be looked at several times a second ({@link ReceiptTimes.look}). */
  readonly times: ReceiptTimes;
  readonly #unsettled = new Set<RecordPosition>();
  readonly #fresh: FairWalk;
  readonly #freshWalk: SegmentWalk;
  readonly #backlog: FairWalk;
  readonly #backlogWalk: SegmentWalk;
  readonly #pool = new StretchPool();
  readonly #heldBack: HeldProjects;
  /** Records of the writer's life that are in the backlog and not read; null until the first of them is seen. */
  #backlogUnread: number | null;
  #backlogCredit = 0;
  readonly #leftovers: LargeLeftovers;
  readonly #unreadable: UnreadableStretches;

  private constructor(
    options: PartitionReaderOptions,
    ledger: SegmentLedger,
    openedAt: WritePosition,
    existing: readonly SegmentFile[],
    highest: number,
  ) {
    const last = Math.max(highest, existing.at(-1)?.number ?? 0);
    this.#o = options;
    this.#ledger = ledger;
    this.#openedAt = openedAt.segment > 0 ? openedAt : { segment: last + 1, offset: 0, sequence: 0 };
    this.times = new ReceiptTimes(options.clock, options.control, this.#openedAt);
    this.#unreadable = new UnreadableStretches(options);
    const onLoss = (loss: SpoolLoss): void => this.#lose(loss);
    this.#freshWalk = new SegmentWalk({ ...options, ledger, onLoss });
    this.#backlogWalk = new SegmentWalk({ ...options, ledger, onLoss });
    // What a project's queue goes back to stays listed there until it gives up.
    const openWalk = (): SegmentWalk =>
      new SegmentWalk({ ...options, ledger, onLoss: (loss) => this.#tell(loss) });
    this.#heldBack = new HeldProjects({
      pool: this.#pool,
      get recordAgeMsMax() {
        return options.recordAgeMsMax;
      },
      stretchesMax: options.heldStretchesMax ?? HELD_STRETCHES_MAX,
    });
    const common = {
      limits: options.fairLimits ?? FAIR_LIMITS,
      pool: this.#pool,
      openWalk,
      onLoss,
      divert: (found: FoundRecord) => this.#divert(found),
      receivedMs: (found: FoundRecord) => this.#receivedMs(found),
      isBlocked: () => this.#heldBack.isFull,
    };
    this.#fresh = new FairWalk({
      ...common,
      walk: this.#freshWalk,
      isStale: (found) => options.clock.monotonic() - this.#receivedMs(found) > options.freshMs,
      onRead: ({ header }) => this.#report(header.sequence + 1),
      onStale: (left, found, records) => this.#leave(left, found, records),
    });
    this.#backlog = new FairWalk({
      ...common,
      walk: this.#backlogWalk,
      isStale: () => false,
      onRead: (found) => {
        this.#leftovers.claim(found);
        this.#countDown(found);
        options.projects?.found(found);
      },
      onStale: () => {},
    });
    this.#leftovers = new LargeLeftovers(options, options.leftovers ?? []);
    this.#divide(existing);
    this.#backlogUnread = openedAt.sequence > 0 ? null : 0;
    options.control.reportRead(openedAt.sequence, 0);
    this.#reportHeld();
  }

  /**
   * Opens the partition for reading, whatever state a crash left it in.
   *
   * @throws {SpoolError} `io_error` when the folder or the checkpoint cannot be read
   */
  static async open(options: PartitionReaderOptions): Promise<PartitionReader> {
    const { storage, folder, control } = options;
    try {
      // Before the files are listed: whatever is created after that has this number or a higher one.
      const openedAt = control.position();
      const { segments, checkpoint } = await openForReading(storage, folder);
      const ledger = new SegmentLedger(options, checkpoint, segments);
      return new PartitionReader(options, ledger, openedAt, segments, checkpoint.highest);
    } catch (cause) {
      throw SpoolError.from(cause);
    }
  }

  /** Records handed out that are not settled. */
  get inHand(): number {
    return this.#unsettled.size;
  }

  /** Projects on hold, and the records of them that were found. */
  get held(): { readonly projects: number; readonly records: number } {
    return this.#heldBack;
  }

  /** Whether a project is on hold. */
  isOnHold(projectHash: number): boolean {
    return this.#heldBack.has(projectHash);
  }

  /**
   * Hands out nothing more of a project until it is released, but what is past the age limit. The records of it that
   * are in hand stay there.
   */
  hold(projectHash: number): void {
    this.#hold(projectHash, new StretchList(this.#pool));
  }

  /** Takes back a record that is in hand, and puts its project on hold. */
  giveBack({ position, projectHash, receivedMs, requeued }: StoredRecord): void {
    if (!this.#unsettled.delete(position)) return;
    const found = new StretchList(this.#pool);
    found.push(stretchOf(position, requeued ? this.#o.clock.monotonic() : receivedMs));
    this.#hold(projectHash, found);
  }

  /** Ends the hold on a project: what was held is backlog, in its turn. */
  release(projectHash: number): void {
    const held = this.#heldBack.release(projectHash);
    if (!held) return;
    this.#backlog.adopt(projectHash, held);
    this.#reportHeld();
    this.#o.control.wake();
  }

  /**
   * The next record, or null when there is nothing durable to read now; a promise only if the disk has to be read.
   * Must not be called again before that resolved.
   *
   * @throws {SpoolError} `io_error`: the disk cannot be read. Nothing was skipped; try again after a while.
   */
  next(): StoredRecord | null | Promise<StoredRecord | null> {
    this.times.follow();
    this.#letGoOfTheOld();
    if (this.#unreadable.isDue) return this.#readAgain();
    if (this.#leftovers.isOpen) this.#leftovers.removeIf(this.#backlog.isThrough);
    if (this.#isBacklogsTurn()) return this.#nextOf(this.#backlog, this.#fresh);
    return this.#nextOf(this.#fresh, this.#backlog);
  }

  /** Resolves when there may be more to read, after a second at the latest, or as soon as `signal` aborts. */
  async wait(signal?: AbortSignal): Promise<void> {
    const { control, clock } = this.#o;
    const seen = control.wakes;
    if (!this.#fresh.mayHaveMore && !this.#backlog.mayHaveMore) await control.wait(seen, clock, signal);
  }

  /** Notes that the record reached its end. It is on disk after the checkpoint interval; settling twice is harmless. */
  settle(position: RecordPosition): void {
    if (!this.#unsettled.delete(position)) return;
    if (position.large) this.#ledger.discard(position.large);
    this.#o.projects?.settled(position);
    this.#ledger.settle(position.segment, position.offset, position.offset + position.bytes);
    this.#o.metrics.add(METRICS.spoolSettled);
    this.#report(null);
  }

  /**
   * Reads a record again that was handed out and is not settled; see {@link readRecordAt}.
   *
   * @throws {RecordLost|SpoolError}
   */
  async reread(position: RecordPosition): Promise<StoredRecord> {
    return this.#stored(await readRecordAt(this.#o.storage, this.#o.folder, position), position);
  }

  /**
   * The body of a record that has a file of its own, from its start; see {@link readLargeBody}.
   *
   * @throws {LargeBodyLost}
   * @throws {StorageError}
   */
  readLarge(body: LargeBody): AsyncGenerator<Uint8Array> {
    return readLargeBody(this.#o.storage, this.#o.folder, body);
  }

  /** Writes the checkpoint now and deletes the segments that are done. */
  async checkpoint(): Promise<void> {
    try {
      await this.#ledger.checkpoint();
    } catch (cause) {
      throw SpoolError.from(cause);
    }
  }

  /** Writes the last checkpoint; what is not settled is read again by the next reader. */
  async close(): Promise<void> {
    this.#leftovers.removeIf(this.#backlog.isThrough);
    await this.#fresh.close();
    await this.#backlog.close();
    await this.#leftovers.close();
    try {
      await this.#ledger.close();
    } catch (cause) {
      throw SpoolError.from(cause);
    }
  }

  /** What was there when the reader was opened is backlog; what is written from then on is fresh. */
  #divide(existing: readonly SegmentFile[]): void {
    const { segment, offset } = this.#openedAt;
    for (const { number, bytes } of existing) {
      if (number < segment) this.#backlog.add({ segment: number, from: 0, to: null, fileBytes: bytes });
    }
    if (offset > 0) {
      this.#backlog.add({ segment, from: 0, to: offset, fileBytes: null });
      this.#fresh.add({ segment, from: offset, to: null, fileBytes: null });
    }
    this.#freshWalk.follow(offset > 0 ? segment + 1 : segment);
  }

  #divert(found: FoundRecord): boolean {
    if (!this.#heldBack.divert(found, this.#receivedMs(found), this.#o.clock.monotonic())) return false;
    this.#reportHeld();
    return true;
  }

  #hold(projectHash: number, found: StretchList): void {
    found.append(this.#backlog.evict(projectHash));
    found.append(this.#fresh.evict(projectHash));
    this.#heldBack.hold(projectHash, found);
    this.#reportHeld();
  }

  #letGoOfTheOld(): void {
    this.#heldBack.takeExpired(this.#o.clock.monotonic(), (projectHash, stretch) => {
      const old = new StretchList(this.#pool);
      old.push(stretch);
      this.#backlog.adopt(projectHash, old);
      this.#reportHeld();
    });
  }

  #isBacklogsTurn(): boolean {
    this.#backlogCredit = Math.min(1, this.#backlogCredit + this.#o.backlogShare);
    if (this.#backlogCredit < 1) return false;
    this.#backlogCredit = 0;
    return true;
  }

  #nextOf(first: FairWalk, second: FairWalk): StoredRecord | null | Promise<StoredRecord | null> {
    const found = first.next();
    if (found === null || found instanceof Promise) return this.#nextLater(found, second);
    return this.#handOut(found);
  }

  async #nextLater(found: Found, second: FairWalk): Promise<StoredRecord | null> {
    try {
      // The fresh walk may just have left everything to the backlog, which then is asked again.
      const one = await found ?? await second.next() ?? await this.#backlog.next();
      return one && this.#handOut(one);
    } catch (cause) {
      throw SpoolError.from(cause);
    }
  }

  /** A record that an operator put back is old, but says nothing about how far behind a walk is, and never too old. */
  #receivedMs(found: FoundRecord): number {
    const { receivedAtMs, flags } = found.header;
    const isRequeued = (flags & FLAG_REQUEUED) !== 0;
    return isRequeued ? this.#o.clock.monotonic() : this.times.of(found, receivedAtMs);
  }

  #leave(left: readonly Stretch[], found: FoundRecord | null, records: number): void {
    for (const stretch of left) this.#backlog.add(stretch);
    const written = this.#o.control.position();
    const unread = found ? written.sequence - found.header.sequence : records;
    this.#backlogUnread = (this.#backlogUnread ?? 0) + unread;
    this.#report(found ? written.sequence : null);
  }

  #countDown({ segment, header }: FoundRecord): void {
    const first = this.#o.control.firstSegment;
    if (first > 0 && segment >= first) {
      this.#backlogUnread = Math.max(
        0,
        (this.#backlogUnread ?? this.#openedAt.sequence - header.sequence) - 1,
      );
    }
    if (!this.#backlogWalk.mayHaveMore) this.#backlogUnread = 0;
  }

  #handOut(found: FoundRecord): StoredRecord {
    const { segment, offset, bytes } = found;
    const large = largeBodyOf(found);
    const { projectHash } = found.header;
    const place = { segment, offset, bytes, projectHash };
    const position = large ? { ...place, large } : place;
    const record = this.#stored(found, position);
    this.#unsettled.add(position);
    if (record.redelivered) this.#o.metrics.add(METRICS.duplicatesPossible);
    this.#report(null);
    return record;
  }

  #report(readSequence: number | null): void {
    const read = this.#unsettled.size + this.#fresh.size + this.#backlog.size + this.#heldBack.records;
    this.#o.control.reportRead(readSequence, read + (this.#backlogUnread ?? 0));
  }

  #reportHeld(): void {
    const { metrics } = this.#o;
    metrics.set(METRICS.spoolHeldProjects, this.#heldBack.projects);
    metrics.set(METRICS.spoolHeld, this.#heldBack.records);
    this.#report(null);
  }

  #stored(read: ReadRecord, position: RecordPosition): StoredRecord {
    const { segment, offset } = this.#openedAt;
    const redelivered = position.segment < segment ||
      position.segment === segment && position.offset < offset;
    return storedRecord(read, position, this.times.of(position, read.header.receivedAtMs), redelivered);
  }

  async #readAgain(): Promise<StoredRecord | null> {
    for (const stretch of await this.#unreadable.take()) this.#backlog.add(stretch);
    return await this.next();
  }

  #lose(loss: SpoolLoss): void {
    if (loss.kind === "unreadable") {
      // Records that could not be read may name any of them.
      this.#leftovers.abandon();
      this.#unreadable.add(loss);
    }
    this.#tell(loss);
  }

  #tell(loss: SpoolLoss): void {
    const { metrics, folder, onLoss } = this.#o;
    if (loss.kind === "torn") metrics.add(METRICS.spoolTornBytes, loss.bytes);
    else metrics.add(METRICS.spoolCorrupt);
    logger("spool").warn("Bytes of a segment were skipped", { folder, ...loss });
    onLoss?.(loss);
  }
}
