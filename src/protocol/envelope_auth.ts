import { type Dsn, parseDsn } from "./dsn.ts";
import { AUTH_HEADER, type EnvelopeHeaders, headerFault } from "./envelope_headers.ts";
import { type JsonObject, readJsonObject } from "./json_object.ts";
import { type EnvelopeHead, HEADER_BYTES_MAX, invalidEnvelope } from "./parse_envelope.ts";
import { PROTOCOL_VERSION, type RequestAuth } from "./request_auth.ts";
import { RequestError } from "./request_error.ts";

const NEWLINE = 10;

/**
 * The authentication an envelope carries in its own header; for requests that carry none.
 *
 * Only the first line counts here, though the format itself allows a header of several (ingestion reference, section 2).
 *
 * @throws {RequestError} 401 when that line is no header with a `dsn`
 */
export function envelopeAuth(bytes: Uint8Array): { auth: RequestAuth; dsn: Dsn } {
  const newline = bytes.indexOf(NEWLINE);
  const headers = headersOf(newline < 0 ? bytes : bytes.subarray(0, newline));
  const { version = PROTOCOL_VERSION, client = null, no_cache: noCache = false } = headers;
  try {
    const dsn = parseDsn(headers.dsn ?? "");
    return { auth: { key: dsn.key, version, client, noCache }, dsn };
  } catch (error) {
    throw badEnvelopeAuth(error);
  }
}

function headersOf(line: Uint8Array): EnvelopeHeaders {
  let object: JsonObject | null;
  try {
    object = readJsonObject(line, 0, HEADER_BYTES_MAX);
  } catch (error) {
    throw badEnvelopeAuth(error);
  }
  if (object === null) throw badEnvelopeAuth("EOF while parsing a value");
  const fault = headerFault(line, object, AUTH_HEADER);
  if (fault !== null) throw badEnvelopeAuth(fault);
  return object.value;
}

function badEnvelopeAuth(cause: unknown): RequestError {
  const text = cause instanceof Error ? cause.message : String(cause);
  return RequestError.json(401, "auth_client", "bad envelope authentication header", [text]);
}

/** What the request says, to hold against the envelope. */
export interface RequestIdentity {
  readonly projectId: string;
  readonly key: string;
  /** Normalised URL; `null` when the request has none. */
  readonly origin: string | null;
}

/**
 * Holds the header of an envelope against the request it came in.
 *
 * @throws {RequestError} 400 when the envelope names another origin, project or key (ingestion reference, section 2)
 */
export function checkEnvelopeMeta(envelope: EnvelopeHead, expect: RequestIdentity): void {
  const { origin } = envelope.headers;
  if (typeof origin === "string" && URL.parse(origin)?.href !== expect.origin) throw mismatch("origin");
  if (envelope.dsn === null) return;
  if (envelope.dsn.projectId !== expect.projectId) throw mismatch("project id");
  if (envelope.dsn.key !== expect.key) throw mismatch("public key");
}

function mismatch(what: string): RequestError {
  return invalidEnvelope(`${what} header mismatch between envelope and request`);
}
