/**
 * Looking into a spool from outside: for tools that show, check and copy what is there.
 *
 * Segments are append-only, or replaced by a copy with what waits at the same places, so all of this may run beside the
 * node that writes them, without its lock. What may happen meanwhile is that a segment vanishes, which ends its reading,
 * or that one grows: it is read to where it ended when it was opened. A record that is just being written looks like a
 * torn one; so a segment that ends in the middle of a record is looked at a second time before that is believed. What is
 * settled is known as of the last checkpoint; what of it was left out of a copy is not there any more.
 *
 * Everything is read one record after the other, payloads and their checksums included: time grows with the bytes in
 * segments. Large bodies are only read by whoever asks for them.
 */
import type { Clock } from "../core/clock.ts";
import { type CheckpointState, readCheckpoint } from "./checkpoint.ts";
import { splitReason } from "./dead_record.ts";
import { decodeLargeBody, type LargeBody } from "./large_body.ts";
import { readLargeBody } from "./large_reader.ts";
import { FLAG_LARGE } from "./record.ts";
import { DEAD_FOLDER, listSegments, type SegmentFile, segmentPath } from "./segment_name.ts";
import { type ScanStep, SegmentScanner } from "./segment_scanner.ts";
import { type Storage, StorageError, type StorageFile } from "./storage.ts";

/** Pause before a segment that ends in the middle of a record is looked at again. */
const GROWTH_PAUSE_MS = 100;

/** A partition and its dead letter. */
export interface InspectedPartition {
  /** `p0`, `p1`, ... */
  readonly name: string;
  readonly folder: string;
  readonly checkpoint: CheckpointState;
  /** Segments of records that wait, then those of the dead letter, each oldest first. */
  readonly segments: readonly InspectedSegment[];
}

/** A segment file. */
export interface InspectedSegment extends SegmentFile {
  /** `p0/12`, in the dead letter `p0/dead/12`. */
  readonly id: string;
  readonly folder: string;
  readonly isDead: boolean;
  /** Start and end of each range that the checkpoint calls settled, ascending. */
  readonly settled: readonly number[];
}

/** A whole record. */
export interface InspectedRecord {
  readonly kind: "record";
  /** Id of its segment and its offset there: `p0/12/4096`, in the dead letter `p0/dead/12/4096`. */
  readonly id: string;
  /** On disk, with its file. */
  readonly bytes: number;
  readonly receivedAtMs: number;
  readonly isDead: boolean;
  readonly isSettled: boolean;
  /** Why it was given up; empty unless it is dead. */
  readonly reason: string;
  readonly meta: Uint8Array;
  /** Empty when the body is in a file of its own. */
  readonly body: Uint8Array;
  /** That file, and the folder it belongs to. */
  readonly large: (LargeBody & { readonly folder: string }) | null;
}

/** Bytes of a segment that are no record. */
export interface InspectedDamage {
  readonly kind: "damage";
  readonly from: number;
  readonly to: number;
  /** It reaches the end of the file and may be a write that a power loss cut short. */
  readonly isCut: boolean;
}

/**
 * The partitions of a spool, by number.
 *
 * @throws {StorageError} `not_found`: there is no such folder
 */
export async function inspectSpool(storage: Storage, path: string): Promise<InspectedPartition[]> {
  const names = (await storage.list(path))
    .filter(({ name, isFolder }) => isFolder && /^p\d+$/.test(name))
    .map(({ name }) => name)
    .sort((a, b) => Number(a.slice(1)) - Number(b.slice(1)));
  const partitions: InspectedPartition[] = [];
  for (const name of names) partitions.push(await inspectPartition(storage, `${path}/${name}`, name));
  return partitions;
}

async function inspectPartition(
  storage: Storage,
  folder: string,
  name: string,
): Promise<InspectedPartition> {
  const waiting = await listIfThere(storage, folder);
  const dead = await listIfThere(storage, `${folder}/${DEAD_FOLDER}`);
  // After the files are listed: whatever is settled later is only a reason less to look at a segment.
  const { state, segments: settled } = await readCheckpoint(storage, folder);
  const segments = [
    ...waiting.map((file) => ({
      ...file,
      id: `${name}/${file.number}`,
      folder,
      isDead: false,
      settled: settled.get(file.number) ?? [],
    })),
    ...dead.map((file) => ({
      ...file,
      id: `${name}/${DEAD_FOLDER}/${file.number}`,
      folder: `${folder}/${DEAD_FOLDER}`,
      isDead: true,
      settled: [],
    })),
  ];
  return { name, folder, checkpoint: state, segments };
}

