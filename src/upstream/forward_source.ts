import type { RequestMeta } from "../protocol/request_meta.ts";
import type { ForwardResult } from "./classify.ts";

/** A body that is read while it is sent. */
export interface StreamedBody {
  /** Length in bytes. */
  readonly bytes: number;
  /**
   * Its pieces from the start, each good until the next is asked for; each call reads it anew. Throws {@link BodyLostError}
   * before the last piece.
   */
  readonly chunks: () => AsyncIterable<Uint8Array>;
}

/** A stored body is missing or damaged. */
export class BodyLostError extends Error {
  override readonly name = "BodyLostError";
}

/** A record on its way. */
export interface ForwardJob {
  readonly meta: RequestMeta;
  /** Monotonic clock, ms: a wall clock that is set while a record waits makes it neither older nor younger. */
  readonly receivedMs: number;
  /** Times the record was handed to {@link ForwardSource.retryLater}. */
  readonly attempts: number;
  /** How many of them were for a `server_error`. */
  readonly serverErrors: number;
  /** As stored, in `meta.contentEncoding`. */
  readonly body: Uint8Array;
  /** In place of `body`, if it is too large to be held. */
  readonly stream: StreamedBody | null;
}

/** Where records come from and go back to. */
export interface ForwardSource<Job extends ForwardJob = ForwardJob> {
  /** The next record to send; null when there is none now. */
  next(): Promise<Job | null> | Job | null;
  /** Resolves when there may be one, or when `signal` aborts; never rejects. */
  wait(signal: AbortSignal): Promise<void>;
  /** The record was delivered or rate limited. */
  settle(job: Job, result: ForwardResult): void;
  /** Hands the record out again after `delayMs`, with the counters of {@link ForwardJob} moved on. */
  retryLater(job: Job, delayMs: number, result: ForwardResult): void;
  /** Takes the record back, and hands out no more of its project until {@link ForwardSource.resume}; `upstream` says why. */
  postpone(job: Job, upstream: string): void;
  /** Ends that for some of the projects that wait for an upstream; false when there are no more. */
  resume(upstream: string): boolean;
  /** The record's body cannot be had any more. */
  lost(job: Job): void;
  /** The record will never be taken; it is to be kept aside and settled. */
  deadLetter(job: Job, result: ForwardResult): Promise<void> | void;
}
