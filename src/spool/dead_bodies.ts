import {
  decodeLargeBody,
  type LargeBody,
  largePath,
  linkLarge,
  listLargeFiles,
  removeIfThere,
} from "./large_body.ts";
import { FLAG_LARGE } from "./record.ts";
import { type SegmentFile, segmentPath } from "./segment_name.ts";
import { SegmentScanner } from "./segment_scanner.ts";
import type { SpaceBudget } from "./disk_budget.ts";
import { type Storage, StorageError } from "./storage.ts";

/** Options of {@link DeadBodies.open}. */
export interface DeadBodiesOptions {
  readonly storage: Storage;
  readonly budget: SpaceBudget;
  /** Folder of the partition. */
  readonly partition: string;
  /** Folder of its dead letter. */
  readonly folder: string;
}

/** Large bodies of a dead letter, by the segment that names them. */
export class DeadBodies {
  readonly #o: DeadBodiesOptions;
  readonly #bySegment = new Map<number, LargeBody[]>();
  /** Of all bodies. */
  bytes = 0;

  private constructor(options: DeadBodiesOptions) {
    this.#o = options;
  }

  /**
   * Finds out which segment names which body, and removes those that none does. The segments are only read if there is
   * any body.
   *
   * @throws {StorageError}
   */
  static async open(options: DeadBodiesOptions, segments: readonly SegmentFile[]): Promise<DeadBodies> {
    const { storage, folder, budget } = options;
    const bodies = new DeadBodies(options);
    const files = await listLargeFiles(storage, folder);
    if (files.length === 0) return bodies;
    const named = new Set<string>();
    for (const { number, bytes } of segments) {
      for (const body of await namedBodies(storage, folder, number, bytes)) {
        named.add(body.name);
        bodies.add(number, body);
      }
    }
    for (const { name, bytes } of files) {
      if (!named.has(name) && await removeIfThere(storage, largePath(folder, name))) budget.release(bytes);
    }
    return bodies;
  }

  /**
   * Gives a body of the partition a name here.
   *
   * @throws {StorageError}
   */
  link(body: LargeBody): Promise<LargeBody> {
    return linkLarge(this.#o.storage, this.#o.partition, this.#o.folder, body);
  }

  /** A record in `segment` names the body. */
  add(segment: number, body: LargeBody): void {
    const bodies = this.#bySegment.get(segment);
    if (bodies) bodies.push(body);
    else this.#bySegment.set(segment, [body]);
    this.bytes += body.bytes;
  }

  /** Removes a body that no record names; returns its bytes. What cannot be removed is removed at the next start. */
  async drop({ name, bytes }: LargeBody): Promise<number> {
    await removeIfThere(this.#o.storage, largePath(this.#o.folder, name)).catch(() => false);
    return bytes;
  }

  /** Removes the bodies of a segment that is gone; returns their bytes. */
  async dropOf(segment: number): Promise<number> {
    let bytes = 0;
    for (const body of this.#bySegment.get(segment) ?? []) bytes += await this.drop(body);
    this.#bySegment.delete(segment);
    this.bytes -= bytes;
    return bytes;
  }
}

/** The large bodies that whole records of a segment name. */
async function namedBodies(
  storage: Storage,
  folder: string,
  segment: number,
  end: number,
): Promise<LargeBody[]> {
  const named: LargeBody[] = [];
  let file;
  try {
    file = await storage.open(segmentPath(folder, segment), "read");
  } catch (error) {
    if (StorageError.isNotFound(error)) return named;
    throw error;
  }
  try {
    const scanner = new SegmentScanner(file);
    for (let step = await scanner.next(end); step.kind !== "end"; step = await scanner.next(end)) {
      if (step.kind === "record" && (step.header.flags & FLAG_LARGE) !== 0) {
        named.push(decodeLargeBody(step.body));
      }
    }
    return named;
  } finally {
    file.close();
  }
}
