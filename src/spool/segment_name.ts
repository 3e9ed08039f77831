/**
 * Names of segment files: twelve digits and `.seg`, ascending in the order they were written.
 */
import type { Storage } from "./storage.ts";

/** Folder of the dead letter inside a partition's. */
export const DEAD_FOLDER = "dead";

const NAME = /^(\d{12})\.seg$/;

/** A segment file found in a folder. */
export interface SegmentFile {
  readonly number: number;
  readonly bytes: number;
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
  for (const { name, isFolder, bytes } of await storage.list(folder)) {
    const digits = isFolder ? undefined : NAME.exec(name)?.[1];
    if (digits === undefined) others.push(name);
    else segments.push({ number: Number(digits), bytes });
  }
  segments.sort((a, b) => a.number - b.number);
  return { segments, others };
}
