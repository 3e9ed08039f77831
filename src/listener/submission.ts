/**
 * From an authenticated body to a submission and its answer; the part that all ingestion endpoints share.
 *
 * Three ways in: an envelope as it was sent, items that an endpoint makes an envelope of, and bodies that only the
 * upstream can read. Order of work: ingestion reference, section 5.1.
 */
import { concatBytes } from "../core/bytes.ts";
import type { CidrSet } from "../core/cidr.ts";
import type { Clock } from "../core/clock.ts";
import {
  buildEnvelope,
  checkEnvelopeMeta,
  type Envelope,
  type EnvelopeHead,
  type EnvelopeHeaders,
  needsEventId,
  parseEnvelope,
  rewriteEnvelope,
  type ScannedEnvelope,
} from "../protocol/envelope.ts";
import { newEventId } from "../protocol/event_id.ts";
import type { ItemLimits } from "../protocol/item_limits.ts";
import type { Quantity } from "../protocol/item_type.ts";
import { formatRateLimits, type RateLimit, retryAfterSeconds } from "../protocol/rate_limit.ts";
import type { BodyEncoding } from "../protocol/request_meta.ts";
import type { LargeUpload } from "../spool/large_upload.ts";
import type { Metrics } from "../telemetry/registry.ts";
import { type Answer, jsonAnswer } from "./answer.ts";
import type { Body, BodyReader } from "./body_reader.ts";
import { clientAddress } from "./client_address.ts";
import type { IncomingRequest } from "./incoming_request.ts";
import { type Ingress, SPOOL_FULL, type Submission } from "./ingress.ts";
import { LIMITED_BODY, queueFailed } from "./refusals.ts";
import type { Sender } from "./sender.ts";
import { CLIENT_CLAIMS, requestOrigin, senderMeta } from "./sender_meta.ts";

export { keySender, requestAuth, type Sender } from "./sender.ts";

/** What the ingestion endpoints work with. */
export interface IngestionDeps {
  readonly ingress: Ingress;
  readonly bodies: BodyReader;
  readonly clock: Clock;
  /** Proxies whose forwarding headers are believed; null for none. */
  readonly trustedProxies: CidrSet | null;
  /** `limits.max_envelope_size`. */
  readonly maxEnvelopeBytes: number;
  readonly metrics: Metrics;
  /** `limits.max_upload_size`. */
  readonly maxUploadBytes: number;
  /** `limits` of items, which are limits of bodies where a body is one item. */
  readonly itemLimits: ItemLimits;
}

/**
 * Parses an envelope, hands it inwards and words the answer.
 *
 * @throws {RequestError} everything of sections 3.1 and 5.3
 */
export async function submitEnvelope(
  deps: IngestionDeps,
  request: IncomingRequest,
  stated: Sender,
  body: Pick<Body, "received" | "decoded" | "encoding">,
): Promise<Answer> {
  const parsed = parseEnvelope(body.decoded);
  const sender = agreedSender(request, stated, parsed);
  if (parsed.items.length === 0) return accepted(parsed.eventId);
  const changes = changesTo(parsed, deps, request);
  const envelope = changes === null ? parsed : withHeaders(parsed, changes);
  const stored = changes === null
    ? { bytes: body.received, encoding: body.encoding }
    : { bytes: envelope.bytes, encoding: "" as const };
  const limits = await handIn(deps, request, sender, envelope, stored);
  return limits.length > 0 ? limited(limits, deps.clock.now()) : accepted(envelope.eventId);
}

/**
 * The same as {@link submitEnvelope} for an envelope that was written to the spool as it arrived.
 *
 * @throws {RequestError} everything of sections 3.1 and 5.3 that is not found while it passes
 */
