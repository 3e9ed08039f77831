/**
 * What the listener hands inwards: the seam between the HTTP side of a node and its policy and spool.
 */
import type { Envelope } from "../protocol/envelope.ts";
import type { RateLimit } from "../protocol/rate_limit.ts";
import type { RequestMeta } from "../protocol/request_meta.ts";

/** A request that authenticated and parsed. */
export interface Submission {
  /** Everything of the request that has to survive until it is forwarded. */
  readonly meta: Omit<RequestMeta, "quantities">;
  /** The envelope, over its decoded bytes. */
  readonly envelope: Envelope;
  /**
   * Body to store: the bytes as received in `meta.contentEncoding` when nothing had to be changed, otherwise the chunks
   * of the rebuilt envelope with an empty `meta.contentEncoding`.
   */
  readonly body: readonly Uint8Array[];
}

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
}
