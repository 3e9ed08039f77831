/**
 * What the listener hands inwards: the seam between the HTTP side of a node and its policy and spool.
 */
import type { Envelope, EnvelopeHeaders, EnvelopeItem, ScannedEnvelope } from "../protocol/envelope.ts";
import type { RateLimit } from "../protocol/rate_limit.ts";
import type { Passthrough, RequestMeta } from "../protocol/request_meta.ts";
import type { LargeUpload } from "../spool/large_upload.ts";
import type { SpoolError } from "../spool/spool_error.ts";

/** When a request came. */
export interface Received {
  /** When its head had been read, wall clock, ms: signatures are held against this, however long the body took. */
  readonly receivedAtMs: number;
}

/** A request that authenticated and parsed. */
export interface Submission extends Received {
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
export interface PassthroughSubmission extends Received {
  readonly meta: RequestMeta & { readonly passthrough: Passthrough };
  /** As received, in `meta.contentEncoding`; a large one is discarded by its owner if it is not kept. */
  readonly body: Uint8Array | LargeUpload;
}

/** An envelope that was written to the spool as it arrived. */
export interface LargeSubmission extends Received {
  readonly meta: Submission["meta"];
  /** Its header is already what it is to be. */
  readonly envelope: ScannedEnvelope;
  /** The body as received in `meta.contentEncoding`; its owner discards it if it is not kept. */
  readonly body: LargeUpload;
  /** Keys of the header that differ from what was received; null for none. */
  readonly headers: EnvelopeHeaders | null;
}

/** Who sends an envelope of which more is to come. */
export interface Screened extends Received {
  readonly key: string;
  readonly projectId: string;
  readonly origin: string | null;
  readonly requiredFeatures: readonly string[];
  readonly relaySignature?: string;
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
   * Starts a body that is written to the spool as it arrives.
   *
   * @throws {SpoolError}
   */
  openLarge(): Promise<LargeUpload>;

  /**
   * Whether to go on receiving an envelope of which these items were announced so far.
   *
   * @throws {RequestError} 403 or 413 when it will be refused whatever follows
   */
  screen(sender: Screened, items: readonly EnvelopeItem[]): void;

  /**
   * The same as {@link Ingress.submit} for what {@link Ingress.openLarge} took.
   *
   * @throws {RequestError} 403, 413, 429 or 503 when nothing was kept
   */
  submitLarge(submission: LargeSubmission): Promise<readonly RateLimit[]>;

  /**
   * The spool took no more of a body that had come so far: what to tell the client.
   *
   * @throws {RequestError} 503 when its disk fails
   */
  unspooled(
    error: SpoolError,
    meta: Pick<RequestMeta, "key" | "projectId" | "quantities">,
  ): readonly RateLimit[];

  /**
   * The same for a body that is kept or refused as a whole.
   *
   * @throws {RequestError} 403 or 503 when nothing was kept
   */
  submitPassthrough(submission: PassthroughSubmission): Promise<readonly RateLimit[]>;

  /** The project a key belongs to, if its state is known and says so; for requests that name none. */
  projectIdOf(key: string): string | null;
}
