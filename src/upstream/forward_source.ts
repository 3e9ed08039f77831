import type { RequestMeta } from "../protocol/request_meta.ts";
import type { ForwardResult } from "./classify.ts";

/** A record on its way. */
export interface ForwardJob {
  readonly meta: RequestMeta;
  /** Wall clock, ms. */
  readonly receivedAtMs: number;
  /** Times the record was handed to {@link ForwardSource.retryLater}. */
  readonly attempts: number;
  /** How many of them were for a `server_error`. */
  readonly serverErrors: number;
  /** As stored, in `meta.contentEncoding`. */
  readonly body: Uint8Array;
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
  /** The record will never be taken; it is to be kept aside and settled. */
  deadLetter(job: Job, result: ForwardResult): Promise<void> | void;
}
