/**
 * From an authenticated body to a {@link Submission} and its answer; the part that all ingestion endpoints share.
 *
 * Order of work: ingestion reference, section 5.1. What the envelope's own header says about its sender wins over what
 * the request says (section 6.1), because that is how chained relays pass on the client's address.
 */
import { concatBytes } from "../core/bytes.ts";
import type { Clock } from "../core/clock.ts";
import type { CidrSet } from "../core/cidr.ts";
import {
  checkEnvelopeMeta,
  type Envelope,
  type EnvelopeHeaders,
  needsEventId,
  parseEnvelope,
  rewriteEnvelope,
} from "../protocol/envelope.ts";
import { newEventId } from "../protocol/event_id.ts";
import { formatRateLimits, type RateLimit, retryAfterSeconds } from "../protocol/rate_limit.ts";
import { extractAuth, type RequestAuth } from "../protocol/request_auth.ts";
import type { RequestMeta } from "../protocol/request_meta.ts";
import { type Answer, jsonAnswer } from "./answer.ts";
import type { Body, BodyReader } from "./body_reader.ts";
import { clientAddress } from "./client_address.ts";
import type { IncomingRequest } from "./incoming_request.ts";
import type { Ingress, Submission } from "./ingress.ts";

/** What the ingestion endpoints work with. */
export interface IngestionDeps {
  readonly ingress: Ingress;
  readonly bodies: BodyReader;
  readonly clock: Clock;
  /** Proxies whose forwarding headers are believed; null for none. */
  readonly trustedProxies: CidrSet | null;
  /** `limits.max_envelope_size`. */
  readonly maxEnvelopeBytes: number;
  /** `limits.max_event_size`. */
  readonly maxEventBytes: number;
}

/** Who sends an envelope. */
export interface Sender {
  readonly projectId: string;
  readonly auth: RequestAuth;
  /** The sender was stated by the request, so the envelope's header must agree with it. */
  readonly checked: boolean;
}

/** Authorization found in the request itself; null when there is none. */
export function requestAuth(request: IncomingRequest): RequestAuth | null {
  return extractAuth({
    xSentryAuth: request.header("x-sentry-auth"),
    authorization: request.header("authorization"),
    rawQuery: request.query,
  });
}

/**
 * Parses an envelope, hands it inwards and words the answer.
 *
 * @throws {RequestError} everything of sections 3.1 and 5.3
 */
export async function submitEnvelope(
  deps: IngestionDeps,
  request: IncomingRequest,
  sender: Sender,
  body: Pick<Body, "received" | "decoded" | "encoding">,
): Promise<Answer> {
  const parsed = parseEnvelope(body.decoded);
  const origin = requestOrigin(request);
  if (sender.checked) {
    checkEnvelopeMeta(parsed, { projectId: sender.projectId, key: sender.auth.key, origin });
  }
  if (parsed.items.length === 0) return accepted(parsed.eventId);
  const isIdMissing = needsEventId(parsed);
  const envelope = isIdMissing ? withEventId(parsed) : parsed;
  request.isSubmitted = true;
  const limits = await deps.ingress.submit({
    meta: metaOf(deps, request, sender, envelope, origin, isIdMissing ? "" : body.encoding),
    envelope,
    body: [isIdMissing ? envelope.bytes : body.received],
  });
  return limits.length > 0 ? limited(limits, deps.clock.now()) : accepted(envelope.eventId);
}

/** The envelope with an id made up for it: section 3.2. */
function withEventId(envelope: Envelope): Envelope {
  return parseEnvelope(concatBytes(rewriteEnvelope(envelope, { headers: { event_id: newEventId() } })));
}

function accepted(eventId: string | null): Answer {
  return jsonAnswer(200, eventId === null ? "{}" : `{"id":"${eventId}"}`);
}

const LIMITED_BODY = JSON.stringify({
  detail:
    "Sentry dropped data due to a quota or internal rate limit being reached. This will not affect your " +
    "application. See https://docs.sentry.io/product/accounts/quotas/ for more information.",
});

/** 429 for an envelope of which something was limited, even when the rest was kept: section 5.5. */
function limited(limits: readonly RateLimit[], nowMs: number): Answer {
  return jsonAnswer(429, LIMITED_BODY, {
    "retry-after": String(retryAfterSeconds(limits, nowMs)),
    "x-sentry-rate-limits": formatRateLimits(limits, nowMs),
  });
}

function metaOf(
  deps: IngestionDeps,
  request: IncomingRequest,
  { projectId, auth }: Sender,
  { headers, eventId }: Envelope,
  origin: string | null,
  contentEncoding: RequestMeta["contentEncoding"],
): Submission["meta"] {
  const { address, forwardedFor, isPeerTrusted } = clientAddress(request, deps.trustedProxies);
  const stated = (name: string): string | null => isPeerTrusted ? text(headers, name) : null;
  return {
    projectId,
    key: auth.key,
    version: (headers.version as number | undefined) ?? auth.version,
    client: text(headers, "client") ?? auth.client,
    origin: text(headers, "origin") ?? origin,
    remoteAddr: stated("remote_addr") ?? address,
    forwardedFor: stated("forwarded_for") ?? forwardedFor,
    userAgent: text(headers, "user_agent") ?? request.header("user-agent"),
    noCache: auth.noCache || headers["no_cache"] === true,
    contentEncoding,
    eventId,
  };
}

const HEADER_VALUE = /^[\t\x20-\x7e]{1,4096}$/;

/** A value of the envelope's header; it goes into the headers of a request, so what cannot stand there is ignored. */
function text(headers: EnvelopeHeaders, name: string): string | null {
  const value = headers[name];
  return typeof value === "string" && HEADER_VALUE.test(value) ? value : null;
}

let lastOrigin = "";
let lastOriginUrl: string | null = null;

/**
 * `Origin`, else `Referer`, as a normalised URL; anything but an http(s) URL counts as none: section 5.4.
 *
 * The last one is remembered, because pages send many envelopes and reading a URL costs as much as authorization.
 */
function requestOrigin(request: IncomingRequest): string | null {
  const header = request.header("origin") ?? request.header("referer");
  if (header === null || header === lastOrigin) return header === null ? null : lastOriginUrl;
  const url = URL.parse(header);
  lastOrigin = header;
  lastOriginUrl = url !== null && (url.protocol === "https:" || url.protocol === "http:") ? url.href : null;
  return lastOriginUrl;
}
