import type { FoundRecord, SegmentWalk, Stretch } from "./segment_walk.ts";
import type { RecordStretch } from "./stretch_list.ts";

interface Opened {
  readonly walk: SegmentWalk;
  /** Whose stretch it is; null while it is being read. */
  owner: object | null;
  readonly segment: number;
  from: number;
  readonly to: number;
}

/** Reads stretches again. The one read last is kept open, because reading mostly goes on where it was left. */
export class StretchCursor {
  readonly #openWalk: () => SegmentWalk;
  #opened: Opened | null = null;

  constructor(openWalk: () => SegmentWalk) {
    this.#openWalk = openWalk;
  }

  /** Where the part that is open ends; the stretch may have grown since. */
  get end(): number {
    return this.#opened?.to ?? 0;
  }

  /** Goes to the start of a stretch. */
  open(owner: object, stretch: RecordStretch): void {
    const opened = this.#opened;
    const isThere = opened?.owner === owner && opened.segment === stretch.segment &&
      opened.from === stretch.from;
    if (isThere) opened.owner = null;
    else this.reopen(stretch);
  }

  /** Goes to the start of a stretch, whatever is open. */
  reopen(stretch: RecordStretch): void {
    this.close();
    const walk = this.#openWalk();
    walk.add(unread(stretch));
    const { segment, from, to } = stretch;
    this.#opened = { walk, owner: null, segment, from, to };
  }

  /** The next record, or null at the end. */
  next(): FoundRecord | null | Promise<FoundRecord | null> {
    return this.#opened?.walk.next() ?? null;
  }

  /** Stays open at `from` for the same owner. */
  leave(owner: object, from: number): void {
    if (!this.#opened) return;
    this.#opened.owner = owner;
    this.#opened.from = from;
  }

  /** Gives the file back if it was left open for this owner. */
  forget(owner: object): void {
    if (this.#opened?.owner === owner) this.close();
  }

  /** Gives the file back. */
  close(): void {
    this.#opened?.walk.close();
    this.#opened = null;
  }
}

/** A stretch as a part of the way of a walk. */
export function unread({ segment, from, to }: Pick<RecordStretch, "segment" | "from" | "to">): Stretch {
  return { segment, from, to, fileBytes: null };
}
