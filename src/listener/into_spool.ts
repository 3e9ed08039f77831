import type { RateLimit } from "../protocol/rate_limit.ts";
import type { RequestMeta } from "../protocol/request_meta.ts";
import type { LargeUpload } from "../spool/large_upload.ts";
import { SpoolError } from "../spool/spool_error.ts";
import type { Answer } from "./answer.ts";
import type { IncomingRequest } from "./incoming_request.ts";
import { type IngestionDeps, limited } from "./submission.ts";

/** Whose body it is, and what it counts for as far as that is known. */
export type SpoolScope = Pick<RequestMeta, "key" | "projectId" | "quantities">;

/** How a spool that takes no more is told to the client; `limited` of `submission.ts` unless given. */
export type WordLimits = (limits: readonly RateLimit[]) => Answer;

/**
 * Writes a body to the spool while it arrives: whatever happens, nothing is left of one that no record names.
 *
 * @throws {RequestError} what `receive` and `word` throw, and 503 when the spool's disk fails
 */
export function intoSpool(
  deps: Pick<IngestionDeps, "ingress" | "clock">,
  request: IncomingRequest,
  scope: () => SpoolScope,
  receive: (upload: LargeUpload) => Promise<Answer>,
  word?: WordLimits,
): Promise<Answer> {
  return unlessFull(deps, request, scope, async () => {
    const upload = await deps.ingress.openLarge();
    try {
      return await receive(upload);
    } finally {
      await upload.discard();
    }
  }, word);
}

/**
 * Does what writes to the spool, and tells the client when that takes no more.
 *
 * @throws {RequestError} what `write` and `word` throw, and 503 when the spool's disk fails
 */
export async function unlessFull(
  deps: Pick<IngestionDeps, "ingress" | "clock">,
  request: IncomingRequest,
  scope: () => SpoolScope,
  write: () => Promise<Answer>,
  word: WordLimits = (limits) => limited(limits, deps.clock.now()),
): Promise<Answer> {
  try {
    return await write();
  } catch (error) {
    if (!(error instanceof SpoolError)) throw error;
    request.isSubmitted = true;
    // What is left of the body is not read, so the connection is of no more use.
    return { ...word(deps.ingress.unspooled(error, scope())), closing: true };
  }
}