/**
 * Everything in a segment, in order; nothing when it is gone.
 *
 * @throws {StorageError} the disk cannot be read
 */
export async function* readSegment(
  storage: Storage,
  segment: InspectedSegment,
  clock: Clock,
): AsyncGenerator<InspectedRecord | InspectedDamage> {
  const file = await openIfThere(storage, segmentPath(segment.folder, segment.number));
  if (!file) return;
  try {
    const limit = await file.size();
    const scanner = new SegmentScanner(file);
    let bound = 0;
    for (;;) {
      const step = await scanner.next(limit);
      if (step.kind === "end") return;
      if (step.kind === "gap") {
        if (step.isHole) continue;
        if (step.isCut && await grew(file, step.from, clock)) return;
        yield { kind: "damage", from: step.from, to: step.to, isCut: step.isCut };
        continue;
      }
      while ((segment.settled[bound] ?? Infinity) <= step.offset) bound++;
      yield recordOf(segment, step, isInside(bound));
    }
  } finally {
    file.close();
  }
}

/**
 * The record with an id, or null when there is none.
 *
 * @throws {StorageError} the disk cannot be read
 */
export async function findRecord(
  storage: Storage,
  path: string,
  id: string,
): Promise<InspectedRecord | null> {
  const [, name, dead, number, offset] = /^(p\d+)(\/dead)?\/(\d{1,12})\/(\d{1,15})$/.exec(id) ?? [];
  if (name === undefined) return null;
  const segmentId = `${name}${dead ?? ""}/${Number(number)}`;
  const partition = await inspectPartition(storage, `${path}/${name}`, name);
  const segment = partition.segments.find((candidate) => candidate.id === segmentId);
  const file = segment && await openIfThere(storage, segmentPath(segment.folder, segment.number));
  if (!segment || !file) return null;
  try {
    const step = await new SegmentScanner(file, Number(offset)).next(await file.size());
    if (step.kind !== "record") return null;
    return recordOf(segment, step, isInside(segment.settled.filter((bound) => bound <= step.offset).length));
  } finally {
    file.close();
  }
}

/**
 * The body of a record, in pieces, wherever it lies.
 *
 * @throws {LargeBodyLost} its file is missing or damaged
 * @throws {StorageError} the disk cannot be read
 */
export async function* bodyOf(
  storage: Storage,
  { body, large }: Pick<InspectedRecord, "body" | "large">,
): AsyncGenerator<Uint8Array> {
  if (large) yield* readLargeBody(storage, large.folder, large);
  else yield body;
}

/** Whether a place with so many bounds at or in front of it lies in a range. */
function isInside(bounds: number): boolean {
  return bounds % 2 === 1;
}

/** Whether what looked like the torn end of a file was a write under way, or one that was taken back. */
async function grew(file: StorageFile, from: number, clock: Clock): Promise<boolean> {
  await clock.sleep(GROWTH_PAUSE_MS);
  const step = await new SegmentScanner(file, from).next(await file.size());
  return step.kind !== "gap";
}

function recordOf(
  { id, isDead, folder }: InspectedSegment,
  { offset, bytes, header, meta, body }: ScanStep & { kind: "record" },
  isSettled: boolean,
): InspectedRecord {
  const { receivedAtMs, flags } = header;
  const large = (flags & FLAG_LARGE) === 0 ? null : { ...decodeLargeBody(body), folder };
  return {
    kind: "record",
    id: `${id}/${offset}`,
    bytes: bytes + (large?.bytes ?? 0),
    receivedAtMs,
    isDead,
    isSettled,
    ...splitReason(meta, flags),
    body: large ? new Uint8Array(0) : body,
    large,
  };
}

async function listIfThere(storage: Storage, folder: string): Promise<SegmentFile[]> {
  try {
    return (await listSegments(storage, folder)).segments;
  } catch (error) {
    if (StorageError.isNotFound(error)) return [];
    throw error;
  }
}

async function openIfThere(storage: Storage, path: string): Promise<StorageFile | null> {
  try {
    return await storage.open(path, "read");
  } catch (error) {
    if (StorageError.isNotFound(error)) return null;
    throw error;
  }
}
