/**
 * Requests that the upstream answers itself: ingestion reference, sections 1.4 and 1.5.
 *
 * What is passed on is the request as the client sent it, less what belongs to the connection, plus the client's address;
 * and the answer as the upstream sent it, in its own Content-Encoding. Nothing is held whole, kept or tried twice.
 * It goes to the upstream that records of the same key go to (`forward_subject.ts`).
 *
 * Unlike in a Relay, forwarding headers of the client are replaced by one line, not joined by a second one: which of two
 * the upstream would believe is nobody's guess, and what a stranger writes there must not count.
 *
 * Limits: the body of each request; requests under way together, further ones are answered with 503.
 */
import type { CidrSet } from "../core/cidr.ts";
import type { SharedPermits } from "../core/shared_permits.ts";
import { RequestError } from "../protocol/request_error.ts";
import type { StreamRequest, StreamResponse } from "../upstream/stream_client.ts";
import { UpstreamError } from "../upstream/upstream_error.ts";
import type { RouteSubject } from "../upstream/upstream_route.ts";
import { type Answer, errorAnswer } from "./answer.ts";
import { unreadable } from "./body_reader.ts";
import { type BodyStream, type BodyStreamDeps, openBody } from "./body_stream.ts";
import { clientAddress } from "./client_address.ts";
import { BodyError, type HeaderList, type IncomingRequest } from "./incoming_request.ts";
import { forwardSubject } from "./forward_subject.ts";

/** Where requests are passed on to. */
export interface ForwardUpstream {
  /**
   * As `StreamClient.send`.
   *
   * @param subject whose request it is; null when it names no key
   */
  send(request: StreamRequest, signal: AbortSignal, subject: RouteSubject | null): Promise<StreamResponse>;
}

/** What the endpoints that forward work with. */
export interface ForwardDeps extends BodyStreamDeps {
  readonly upstream: ForwardUpstream;
  /** Proxies whose forwarding headers are believed; null for none. */
  readonly trustedProxies: CidrSet | null;
  /** One for each request whose answer has not ended; the lanes share them. */
  readonly permits: Pick<SharedPermits, "tryTake" | "give">;
}

/** How an endpoint forwards. */
export interface ForwardOptions {
  /** For the request's body, bytes. */
  readonly bodyBytesMax: number;
  /** Changes a header of the answer. */
  readonly rewrite?: (name: string, value: string) => string;
  /** Whether the node sets CORS headers of its own. */
  readonly cors?: boolean;
}

/**
 * Sends a request upstream and words the answer, also when there is none: 502, 504.
 *
 * @throws {RequestError} when nothing of the request's body was read
 */
export async function forward(
  deps: ForwardDeps,
  request: IncomingRequest,
  options: ForwardOptions,
): Promise<Answer> {
  const path = checkedPath(request);
  const body = await opened(deps, request, options.bodyBytesMax);
  try {
    const { chunks, bytes } = body;
    const outgoing = {
      method: request.method,
      path,
      headers: requestHeaders(request, deps.trustedProxies),
      body: chunks === null ? null : { chunks, bytes },
    };
    const response = await permitted(
      deps.permits,
      () => deps.upstream.send(outgoing, request.signal, forwardSubject(request)),
    );
    return { ...passOn(response, options), closing: !body.isRead };
  } catch (error) {
    const refusal = refusalFor(error);
    // A body that was not touched is seen to as that of any refused request.
    if (!body.isStarted) throw refusal;
    return { ...errorAnswer(refusal), closing: !body.isRead };
  } finally {
    body.release();
  }
}

/** Sends with a permit, which comes back when the answer has ended. */
async function permitted(
  permits: ForwardDeps["permits"],
  send: () => Promise<StreamResponse>,
): Promise<StreamResponse> {
  if (!permits.tryTake()) throw overloaded();
  try {
    const response = await send();
    void response.ended.then(() => permits.give());
    return response;
  } catch (error) {
    permits.give();
    throw error;
  }
}

