/** Refusals that several parts of the listener share. */
import { RequestError } from "../protocol/request_error.ts";

/** 413 for a body beyond its limit, in plain text: ingestion reference, section 4.4. */
export function lengthExceeded(): RequestError {
  return RequestError.text(413, "too_large", "length limit exceeded");
}

/** 503 for a node that cannot hold any more bodies: ingestion reference, section 5.3. */
export function queueFailed(): RequestError {
  return RequestError.json(503, "queue_failed", "failed to queue envelope");
}

/** 400 for a body without a byte: ingestion reference, section 1.2. */
export function emptyBody(): RequestError {
  return RequestError.json(400, "empty_body", "empty request body");
}

/** 415 for a content type an endpoint does not take, without a body: ingestion reference, section 1.2. */
export function unsupportedType(): RequestError {
  return RequestError.empty(415, "content_type");
}

/** Body of every 429: ingestion reference, section 5.3. */
export const LIMITED_BODY: string = JSON.stringify({
  detail:
    "Sentry dropped data due to a quota or internal rate limit being reached. This will not affect your " +
    "application. See https://docs.sentry.io/product/accounts/quotas/ for more information.",
});
