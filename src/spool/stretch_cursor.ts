/**
 * Reads stretches again, each to its end or as far as is wanted.
 *
 * Why it keeps the last file open and reads ahead in it: when projects are released together, or take turns, the next
 * stretch mostly lies right behind the last one, even if it is another project's. So what lies within one chunk is
 * read once; what lies far apart is read by itself.
 */
import { CHUNK_BYTES } from "./segment_scanner.ts";
import type { FoundRecord, SegmentWalk, Stretch } from "./segment_walk.ts";
import type { RecordStretch } from "./stretch_list.ts";

/** A record that is this many times smaller than the chunk it lies in is copied, so that it does not hold on to that. */
const CHUNK_RATIO_MAX = 2;

/** Cursor over stretches of a partition. */
export class StretchCursor {
  readonly #openWalk: () => SegmentWalk;
  readonly #chunkBytes: number;
  #walk: SegmentWalk | null = null;
  #segment = 0;
  #to = 0;

  constructor(openWalk: () => SegmentWalk, chunkBytes = CHUNK_BYTES) {
    this.#openWalk = openWalk;
    this.#chunkBytes = chunkBytes;
  }

  /** Goes to the start of a stretch. */
  open(stretch: RecordStretch): void {
    this.#walk ??= this.#openWalk();
    const { segment, from, to } = stretch;
    const ahead = from - this.#to;
    const isNear = segment === this.#segment && ahead >= 0 && ahead < this.#chunkBytes;
    this.#walk.goTo(unread(stretch), isNear);
    this.#segment = segment;
    this.#to = to;
  }

  /** The next record, or null if the rest of the stretch is gone; not to be asked at its end. */
  next(): FoundRecord | null | Promise<FoundRecord | null> {
    const found = this.#walk?.next() ?? null;
    return found instanceof Promise ? found.then(light) : light(found);
  }

  /** Gives the file back. */
  close(): void {
    this.#walk?.close();
    this.#walk = null;
    this.#segment = 0;
  }
}

/** A stretch as a part of the way of a walk. */
export function unread(
  { segment, from, to }: Pick<RecordStretch, "segment" | "from" | "to">,
): Stretch & { readonly to: number } {
  return { segment, from, to, fileBytes: null };
}

function light(found: FoundRecord | null): FoundRecord | null {
  if (!found || found.meta.buffer.byteLength <= CHUNK_RATIO_MAX * found.bytes) return found;
  return { ...found, meta: found.meta.slice(), body: found.body.slice() };
}
