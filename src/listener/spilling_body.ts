/**
 * A body that this node makes itself while its parts arrive: held while it is small and there is memory, written to the spool
 * beyond.
 *
 * What was written may be put right later, wherever it lies. Until the spool has it, the body counts in the memory of all
 * bodies.
 */
import type { LargeUpload } from "../spool/large_upload.ts";
import type { BodyBudget } from "./body_budget.ts";
import { HeldBytes } from "./held_bytes.ts";

/** Options of {@link SpillingBody}. */
export interface SpillingBodyOptions {
  /** Most bytes that are held. */
  readonly bytesMax: number;
  readonly budget: BodyBudget;
  /** Starts a body in the spool; throws {@link SpoolError}. */
  readonly open: () => Promise<LargeUpload>;
}

/** A body being written; it has one owner, who makes one call after the other. */
export class SpillingBody {
  readonly #o: SpillingBodyOptions;
  readonly #held: HeldBytes;
  #bytes = 0;
  #upload: LargeUpload | null = null;

  constructor(options: SpillingBodyOptions) {
    this.#o = options;
    this.#held = new HeldBytes(options.budget);
  }

  /** Bytes written so far. */
  get bytes(): number {
    return this.#bytes;
  }

  /** What was written: the bytes, to be used before {@link SpillingBody.discard}, or where they lie. */
  get content(): Uint8Array | LargeUpload {
    return this.#upload ?? this.#held.bytes;
  }

  /**
   * Appends bytes, which may be changed once it resolved.
   *
   * @throws {SpoolError} what remains is to discard
   */
  async write(chunk: Uint8Array): Promise<void> {
    const bytes = this.#bytes + chunk.length;
    const isHeld = this.#upload === null && bytes <= this.#o.bytesMax && this.#held.append(chunk);
    if (!isHeld) {
      const upload = this.#upload ??= await this.#spill();
      await upload.write([chunk]);
    }
    this.#bytes = bytes;
  }

  /**
   * Puts `after` in the place of `before`, which was written at `position` and is as long.
   *
   * @throws {SpoolError} what remains is to discard
   */
  async patch(position: number, before: Uint8Array, after: Uint8Array): Promise<void> {
    if (this.#upload !== null) await this.#upload.patch(position, before, after);
    else this.#held.bytes.set(after, position);
  }

  /** Gives back memory, and what lies in the spool unless a record names it by now. Never fails. */
  async discard(): Promise<void> {
    this.#held.release();
    await this.#upload?.discard();
  }

  async #spill(): Promise<LargeUpload> {
    const upload = this.#upload = await this.#o.open();
    await upload.write([this.#held.bytes]);
    this.#held.release();
    return upload;
  }
}