export async function submitScanned(
  deps: IngestionDeps,
  request: IncomingRequest,
  stated: Sender,
  { envelope, upload, encoding }: {
    readonly envelope: ScannedEnvelope;
    readonly upload: LargeUpload;
    readonly encoding: BodyEncoding;
  },
): Promise<Answer> {
  const sender = agreedSender(request, stated, envelope);
  if (envelope.items.length === 0) return accepted(envelope.eventId);
  const changes = changesTo(envelope, deps, request);
  const headers = { ...envelope.headers, ...changes };
  const eventId = changes?.event_id ?? envelope.eventId;
  const stored = { upload, encoding, changes };
  const limits = await handInLarge(deps, request, sender, { ...envelope, headers, eventId }, stored);
  return limits.length > 0 ? limited(limits, deps.clock.now()) : accepted(eventId);
}

/**
 * The sender, with the project that the envelope names if the request names none.
 *
 * @throws {RequestError} 400 when the two do not agree
 */
function agreedSender(request: IncomingRequest, stated: Sender, envelope: EnvelopeHead): Sender {
  const projectId = stated.projectId || (envelope.dsn?.projectId ?? "");
  const sender = stated.projectId === "" ? { ...stated, projectId } : stated;
  request.projectId = projectId;
  request.key = stated.auth.key;
  if (sender.checked) {
    checkEnvelopeMeta(envelope, { projectId, key: sender.auth.key, origin: requestOrigin(request) });
  }
  return sender;
}

/** What {@link submitItems} makes an envelope of. */
export interface BuiltEnvelope {
  readonly eventId: string | null;
  /** Further keys of the envelope's header. */
  readonly headers?: object;
  /** Each item gets its `length`. */
  readonly items: readonly { readonly headers: object; readonly payload: Uint8Array }[];
}

/**
 * Hands items inwards as one envelope, for endpoints whose requests hold none.
 *
 * The endpoint words the answer; see {@link accepted}, {@link limited} and {@link untold}.
 *
 * @throws {RequestError} 403, 413 or 503
 */
export async function submitItems(
  deps: IngestionDeps,
  request: IncomingRequest,
  sender: Sender,
  { eventId, headers, items }: BuiltEnvelope,
): Promise<readonly RateLimit[]> {
  const id = eventId === null ? {} : { event_id: eventId };
  const bytes = concatBytes(buildEnvelope({ ...id, ...headers }, items));
  return await handIn(deps, request, sender, parseEnvelope(bytes), { bytes, encoding: "" });
}

/**
 * The same as {@link submitItems} for an envelope that was written while its items arrived, wherever it lies.
 *
 * @throws {RequestError} 403, 413 or 503
 */
export async function submitBuilt(
  deps: IngestionDeps,
  request: IncomingRequest,
  sender: Sender,
  { envelope, body }: { readonly envelope: ScannedEnvelope; readonly body: Uint8Array | LargeUpload },
): Promise<readonly RateLimit[]> {
  return body instanceof Uint8Array
    ? await handIn(deps, request, sender, parseEnvelope(body), { bytes: body, encoding: "" })
    : await handInLarge(deps, request, sender, envelope, { upload: body, encoding: "", changes: null });
}

/** What {@link submitPassthrough} sends on. */
export interface PassthroughRequest {
  /** The upstream's path and query. The query must not authenticate: the sender's key goes into a header. */
  readonly path: string;
  readonly contentType: string | null;
  readonly body: { readonly received: Uint8Array | LargeUpload; readonly encoding: BodyEncoding };
  /** What the body counts for; it is not read. */
  readonly quantities: readonly Quantity[];
}

/**
 * Hands a body inwards that is to reach the upstream's own route as it came.
 *
 * It waits on disk like an envelope and is limited as a whole. The endpoint words the answer.
 *
 * @throws {RequestError} 403 or 503
 */
export async function submitPassthrough(
  deps: IngestionDeps,
  request: IncomingRequest,
  sender: Sender,
  { path, contentType, body, quantities }: PassthroughRequest,
): Promise<readonly RateLimit[]> {
  request.isSubmitted = true;
  request.quantities = quantities;
  return told(
    request,
    await deps.ingress.submitPassthrough({
      receivedAtMs: request.receivedAtMs,
      meta: {
        ...senderMeta(request, sender, NO_HEADERS, deps.trustedProxies),
        contentEncoding: body.encoding,
        eventId: null,
        quantities,
        passthrough: { path, contentType },
      },
      body: body.received,
    }),
  );
}

