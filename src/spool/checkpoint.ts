/**
 * The checkpoint of a partition: which records of its segments need not be sent again.
 *
 * One small file, replaced as a whole: a line of JSON and a line with its CRC-32. Of the settled ranges of a segment it
 * has the distances from one bound to the next, because there may be a million. It is a saving, never a necessity:
 * without it, or when it is damaged, every record on disk is sent again. What it must never do is to call something
 * settled that is not; so the numbers it names are never given to new segments (`highest`).
 */
import { crc32 } from "node:zlib";
import { type Storage, StorageError } from "./storage.ts";

const NAME = "checkpoint";
const VERSION = 2;
/** A line with a CRC-32 in decimal. */
const CHECKSUM_BYTES_MAX = 12;

/** Files of a partition's folder that belong to its checkpoint. */
export const CHECKPOINT_FILES: ReadonlySet<string> = new Set([NAME, `${NAME}.tmp`]);

/** What a checkpoint says. */
export interface Checkpoint {
  /** Highest segment number known when it was written. */
  readonly highest: number;
  /** Start and end of each settled range by segment, ascending; segments without any are left out. */
  readonly segments: ReadonlyMap<number, readonly number[]>;
}

/** What a checkpoint file held. */
export type CheckpointState = "read" | "missing" | "damaged";

/** JSON of the file. Only the checksum is checked: what passes it was written by this file. */
interface Stored {
  readonly version: number;
  readonly highest: number;
  readonly segments: readonly (readonly [segment: number, distances: readonly number[]])[];
}

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/**
 * Reads the checkpoint of a partition; a missing or damaged one is empty.
 *
 * @throws {StorageError} when the file-system fails, because then nothing is known about what was sent
 */
export async function readCheckpoint(
  storage: Storage,
  folder: string,
): Promise<Checkpoint & { readonly state: CheckpointState }> {
  try {
    const checkpoint = decode(await storage.readFile(`${folder}/${NAME}`));
    if (checkpoint) return { ...checkpoint, state: "read" };
    return { highest: 0, segments: new Map(), state: "damaged" };
  } catch (error) {
    if (!StorageError.isNotFound(error)) throw error;
    return { highest: 0, segments: new Map(), state: "missing" };
  }
}

/** Replaces the checkpoint of a partition, durably. The bounds of a segment are asked for one after the other. */
export function writeCheckpoint(
  storage: Storage,
  folder: string,
  { highest, segments }: {
    readonly highest: number;
    readonly segments: Iterable<readonly [segment: number, bounds: readonly number[]]>;
  },
): Promise<void> {
  const parts: string[] = [];
  for (const [segment, bounds] of segments) parts.push(`[${segment},[${distances(bounds)}]]`);
  const json = `{"version":${VERSION},"highest":${highest},"segments":[${parts.join(",")}]}`;
  const bytes = new Uint8Array(json.length + CHECKSUM_BYTES_MAX);
  const { written } = encoder.encodeInto(json, bytes);
  const end = encoder.encodeInto(`\n${crc32(bytes.subarray(0, written))}\n`, bytes.subarray(written)).written;
  return storage.replaceFile(`${folder}/${NAME}`, bytes.subarray(0, written + end));
}

/** Removes the checkpoint of a partition that is being given up. */
export async function removeCheckpoint(storage: Storage, folder: string): Promise<void> {
  for (const name of CHECKPOINT_FILES) {
    try {
      await storage.remove(`${folder}/${name}`);
    } catch (error) {
      if (!StorageError.isNotFound(error)) throw error;
    }
  }
}

function decode(bytes: Uint8Array): Checkpoint | null {
  const [json, checksum, rest] = decoder.decode(bytes).split("\n");
  if (json === undefined || checksum !== String(crc32(json)) || rest !== "") return null;
  const { version, highest, segments } = JSON.parse(json) as Stored;
  if (version !== VERSION) return null;
  return { highest, segments: new Map(segments.map(([segment, gaps]) => [segment, boundsOf(gaps)])) };
}

function distances(bounds: readonly number[]): string {
  let last = 0;
  return bounds.map((bound) => {
    const distance = bound - last;
    last = bound;
    return distance;
  }).join(",");
}

function boundsOf(distances: readonly number[]): number[] {
  let last = 0;
  return distances.map((distance) => last += distance);
}
