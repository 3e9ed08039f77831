/**
 * Who sends: the project's public key, as a request states it.
 *
 * A request may state it in one of several places and must not in two. Source: ingestion reference, section 2. The
 * envelope's own header is one more place, read by `envelope_auth.ts` when this file finds nothing.
 */
import { canonicalProjectId, isProjectKey } from "./project_key.ts";
import { RequestError } from "./request_error.ts";

/** Authentication a request carries. */
export interface RequestAuth {
  /** Public key, 32 characters, without flags. */
  readonly key: string;
  /** Protocol version, at most {@link PROTOCOL_VERSION}. */
  readonly version: number;
  /** `sentry_client`, such as `sentry.python/2.1.0`. */
  readonly client: string | null;
  /** The key carried the `no-cache` flag. */
  readonly noCache: boolean;
}

/** Newest protocol version that is understood. */
export const PROTOCOL_VERSION = 7;

/** Where a request may state its key. */
export interface AuthSource {
  readonly xSentryAuth: string | null;
  readonly authorization: string | null;
  /** Query without the `?`, not decoded. */
  readonly rawQuery: string;
  /** Key in the path (unreal and cron routes). */
  readonly pathKey?: string;
}

/** Fields before they are judged; the last of equal fields wins. */
interface RawAuth {
  key: string;
  version: string | null;
  client: string | null;
}

/**
 * The authentication of a request; `null` when it carries none, which is {@link missingAuth} on most routes.
 *
 * @throws {RequestError} 401 for two sources or a malformed one, 400 for a malformed key or an unknown version
 */
export function extractAuth(source: AuthSource): RequestAuth | null {
  let raw: RawAuth | null = null;
  for (const found of [fromHeader(source.xSentryAuth), fromAuthorization(source.authorization)]) {
    if (found === null) continue;
    if (raw !== null) throw multipleAuth();
    raw = checked(found);
  }
  // Whether the query counts is decided by this substring alone, so `?sentry_release=x` is a malformed source.
  if (source.rawQuery.includes("sentry_")) {
    if (raw !== null) throw multipleAuth();
    raw = checked(fromQuery(source.rawQuery));
  }
  if (source.pathKey !== undefined) {
    if (raw !== null) throw multipleAuth();
    raw = checked({ key: source.pathKey, version: null, client: null });
  }
  return raw === null ? null : judged(raw);
}

/** Answer to a request without authentication. */
export function missingAuth(): RequestError {
  return RequestError.json(401, "auth_client", "missing authorization information");
}

/**
 * The project id of a path, in canonical decimal.
 *
 * @throws {RequestError} 400 when it is not an unsigned 64-bit number (ingestion reference, section 1.1)
 */
export function parseProjectId(text: string): string {
  const id = canonicalProjectId(text);
  if (id !== null) return id;
  throw RequestError.json(400, "project_id", "bad project path parameter", [
    `Invalid URL: Cannot parse \`project_id\` with value \`${
      text.slice(0, 64)
    }\`: invalid digit found in string`,
  ]);
}

function fromHeader(header: string | null): RawAuth | null {
  if (header === null || !/^sentry /i.test(header)) return null;
  const raw: RawAuth = { key: "", version: null, client: null };
  for (const item of header.slice(7).split(",")) {
    const [name = "", value] = item.split("=", 2);
    if (value !== undefined) setField(raw, name.trim(), value.trim());
  }
  return raw;
}

function fromAuthorization(header: string | null): RawAuth | null {
  return header === null ? null : fromHeader(header) ?? fromBasic(header);
}

/** `Basic base64(key:anything)`; whatever cannot be read as that is ignored. */
function fromBasic(header: string): RawAuth | null {
  const encoded = /^basic +([A-Za-z0-9+/=]+) *$/i.exec(header)?.[1];
  if (encoded === undefined) return null;
  let pair: string;
  try {
    pair = atob(encoded);
  } catch {
    return null;
  }
  const colon = pair.indexOf(":");
  return colon < 0 ? null : { key: pair.slice(0, colon), version: null, client: null };
}

function fromQuery(query: string): RawAuth {
  const raw: RawAuth = { key: "", version: null, client: null };
  for (const pair of query.split("&")) {
    if (!pair.includes("=")) continue;
    const equals = pair.indexOf("=");
    const name = decoded(pair.slice(0, equals));
    const value = decoded(pair.slice(equals + 1));
    if (name !== null && value !== null) setField(raw, name, value);
    else for (const [name, value] of new URLSearchParams(pair)) setField(raw, name, value);
  }
  return raw;
}

/**
 * Part of a query without its encoding; null when it is not well encoded.
 *
 * Only then is `URLSearchParams` asked, which costs more than all the rest of this file, and SDKs encode their names.
 */
function decoded(text: string): string | null {
  if (!/[%+]/.test(text)) return text;
  try {
    return decodeURIComponent(text.replaceAll("+", " "));
  } catch {
    return null;
  }
}

function setField(raw: RawAuth, name: string, value: string): void {
  if (name === "sentry_key") raw.key = value;
  else if (name === "sentry_version") raw.version = value;
  else if (name === "sentry_client") raw.client = value;
}

/** Judged as soon as found: a malformed first source is reported even if there is a second one. */
function checked(raw: RawAuth): RawAuth {
  if (raw.version !== null && protocolVersion(raw.version) === null) {
    throw badAuth("invalid value for version");
  }
  if (raw.key === "") throw badAuth("missing public key in auth header");
  return raw;
}

function judged(raw: RawAuth): RequestAuth {
  const [key = "", ...flags] = raw.key.split(".");
  if (!isProjectKey(key)) {
    throw RequestError.json(400, "auth_client", "bad sentry DSN public key", ["invalid project key"]);
  }
  const version = raw.version === null ? PROTOCOL_VERSION : protocolVersion(raw.version) ?? PROTOCOL_VERSION;
  if (version > PROTOCOL_VERSION) {
    throw RequestError.json(400, "auth_version", `unsupported protocol version (${version})`);
  }
  return { key, version, client: raw.client, noCache: flags.includes("no-cache") };
}

/** The integer part of a version such as `7` or `2.0`, if it fits 16 bits. */
function protocolVersion(text: string): number | null {
  const digits = /^\+?(\d+)(?:\.|$)/.exec(text)?.[1];
  const version = Number(digits ?? NaN);
  return version <= 0xffff ? version : null;
}

function badAuth(cause: string): RequestError {
  return RequestError.json(401, "auth_client", "bad x-sentry-auth header", [cause]);
}

function multipleAuth(): RequestError {
  return RequestError.json(401, "auth_client", "multiple authorization payloads detected");
}
