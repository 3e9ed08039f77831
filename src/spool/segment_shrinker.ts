/**
 * Gives back the room of segments of which only little is still waiting.
 *
 * Why: a segment is deleted whole, so one record of a project on hold, or of an upstream that is down, would keep all of
 * its segment on disk for as long as it waits.
 *
 * How: the segment is replaced by a copy in which long settled ranges are holes. A hole starts with a header that says
 * how long it is ({@link FLAG_HOLE}) and has no bytes on disk behind that; what waits lies where it lay. So nothing that
 * knows a place in the segment has to learn another one, order, age and flags stay, and no record is ever twice on disk.
 *
 * Crash: the copy is durable before a rename puts it in place, and every hole is settled in a checkpoint that was durable
 * before the copy began, so nothing that waits, or is in hand, is ever in one. Should that checkpoint be lost, the holes
 * still say of themselves that nothing is there. A file that is open while it is replaced stays whole for who reads it.
 *
 * Limits: a segment is copied once it would shrink to 1/{@link SHRINK_RATIO} of what it occupies, so all copies of a
 * segment together are smaller than half of it. After each checkpoint it is one segment's turn. The bound of the spool
 * counts what a segment takes on disk, as the file-system says; the bytes of a copy come on top of it until it is in
 * place, because room is wanted most where there is none. A file-system without holes is noticed at the first attempt,
 * which then is the last.
 */
import { encodeHeader, FLAG_HOLE, HEADER_BYTES } from "./record.ts";
import { removeIfThere } from "./large_body.ts";
import { newCopyPath, segmentPath } from "./segment_name.ts";
import { type Storage, StorageError, type StorageFile } from "./storage.ts";
import { writeFully } from "./write_fully.ts";

/** Times smaller that a segment has to become. */
export const SHRINK_RATIO = 4;
/** What a file-system keeps or leaves out as one, bytes. */
const BLOCK_BYTES = 4096;
const PIECE_BYTES = 1 << 18;
/** The length of a hole has 32 bits. */
const SEGMENT_BYTES_MAX = 2 ** 32;

/** How a segment is to be copied. */
export interface ShrinkPlan {
  readonly segment: number;
  /** Length of the segment. */
  readonly end: number;
  /** Start and end of each hole, ascending. */
  readonly holes: readonly number[];
  /** Bytes that the copy takes on disk, as far as can be told. */
  readonly left: number;
}

/**
 * The holes that make a segment small enough to be worth it, or null.
 *
 * @param bounds start and end of each settled range, ascending
 * @param occupied bytes that it occupies now
 */
export function planShrink(
  { segment, end, bounds, occupied, blockBytes = BLOCK_BYTES }: {
    readonly segment: number;
    readonly end: number;
    readonly bounds: readonly number[];
    readonly occupied: number;
    readonly blockBytes?: number | undefined;
  },
): ShrinkPlan | null {
  if (end >= SEGMENT_BYTES_MAX) return null;
  const holes: number[] = [];
  let left = end;
  for (let at = 0; at < bounds.length; at += 2) {
    const [from, to] = [bounds[at]!, bounds[at + 1]!];
    const firstBlock = Math.ceil((from + HEADER_BYTES) / blockBytes) * blockBytes;
    const freed = (to === end ? end : Math.floor(to / blockBytes) * blockBytes) - firstBlock;
    if (freed <= 0) continue;
    holes.push(from, to);
    left -= freed;
  }
  return left * SHRINK_RATIO <= occupied ? { segment, end, holes, left } : null;
}

/**
 * Replaces a segment that nobody writes any more by a copy with holes.
 *
 * @param occupied bytes that it occupies now
 * @returns bytes that it occupies then, or null when the file-system keeps no holes and everything is as it was
 * @throws {StorageError} everything is as it was
 */
export async function shrinkSegment(
  storage: Storage,
  folder: string,
  plan: ShrinkPlan,
  occupied: number,
): Promise<number | null> {
  const copyPath = newCopyPath(folder);
  try {
    // A file-system that takes its time to say what a file occupies says too little at first.
    const after = Math.max(plan.left, await copyWithHoles(storage, folder, plan, copyPath));
    if (after * 2 > occupied) {
      await removeIfThere(storage, copyPath);
      return null;
    }
    await storage.rename(copyPath, segmentPath(folder, plan.segment));
    return after;
  } catch (error) {
    await removeIfThere(storage, copyPath).catch(() => false);
    throw error;
  }
}

/** Makes the copy durable; resolves with what it occupies. */
async function copyWithHoles(
  storage: Storage,
  folder: string,
  { segment, end, holes }: ShrinkPlan,
  copyPath: string,
): Promise<number> {
  const source = await storage.open(segmentPath(folder, segment), "read");
  try {
    const copy = await storage.open(copyPath, "create_sparse");
    try {
      const piece = new Uint8Array(PIECE_BYTES);
      let from = 0;
      for (let at = 0; at < holes.length; at += 2) {
        await copyRange(source, copy, from, holes[at]!, piece);
        from = holes[at + 1]!;
        await writeFully(copy, [holeHeader(from - holes[at]!)], holes[at]!);
      }
      await copyRange(source, copy, from, end, piece);
      if (from === end) await copy.truncate(end);
      await copy.sync();
      return await copy.occupied();
    } finally {
      copy.close();
    }
  } finally {
    source.close();
  }
}

async function copyRange(
  source: StorageFile,
  copy: StorageFile,
  from: number,
  to: number,
  piece: Uint8Array,
): Promise<void> {
  while (from < to) {
    const read = await source.read(piece.subarray(0, Math.min(piece.length, to - from)), from);
    if (read === 0) throw new StorageError("io", "The segment is shorter than it was");
    await writeFully(copy, [piece.subarray(0, read)], from);
    from += read;
  }
}

function holeHeader(bytes: number): Uint8Array {
  const header = new Uint8Array(HEADER_BYTES);
  encodeHeader(header, new DataView(header.buffer), 0, {
    metaBytes: 0,
    bodyBytes: bytes - HEADER_BYTES,
    payloadCrc: 0,
    flags: FLAG_HOLE,
    receivedAtMs: 0,
    sequence: 0,
    projectHash: 0,
    categoryLow: 0,
    categoryHigh: 0,
  });
  return header;
}
