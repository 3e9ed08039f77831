/**
 * Why the spool refused or failed: the only error that leaves this room's data path.
 */
import { StorageError } from "./storage.ts";

/**
 * - `full`: the configured bound is reached; nothing was written.
 * - `no_space`: the volume is full.
 * - `io_error`: the disk failed.
 * - `closed`: the spool is shut down.
 */
export type SpoolErrorKind = "full" | "no_space" | "io_error" | "closed";

/** Refusal of the spool. A record refused is not on disk, or will not be trusted to be. */
export class SpoolError extends Error {
  override readonly name = "SpoolError";

  constructor(readonly kind: SpoolErrorKind, message: string, options?: ErrorOptions) {
    super(message, options);
  }

  /** The same failure as seen by the spool's callers. */
  static from(cause: unknown): SpoolError {
    if (cause instanceof SpoolError) return cause;
    const kind = cause instanceof StorageError && cause.kind === "no_space" ? "no_space" : "io_error";
    return new SpoolError(kind, cause instanceof Error ? cause.message : String(cause), { cause });
  }

  /** Whether there is no room, by configuration or on the volume, as opposed to a fault. */
  get isFull(): boolean {
    return this.kind === "full" || this.kind === "no_space";
  }
}
