/**
 * A body that this node makes itself while its parts arrive: held while it is small and there is memory, written to the spool
 * beyond.
 *
 * What was written may be put right later, wherever it lies. Until the spool has it, the body counts in the memory of all
 * bodies.
 */
import type { LargeUpload } from "../spool/large_upload.ts";
import type { BodyBudget } from "./body_budget.ts";

/** Options of {@link SpillingBody}. */
export interface SpillingBodyOptions {
  /** Most bytes that are held. */
  readonly bytesMax: number;
  readonly budget: BodyBudget;
  /** Starts a body in the spool; throws {@link SpoolError}. */
  readonly open: () => Promise<LargeUpload>;
}

const FIRST_BYTES = 4096;

/** A body being written; it has one owner, who makes one call after the other. */
export class SpillingBody {
  readonly #o: SpillingBodyOptions;
  #held = new Uint8Array(0);
  #bytes = 0;
  #upload: LargeUpload | null = null;

  constructor(options: SpillingBodyOptions) {
    this.#o = options;
  }

  /** Bytes written so far. */
  get bytes(): number {
    return this.#bytes;
  }

  /** What was written: the bytes, to be used before {@link SpillingBody.discard}, or where they lie. */
  get content(): Uint8Array | LargeUpload {
    return this.#upload ?? this.#held.subarray(0, this.#bytes);
  }

  /**
   * Appends bytes, which may be changed once it resolved.
   *
   * @throws {SpoolError} what remains is to discard
   */
  async write(chunk: Uint8Array): Promise<void> {
    const bytes = this.#bytes + chunk.length;
    if (this.#upload === null && !this.#hasRoom(bytes)) await this.#spill();
    if (this.#upload !== null) await this.#upload.write([chunk]);
    else this.#held.set(chunk, this.#bytes);
    this.#bytes = bytes;
  }

  /**
   * Puts `after` in the place of `before`, which was written at `position` and is as long.
   *
   * @throws {SpoolError} what remains is to discard
   */
  async patch(position: number, before: Uint8Array, after: Uint8Array): Promise<void> {
    if (this.#upload !== null) await this.#upload.patch(position, before, after);
    else this.#held.set(after, position);
  }

  /** Gives back memory, and what lies in the spool unless a record names it by now. Never fails. */
  async discard(): Promise<void> {
    this.#release();
    await this.#upload?.discard();
  }

  #hasRoom(bytes: number): boolean {
    const { bytesMax, budget } = this.#o;
    if (bytes <= this.#held.length) return true;
    const room = Math.min(bytesMax, Math.max(FIRST_BYTES, 2 * bytes));
    if (bytes > bytesMax || !budget.take(room - this.#held.length)) return false;
    const held = new Uint8Array(room);
    held.set(this.#held);
    this.#held = held;
    return true;
  }

  async #spill(): Promise<void> {
    this.#upload = await this.#o.open();
    await this.#upload.write([this.#held.subarray(0, this.#bytes)]);
    this.#release();
  }

  #release(): void {
    this.#o.budget.release(this.#held.length);
    this.#held = new Uint8Array(0);
  }
}
