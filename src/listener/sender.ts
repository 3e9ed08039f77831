/** Who sends: ingestion reference, section 2. */
import { RequestError } from "../protocol/request_error.ts";
import { RELAY_SIGNATURE_HEADER } from "../protocol/signature.ts";
import { extractAuth, missingAuth, parseProjectId, type RequestAuth } from "../protocol/request_auth.ts";
import type { IncomingRequest } from "./incoming_request.ts";

/** Who sends an envelope. */
export interface Sender {
  /** Canonical decimal; empty when the request names no project. */
  readonly projectId: string;
  readonly auth: RequestAuth;
  /** The sender was stated by the request, so the envelope's header must agree with it. */
  readonly checked: boolean;
}

const SIGNATURE_HEADER = RELAY_SIGNATURE_HEADER.toLowerCase();
/** Longer ones are no signatures; what is kept of them is none either. */
const SIGNATURE_CHARS_MAX = 512;

/**
 * Authorization found in the request itself; null when there is none.
 *
 * @param pathKey key in the path, on routes that have one there
 * @throws {RequestError} 400 or 401 for a malformed one, or two
 */
export function requestAuth(request: IncomingRequest, pathKey?: string): RequestAuth | null {
  const auth = extractAuth({
    xSentryAuth: request.header("x-sentry-auth"),
    authorization: request.header("authorization"),
    rawQuery: request.query,
    ...(pathKey === undefined ? {} : { pathKey }),
  });
  if (auth !== null) request.key = auth.key;
  if (auth !== null && /[^\t -~]/.test(request.header(SIGNATURE_HEADER) ?? "")) {
    throw RequestError.json(400, "invalid_signature", "bad x-sentry-relay-signature header");
  }
  return auth;
}

/**
 * The sender of a request that has to state its key itself.
 *
 * @param pathProjectId project in the path, as sent
 * @throws {RequestError} 400 or 401, also when there is no key
 */
export function keySender(request: IncomingRequest, pathProjectId: string, pathKey?: string): Sender {
  const projectId = parseProjectId(pathProjectId);
  const auth = requestAuth(request, pathKey);
  if (auth === null) throw missingAuth();
  return { projectId, auth, checked: true };
}

/** The signature of a relay that came with the request, as part of what is known of the sender. */
export function relaySignature(request: IncomingRequest): { readonly relaySignature?: string } {
  const value = request.header(SIGNATURE_HEADER);
  return value === null ? {} : { relaySignature: value.slice(0, SIGNATURE_CHARS_MAX) };
}
