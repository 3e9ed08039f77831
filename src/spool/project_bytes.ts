/**
 * How many bytes of the spool each project occupies, in memory that all lanes share (`shared_table.ts`).
 *
 * For `spool.project_share`: what one project leaves waiting must not take the room of all others. The count is
 * approximate, and made so that its errors pass:
 * - After a start what waits from earlier lives counts from when it is read for the first time, which for a deep
 *   backlog is later than the first new record. A forward half that is replaced counts those again, from zero.
 * - What was settled and not written down when a half died is taken off twice; a count stops at zero.
 * - A project that was pushed out of the table starts at zero. There is room for some {@link ENTRIES} at least.
 */
import type { Clock } from "../core/clock.ts";
import { SharedTable, type Visit } from "../core/shared_table.ts";
import type { ControlBlock } from "./control_block.ts";
import { largeBodyOf } from "./large_body.ts";
import type { RecordPosition } from "./record.ts";
import type { FoundRecord } from "./segment_walk.ts";

/** Projects there is room for. */
const ENTRIES = 32_768;

/** What another isolate needs for a view on the counts. */
export interface ProjectBytesBuffer {
  readonly table: SharedArrayBuffer;
  readonly lanes: number;
}

/** In the first cell: what was appended in this life of the node. Behind it one per lane: what it read of earlier ones. */
const add: Visit = (cells, at, bytes) => cells[at] = Math.max(0, cells[at]! + bytes);

/** View on the counts. */
export class ProjectBytes {
  readonly buffer: ProjectBytesBuffer;
  readonly #table: SharedTable;
  readonly #sum: Visit;
  /** By lane. */
  readonly #addEarlier: readonly Visit[];

  constructor(buffer: ProjectBytesBuffer) {
    this.buffer = buffer;
    this.#table = SharedTable.attach(buffer.table);
    this.#sum = (cells, at) => {
      let bytes = 0;
      for (let cell = 0; cell <= buffer.lanes; cell++) bytes += cells[at + cell]!;
      return bytes;
    };
    this.#addEarlier = Array.from(
      { length: buffer.lanes },
      (_, lane): Visit => (cells, at, bytes, nowMs) => add(cells, at + 1 + lane, bytes, nowMs),
    );
  }

  /** Counts of a node with so many lanes, all zero. */
  static create(lanes: number): ProjectBytes {
    return new ProjectBytes({
      table: SharedTable.create({ entries: ENTRIES, cells: 1 + lanes }).buffer,
      lanes,
    });
  }

  /** Bytes of a project, as far as they are known. */
  of(projectHash: number): number {
    return this.#table.visit(String(projectHash), 0, this.#sum);
  }

  /** Bytes were appended. */
  append(projectHash: number, bytes: number, nowMs: number): void {
    this.#table.update(String(projectHash), nowMs, add, bytes);
  }

  /** Bytes that were appended are settled. */
  settle(projectHash: number, bytes: number): void {
    this.#table.visit(String(projectHash), 0, add, -bytes);
  }

  /** Sets back what a lane has read of earlier lives. */
  forgetEarlier(lane: number): void {
    this.#table.clearCell(1 + lane);
  }

  /** Bytes of an earlier life were found by a lane, or, if negative, settled. */
  addEarlier(projectHash: number, lane: number, bytes: number, nowMs: number): void {
    this.#table.update(String(projectHash), nowMs, this.#addEarlier[lane]!, bytes);
  }
}

/** What the reader of a lane tells; a new one starts over. */
export class LaneProjectBytes {
  constructor(
    private readonly bytes: ProjectBytes,
    private readonly lane: number,
    private readonly control: ControlBlock,
    private readonly clock: Clock,
  ) {
    bytes.forgetEarlier(lane);
  }

  /** A record was read for the first time; those of this life have been counted by the writer. */
  found(found: FoundRecord): void {
    if (!this.#isEarlier(found.segment)) return;
    const bytes = found.bytes + (largeBodyOf(found)?.bytes ?? 0);
    this.bytes.addEarlier(found.header.projectHash, this.lane, bytes, this.clock.now());
  }

  /** A record reached its end. */
  settled({ segment, projectHash, bytes, large }: RecordPosition): void {
    const total = bytes + (large?.bytes ?? 0);
    if (!this.#isEarlier(segment)) this.bytes.settle(projectHash, total);
    else this.bytes.addEarlier(projectHash, this.lane, -total, this.clock.now());
  }

  /** Whether a segment was there before this node started. */
  #isEarlier(segment: number): boolean {
    const { firstSegment } = this.control;
    return firstSegment === 0 || segment < firstSegment;
  }
}
