/**
 * A log file that is rotated by size and age: `access.log` becomes `access.log.1`, that `access.log.2`, and so on; those
 * beyond the number to keep are removed. So the disk bound is `maxBytes` times the files kept and the current one.
 */
import type { Clock } from "../core/clock.ts";

/** Bounds of a {@link RotatingFile}; read at each write. */
export interface RotationRules {
  readonly path: string;
  readonly maxBytes: number;
  /** Null for no bound. */
  readonly maxAgeMs: number | null;
  /** Rotated files that are kept. */
  readonly keep: number;
}

/** Appends to a file; one call at a time. */
export class RotatingFile {
  #file: Deno.FsFile | null = null;
  #path = "";
  #bytes = 0;
  #startedMs = 0;

  constructor(private readonly rules: RotationRules, private readonly clock: Pick<Clock, "now">) {}

  /**
   * Appends whole lines, to a new file when the bounds ask for one.
   *
   * @throws {Error} the file-system's; what was written of the lines is then not known
   */
  async write(lines: Uint8Array): Promise<void> {
    if (this.#path !== this.rules.path) this.close();
    this.#file ??= await this.#open();
    if (this.#bytes > 0 && this.#isFull(lines.length)) {
      await this.#rotate();
      this.#file = await this.#open();
    }
    const file = this.#file;
    this.#bytes += lines.length;
    for (let rest = lines; rest.length > 0;) rest = rest.subarray(await file.write(rest));
  }

  /** Lets go of the file; the next write opens it again, by name. */
  close(): void {
    this.#file?.close();
    this.#file = null;
  }

  #isFull(bytes: number): boolean {
    const { maxBytes, maxAgeMs } = this.rules;
    const ageMs = this.clock.now() - this.#startedMs;
    return this.#bytes + bytes > maxBytes || maxAgeMs !== null && ageMs >= maxAgeMs;
  }

  async #open(): Promise<Deno.FsFile> {
    this.#path = this.rules.path;
    const file = await Deno.open(this.#path, { append: true, create: true, mode: 0o640 });
    const { size, birthtime } = await file.stat();
    this.#bytes = size;
    this.#startedMs = size === 0 ? this.clock.now() : birthtime?.getTime() ?? this.clock.now();
    return file;
  }

  async #rotate(): Promise<void> {
    this.close();
    const { keep } = this.rules;
    const named = (number: number): string => number === 0 ? this.#path : `${this.#path}.${number}`;
    if (keep === 0) return await Deno.remove(this.#path);
    await ifThere(Deno.remove(named(keep)));
    for (let number = keep - 1; number >= 0; number--) {
      await ifThere(Deno.rename(named(number), named(number + 1)));
    }
  }
}

function ifThere(call: Promise<void>): Promise<void> {
  return call.catch((error) => {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  });
}