const NO_HEADERS: EnvelopeHeaders = {};

async function handIn(
  deps: IngestionDeps,
  request: IncomingRequest,
  sender: Sender,
  envelope: Envelope,
  stored: { readonly bytes: Uint8Array; readonly encoding: BodyEncoding },
): Promise<readonly RateLimit[]> {
  const meta = handedIn(deps, request, sender, envelope, stored.encoding);
  const { receivedAtMs } = request;
  return told(request, await deps.ingress.submit({ receivedAtMs, meta, envelope, body: [stored.bytes] }));
}

async function handInLarge(
  deps: IngestionDeps,
  request: IncomingRequest,
  sender: Sender,
  envelope: ScannedEnvelope,
  { upload: body, encoding, changes: headers }: {
    readonly upload: LargeUpload;
    readonly encoding: BodyEncoding;
    readonly changes: EnvelopeHeaders | null;
  },
): Promise<readonly RateLimit[]> {
  const meta = handedIn(deps, request, sender, envelope, encoding);
  const { receivedAtMs } = request;
  return told(request, await deps.ingress.submitLarge({ receivedAtMs, meta, envelope, body, headers }));
}

/** What is recorded of an envelope; from here on its items are accounted for further in. */
function handedIn(
  { trustedProxies }: IngestionDeps,
  request: IncomingRequest,
  sender: Sender,
  { headers, items, eventId }: Envelope,
  contentEncoding: BodyEncoding,
): Submission["meta"] {
  request.isSubmitted = true;
  request.items = items;
  request.eventId = eventId;
  const about = senderMeta(request, sender, headers, trustedProxies);
  return { ...about, contentEncoding, eventId, passthrough: null };
}

/** Notes why something of a request is refused. */
function told(request: IncomingRequest, limits: readonly RateLimit[]): readonly RateLimit[] {
  request.reason = limits[0]?.reason ?? null;
  return limits;
}

/**
 * Keys of the header to set, or with `undefined` to remove: an id that is missing (section 3.2), and what the upstream
 * would believe about the client although this node does not (section 6.1). Of what SDKs send, hardly anything changes.
 */
function changesTo(
  envelope: Envelope,
  { trustedProxies }: IngestionDeps,
  request: IncomingRequest,
): EnvelopeHeaders | null {
  const { headers } = envelope;
  const id = needsEventId(envelope) ? { event_id: newEventId() } : null;
  const hasClaims = CLIENT_CLAIMS.some((name) => headers[name] !== undefined);
  if (!hasClaims || clientAddress(request, trustedProxies).isPeerTrusted) return id;
  return { ...id, ...Object.fromEntries(CLIENT_CLAIMS.map((name) => [name, undefined])) };
}

function withHeaders(envelope: Envelope, headers: EnvelopeHeaders): Envelope {
  return parseEnvelope(concatBytes(rewriteEnvelope(envelope, { headers })));
}

/** 200 of the endpoints that answer with the event's id. */
export function accepted(eventId: string | null): Answer {
  return jsonAnswer(200, eventId === null ? "{}" : `{"id":"${eventId}"}`);
}

/** 429 for an envelope of which something was limited, even when the rest was kept: section 5.5. */
export function limited(limits: readonly RateLimit[], nowMs: number): Answer {
  return jsonAnswer(429, LIMITED_BODY, {
    "retry-after": String(retryAfterSeconds(limits, nowMs)),
    "x-sentry-rate-limits": formatRateLimits(limits, nowMs),
  });
}

/**
 * Passes over limits, for endpoints that never answer 429 (section 5.5): their clients would send the same again.
 *
 * @throws {RequestError} 503 when the limit is the node's own full spool, because nothing of the request is on disk then
 */
export function untold(limits: readonly RateLimit[]): void {
  if (limits.some(({ reason }) => reason === SPOOL_FULL)) throw queueFailed();
}
