import type { ClientResponse } from "./connection.ts";

/** At which point a request ended without a usable answer. */
export type UpstreamErrorKind =
  | "connect"
  | "tls"
  | "write"
  | "timeout"
  | "reset"
  | "protocol"
  | "too_large"
  | "aborted";

/** A request that did not end in a complete, well-formed answer. */
export class UpstreamError extends Error {
  override readonly name = "UpstreamError";

  constructor(
    readonly kind: UpstreamErrorKind,
    message: string,
    /** Head of an answer whose body was too large, with an empty body; its status still counts. */
    readonly response: ClientResponse | null = null,
  ) {
    super(message);
  }

  /** Whether the upstream may simply be out of reach (control reference, section 11): worth another try. */
  get isNetworkError(): boolean {
    return this.kind !== "too_large" && this.kind !== "aborted";
  }
}

/** What a request fails with that nobody wants any more. */
export function aborted(): UpstreamError {
  return new UpstreamError("aborted", "The request was given up");
}
