/**
 * What is recorded about a request: ingestion reference, section 6.1.
 *
 * What the header of an envelope says about its sender wins over what the request says, because that is how chained
 * relays pass on the client. Unlike in a Relay, address, origin, user agent and client hints are taken from there only when
 * the peer is one of our own proxies: from anyone else they would let a client choose what it is blocked or filtered by.
 * The envelope is stored without them then, because the upstream would believe them.
 * Names of SDKs are nobody's secret, so `client` and `version` are taken from everyone.
 */
import type { CidrSet } from "../core/cidr.ts";
import type { EnvelopeHeaders } from "../protocol/envelope.ts";
import { CLIENT_HINTS, type ClientHints, type RequestMeta } from "../protocol/request_meta.ts";
import { clientAddress } from "./client_address.ts";
import type { IncomingRequest } from "./incoming_request.ts";
import { relaySignature, type Sender } from "./sender.ts";

/** Keys of an envelope's header that say something about the client which only trusted proxies may say. */
export const CLIENT_CLAIMS = [
  "origin",
  "remote_addr",
  "forwarded_for",
  "user_agent",
  "client_hints",
] as const;

/** The part of {@link RequestMeta} that says who sent, and how. */
export type SenderMeta = Omit<
  RequestMeta,
  "quantities" | "contentEncoding" | "eventId" | "passthrough" | "isPoliced"
>;

/** @param headers header of the envelope; empty for bodies that are none */
export function senderMeta(
  request: IncomingRequest,
  { projectId, auth }: Sender,
  headers: EnvelopeHeaders,
  trustedProxies: CidrSet | null,
): SenderMeta {
  const { address, forwardedFor, isPeerTrusted } = clientAddress(request, trustedProxies);
  const stated = (name: string): string | null => isPeerTrusted ? text(headers, name) : null;
  return {
    projectId,
    key: auth.key,
    version: (headers.version as number | undefined) ?? auth.version,
    client: text(headers, "client") ?? auth.client,
    origin: stated("origin") ?? requestOrigin(request),
    remoteAddr: stated("remote_addr") ?? address,
    forwardedFor: stated("forwarded_for") ?? forwardedFor,
    userAgent: stated("user_agent") ?? request.header("user-agent"),
    clientHints: isPeerTrusted && statedHints(headers) || requestHints(request),
    noCache: auth.noCache || headers["no_cache"] === true,
    ...relaySignature(request),
  };
}

const HEADER_VALUE = /^[\t\x20-\x7e]{1,4096}$/;

/** A value of the envelope's header; it goes into the headers of a request, so what cannot stand there is ignored. */
function text(headers: Readonly<Record<string, unknown>>, name: string): string | null {
  const value = headers[name];
  return typeof value === "string" && HEADER_VALUE.test(value) ? value : null;
}

function statedHints(headers: EnvelopeHeaders): ClientHints | null {
  const stated = headers["client_hints"];
  if (stated === undefined) return null;
  return hintsFrom((name) => text(stated as Readonly<Record<string, unknown>>, name.replaceAll("-", "_")));
}

function requestHints(request: IncomingRequest): ClientHints | null {
  return hintsFrom((name) => request.header(name));
}

function hintsFrom(valueOf: (name: string) => string | null): ClientHints | null {
  let hints: [string, string][] | null = null;
  for (const name of CLIENT_HINTS) {
    const value = valueOf(name);
    if (value) (hints ??= []).push([name, value]);
  }
  return hints;
}

let lastOrigin = "";
let lastOriginUrl: string | null = null;

/**
 * `Origin`, else `Referer`, as a normalised URL; anything but an http(s) URL counts as none: section 5.4.
 *
 * The last one is remembered, because pages send many envelopes and reading a URL costs as much as authorization.
 */
export function requestOrigin(request: IncomingRequest): string | null {
  const header = request.header("origin") ?? request.header("referer");
  if (header === null || header === lastOrigin) return header === null ? null : lastOriginUrl;
  const url = URL.parse(header);
  lastOrigin = header;
  lastOriginUrl = url !== null && (url.protocol === "https:" || url.protocol === "http:") ? url.href : null;
  return lastOriginUrl;
}
