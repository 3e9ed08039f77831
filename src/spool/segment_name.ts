/**
 * Names of segment files: twelve digits and `.seg`, ascending in the order they were written.
 */
import type { Storage } from "./storage.ts";

/** Folder of the dead letter inside a partition's. */
export const DEAD_FOLDER = "dead";

const NAME = /^(\d{12})\.seg$/;

const COPY_NAME = /^shrunk-[0-9a-f]{32}\.tmp$/;

/** A segment file found in a folder. */
export interface SegmentFile {
  readonly number: number;
  /** What it takes on disk, which is what it counts for in the bound of the spool. */
  readonly bytes: number;
  /** Where it ends; more than `bytes` once it has holes (segment_shrinker.ts). */
  readonly length: number;
}

/**
 * Path of a file that is to replace a segment; what a crash leaves of it is of no use. A name of its own each time, so
 * that a call of a worker that was stopped, should the disk still carry it out, finds its own copy or none.
 */
export function newCopyPath(folder: string): string {
  return `${folder}/shrunk-${crypto.randomUUID().replaceAll("-", "")}.tmp`;
}

/** Whether a file is, or was to become, the copy of a segment. */
export function isSegmentCopy(name: string): boolean {
  return COPY_NAME.test(name);
}

/** File name of a segment. */
export function segmentName(number: number): string {
  return `${String(number).padStart(12, "0")}.seg`;
}

/** Path of a segment. */
export function segmentPath(folder: string, number: number): string {
  return `${folder}/${segmentName(number)}`;
}

/** The segments of a folder in ascending order, and the names of everything else in it. */
export async function listSegments(
  storage: Storage,
  folder: string,
): Promise<{ segments: SegmentFile[]; others: string[] }> {
  const segments: SegmentFile[] = [];
  const others: string[] = [];
  for (const { name, isFolder, bytes, occupied } of await storage.list(folder)) {
    const digits = isFolder ? undefined : NAME.exec(name)?.[1];
    if (digits === undefined) others.push(name);
    else segments.push({ number: Number(digits), bytes: occupied, length: bytes });
  }
  segments.sort((a, b) => a.number - b.number);
  return { segments, others };
}
