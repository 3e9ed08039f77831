/**
 * Large bodies that lay in a partition when its node started, until it is known of each whether a record names it.
 *
 * Why not looked up: what names a body is a record somewhere in the segments, and reading all of them first would make
 * the start as slow as the backlog is deep. The reader reads them all anyway; when it has been through, what no record
 * claimed is what a crash left over.
 */
import { logger } from "../telemetry/log.ts";
import type { SpaceBudget } from "./disk_budget.ts";
import { largeBodyOf, largePath, removeIfThere } from "./large_body.ts";
import type { Storage } from "./storage.ts";

/** Options of {@link LargeLeftovers}. */
export interface LargeLeftoversOptions {
  readonly storage: Storage;
  readonly folder: string;
  readonly budget: SpaceBudget;
}

/** A body nobody may name. */
export interface Leftover {
  readonly name: string;
  readonly bytes: number;
}

/** Bodies of an earlier life of the node that no record has claimed yet. */
export class LargeLeftovers {
  readonly #o: LargeLeftoversOptions;
  readonly #unclaimed: Map<string, number>;
  #removal: Promise<void> = Promise.resolve();

  constructor(options: LargeLeftoversOptions, files: readonly Leftover[]) {
    this.#o = options;
    this.#unclaimed = new Map(files.map(({ name, bytes }) => [name, bytes]));
  }

  /** Whether there are any. */
  get isOpen(): boolean {
    return this.#unclaimed.size > 0;
  }

  /** Keeps the body that a record names, if it names one. */
  claim(record: Parameters<typeof largeBodyOf>[0]): void {
    const body = this.isOpen ? largeBodyOf(record) : null;
    if (body) this.#unclaimed.delete(body.name);
  }

  /** Removes the rest if all records of before were read. What cannot be removed stays until the next start. */
  removeIf(isThrough: boolean): void {
    if (!isThrough || !this.isOpen) return;
    const files = [...this.#unclaimed];
    this.abandon();
    this.#removal = this.#remove(files);
  }

  /** Leaves the rest to the next start. */
  abandon(): void {
    this.#unclaimed.clear();
  }

  /** Resolves when what is being removed is gone. */
  close(): Promise<void> {
    return this.#removal;
  }

  async #remove(files: readonly (readonly [name: string, bytes: number])[]): Promise<void> {
    const { storage, folder, budget } = this.#o;
    try {
      for (const [name, bytes] of files) {
        // Of an earlier reader of this node's life it may have been removed as settled.
        if (await removeIfThere(storage, largePath(folder, name))) budget.release(bytes);
      }
      logger("spool").info("Large bodies without a record were removed", { folder, files: files.length });
    } catch (error) {
      logger("spool").warn("Large bodies without a record cannot be removed", { folder, error });
    }
  }
}
