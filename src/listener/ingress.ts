/**
 * What the listener hands inwards: the seam between the HTTP side of a node and its policy and spool.
 */
import type { Envelope } from "../protocol/envelope.ts";
import type { RateLimit } from "../protocol/rate_limit.ts";
import type { Passthrough, RequestMeta } from "../protocol/request_meta.ts";

/** A request that authenticated and parsed. */
export interface Submission {
  /** Everything of the request that has to survive until it is forwarded. */
  readonly meta: Omit<RequestMeta, "quantities"> & { readonly passthrough: null };
  /** The envelope, over its decoded bytes. */
  readonly envelope: Envelope;
  /**
   * Body to store: the bytes as received in `meta.contentEncoding` when nothing had to be changed, otherwise the chunks
   * of the rebuilt envelope with an empty `meta.contentEncoding`.
   */
  readonly body: readonly Uint8Array[];
}

/** A request whose body only the upstream can read. */
export interface PassthroughSubmission {
  readonly meta: RequestMeta & { readonly passthrough: Passthrough };
  /** As received, in `meta.contentEncoding`. */
  readonly body: Uint8Array;
}

/** Reason of the limit that stands for a full spool: nothing was kept. */
export const SPOOL_FULL = "spool_full";

/** Takes submissions; implemented by the ingest half of a lane. */
export interface Ingress {
  /**
   * Applies policy, removes what is limited and makes the rest durable.
   *
   * Resolves once the record is on disk, with the limits that matched an item of the envelope (the answer is 429 when
   * there are any, even if other items were kept).
   *
   * @throws {RequestError} 403, 413, 429 or 503 when nothing was kept
   */
  submit(submission: Submission): Promise<readonly RateLimit[]>;

  /**
   * The same for a body that is kept or refused as a whole.
   *
   * @throws {RequestError} 403 or 503 when nothing was kept
   */
  submitPassthrough(submission: PassthroughSubmission): Promise<readonly RateLimit[]>;

  /** The project a key belongs to, if its state is known and says so; for requests that name none. */
  projectIdOf(key: string): string | null;
}
