/**
 * Bodies of the security endpoint: reports of browsers, one by one or in a batch.
 *
 * Browsers send a violation of a policy to its `report-uri` as one object, and what the Reporting API has gathered as an
 * array of objects of several types. Why one envelope per report: an envelope holds at most one event, and a report is
 * one. Source: ingestion reference, section 1.3 (unverified there for batches).
 *
 * Limits: {@link REPORTS_MAX} reports of a batch; a small request must not become any number of records.
 */
import { type JsonObject, JsonObjectError, readJsonObject } from "./json_object.ts";
import { RequestError } from "./request_error.ts";

/** Most reports taken out of one batch; as many as Chromium holds for all sites together. */
export const REPORTS_MAX = 100;

/** Reports out of one body. */
export interface SecurityReports {
  /** Payload of one item each, JSON. */
  readonly payloads: readonly Uint8Array[];
  /** Reports of types nobody takes. */
  readonly unsupported: number;
  /** Reports beyond {@link REPORTS_MAX}. */
  readonly surplus: number;
}

const SUPPORTED_TYPES: ReadonlySet<unknown> = new Set(["csp-violation"]);
const [OPEN_BRACKET, CLOSE_BRACKET, COMMA, SPACE] = [0x5b, 0x5d, 0x2c, 0x20];

/**
 * Reads the body of a report. A single one is passed on without a look, as Relay does.
 *
 * @throws {RequestError} 400 when the body is empty, or a batch that is no array of objects
 */
export function securityReports(body: Uint8Array): SecurityReports {
  if (body.length === 0) throw RequestError.json(400, "empty_body", "empty request body");
  const start = skipWhiteSpace(body, 0);
  if (body[start] !== OPEN_BRACKET) return { payloads: [body], unsupported: 0, surplus: 0 };
  const reports = batchAt(body, start);
  const supported = reports.filter(({ value }) => SUPPORTED_TYPES.has(value.type));
  return {
    payloads: supported.slice(0, REPORTS_MAX).map(({ start, end }) => body.subarray(start, end)),
    unsupported: reports.length - supported.length,
    surplus: Math.max(0, supported.length - REPORTS_MAX),
  };
}

/** The objects of the array that starts at `start` and is the rest of the body. */
function batchAt(body: Uint8Array, start: number): JsonObject[] {
  const reports: JsonObject[] = [];
  let at = skipWhiteSpace(body, start + 1);
  let isOpen = body[at] !== CLOSE_BRACKET;
  while (isOpen) {
    const report = objectAt(body, at);
    reports.push(report);
    at = skipWhiteSpace(body, report.end);
    isOpen = body[at] === COMMA;
    if (isOpen) at++;
  }
  if (body[at] !== CLOSE_BRACKET || skipWhiteSpace(body, at + 1) < body.length) {
    throw RequestError.invalidJson(new Error("expected an array of objects"));
  }
  return reports;
}

function objectAt(body: Uint8Array, at: number): JsonObject {
  try {
    const object = readJsonObject(body, at, body.length);
    if (object !== null) return object;
  } catch (error) {
    if (!(error instanceof JsonObjectError)) throw error;
    throw RequestError.invalidJson(error);
  }
  throw RequestError.invalidJson(new Error("EOF while parsing a list"));
}

/** Leniently: blanks and every control character. */
function skipWhiteSpace(body: Uint8Array, from: number): number {
  let at = from;
  while (at < body.length && body[at]! <= SPACE) at++;
  return at;
}