async function opened(deps: ForwardDeps, request: IncomingRequest, limit: number): Promise<BodyStream> {
  try {
    return await openBody(deps, request, limit);
  } catch (error) {
    throw error instanceof BodyError ? unreadable(error) : error;
  }
}

const UNSENDABLE = /[^\x21-\x7e]/;
const DOT_SEGMENT = /\/(?:\.|%2e){1,2}(?:\/|$)/i;

/** The target to ask for; a path that means another one once the upstream has normalised it is nobody's. */
function checkedPath({ path, query }: IncomingRequest): string {
  if (DOT_SEGMENT.test(path)) throw RequestError.empty(404, "other");
  const target = query === "" ? path : `${path}?${query}`;
  if (UNSENDABLE.test(target)) throw RequestError.empty(400, "other");
  return target;
}

/** Belongs to one connection, or is made anew for the next one. */
const OF_THE_CONNECTION: readonly string[] = [
  "connection",
  "keep-alive",
  "proxy-connection",
  "proxy-authenticate",
  "proxy-authorization",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
];
const DROPPED_REQUEST: ReadonlySet<string> = new Set([
  ...OF_THE_CONNECTION,
  "host",
  "expect",
  "content-encoding",
  "content-length",
  "http2-settings",
  "cf-connecting-ip",
  "x-vercel-forwarded-for",
  "x-sentry-forwarded-for",
  "x-forwarded-for",
]);
const DROPPED_ANSWER: ReadonlySet<string> = new Set([
  ...OF_THE_CONNECTION,
  "server",
  "cross-origin-resource-policy",
]);
const CORS: ReadonlySet<string> = new Set([
  "access-control-allow-origin",
  "access-control-expose-headers",
  "vary",
]);

function requestHeaders(request: IncomingRequest, trustedProxies: CidrSet | null): HeaderList {
  const named = tokens(request.header("connection"));
  const headers = request.headerList().filter(([name]) => !DROPPED_REQUEST.has(name) && !named.has(name));
  return [...headers, ["x-forwarded-for", clientAddress(request, trustedProxies).forwardedFor]];
}

function passOn({ status, fields, body }: StreamResponse, { rewrite, cors }: ForwardOptions): Answer {
  const headers = new Map<string, string>();
  const cookies: [string, string][] = [];
  for (let at = 0; at < fields.length; at += 2) {
    const name = fields[at]!;
    const value = rewrite ? rewrite(name, fields[at + 1]!) : fields[at + 1]!;
    const before = headers.get(name);
    if (name === "set-cookie") cookies.push([name, value]);
    else headers.set(name, before === undefined ? value : `${before}, ${value}`);
  }
  // The length of a chunked answer counts for nothing, and that of none at all must not be told.
  if (headers.has("transfer-encoding") || status === 204) headers.delete("content-length");
  const named = tokens(headers.get("connection") ?? null);
  const isDropped = (name: string): boolean =>
    DROPPED_ANSWER.has(name) || named.has(name) || (cors === true && CORS.has(name));
  const passedOn = [...[...headers].filter(([name]) => !isDropped(name)), ...cookies];
  return { status, body, contentType: null, passedOn };
}

function tokens(header: string | null): ReadonlySet<string> {
  return new Set(header === null ? [] : header.toLowerCase().split(",").map((token) => token.trim()));
}

function overloaded(): RequestError {
  return RequestError.json(503, "queue_failed", "the service is overloaded");
}

function refusalFor(error: unknown): RequestError {
  if (error instanceof RequestError) return error;
  if (error instanceof BodyError) return unreadable(error);
  if (!(error instanceof UpstreamError)) throw error;
  const status = error.kind === "timeout" ? 504 : error.kind === "aborted" ? 499 : 502;
  return RequestError.empty(status, "upstream_error");
}
