/**
 * Check-ins of monitors as plain HTTP clients send them: one line of curl or wget in a crontab.
 *
 * What comes out is the payload of a `check_in` item, with the keys an upstream knows and no others. Texts of refusals are
 * those of the framework Relay is made with. Source: ingestion reference, sections 1.2, 1.3 and 5.2.
 */
import { fromUtf8Strict, utf8 } from "../core/bytes.ts";
import { parseEventId } from "./event_id.ts";
import { readJsonObject } from "./json_object.ts";
import { RequestError } from "./request_error.ts";

/** Client that is stated for requests that name none. */
export const CHECK_IN_CLIENT = "relay-http";

const NIL_ID = "0".repeat(32);
const STATUSES: ReadonlySet<unknown> = new Set(["ok", "error", "in_progress", "missed"]);

const [SPACE, OPEN_BRACE] = [0x20, 0x7b];

type Fields = Readonly<Record<string, unknown>>;

/**
 * A check-in out of a query: `status`, and optionally `check_in_id`, `environment`, `duration` in seconds.
 *
 * @throws {RequestError} 400 in plain text
 */
export function checkInFromQuery(slug: string, query: string): Uint8Array {
  const params = new URLSearchParams(query);
  const duration = params.get("duration");
  const fields = {
    status: params.get("status") ?? undefined,
    check_in_id: params.get("check_in_id") ?? undefined,
    environment: params.get("environment"),
    duration: duration === null ? null : numberOf(duration),
  };
  return payloadOf(slug, fields, (fault) => refusal(400, `Failed to deserialize query string: ${fault}`));
}

/**
 * A check-in out of a JSON body, with the same keys and `monitor_config` and `contexts`.
 *
 * @throws {RequestError} 400 for what is no JSON, 422 for JSON of another shape; in plain text
 */
export function checkInFromJson(slug: string, body: Uint8Array): Uint8Array {
  const misfit = (fault: string) =>
    refusal(422, `Failed to deserialize the JSON body into the target type: ${fault}`);
  let fields: Fields | null;
  try {
    fields = objectOf(body);
  } catch (error) {
    throw refusal(400, `Failed to parse the request body as JSON: ${(error as Error).message}`);
  }
  if (fields === null) throw misfit("expected struct CheckIn");
  return payloadOf(slug, fields, misfit);
}

/**
 * The object that a JSON text is, nested no deeper than an upstream reads it; `null` when it is something else.
 *
 * @throws {Error} when it is no JSON
 */
function objectOf(body: Uint8Array): Fields | null {
  const start = body.findIndex((byte) => byte > SPACE);
  if (body[start] !== OPEN_BRACE) {
    JSON.parse(fromUtf8Strict(body));
    return null;
  }
  const object = readJsonObject(body, start, body.length)!;
  if (body.subarray(object.end).some((byte) => byte > SPACE)) throw new Error("trailing characters");
  return object.value;
}

function payloadOf(slug: string, fields: Fields, misfit: (fault: string) => RequestError): Uint8Array {
  const { status, check_in_id: id = NIL_ID, environment, duration } = fields;
  if (status === undefined) throw misfit("missing field `status`");
  if (typeof status !== "string") throw misfit("status: expected a string");
  const checkInId = typeof id === "string" ? parseEventId(id) : null;
  if (checkInId === null) throw misfit("check_in_id: expected UUID string");
  if (!isOptional(environment, "string")) throw misfit("environment: expected a string");
  if (!isOptional(duration, "number")) throw misfit("duration: invalid float literal");
  for (const name of ["monitor_config", "contexts"]) {
    if (!isOptional(fields[name], "object")) throw misfit(`${name}: expected a map`);
  }
  return utf8(JSON.stringify({
    check_in_id: checkInId,
    monitor_slug: slug,
    status: STATUSES.has(status) ? status : "unknown",
    environment: environment ?? undefined,
    duration: duration ?? undefined,
    monitor_config: fields.monitor_config ?? undefined,
    contexts: fields.contexts ?? undefined,
  }));
}

function isOptional(value: unknown, type: "string" | "number" | "object"): boolean {
  return value === undefined || value === null || typeof value === type && !Array.isArray(value);
}

/** The number that a text spells; any other text is left, for the check of its type. */
function numberOf(text: string): number | string {
  return /^[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?$/i.test(text) ? Number(text) : text;
}

function refusal(status: number, text: string): RequestError {
  return RequestError.text(status, "payload", text);
}
