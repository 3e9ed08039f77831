/**
 * Bodies of the store endpoint: one event as JSON, or the compressed text of very old clients.
 *
 * Only id and type are read; everything else is the upstream's business, except that it has to be JSON. Source:
 * ingestion reference, section 1.3.
 */
import { fromUtf8Strict, utf8 } from "../core/bytes.ts";
import { newEventId, parseEventId } from "./event_id.ts";
import { RequestError } from "./request_error.ts";

/** How a body is to be read. */
export interface StoreBodyOptions {
  readonly maxEventBytes: number;
  /** `sentry_client` of the request. */
  readonly client: string | null;
  /** Inflates zlib data; returns no more than `max` bytes of it and throws when it is damaged before that. */
  readonly inflate: (zlib: Uint8Array, max: number) => Uint8Array;
}

/** An event out of a store body. */
export interface StoreEvent {
  /** 32 lower-case hex digits. */
  readonly eventId: string;
  /** Item type that carries such an event in an envelope. */
  readonly itemType: string;
  /** JSON. */
  readonly payload: Uint8Array;
}

const [SPACE, QUOTE, ZERO, BACKSLASH, OPEN_BRACE] = [0x20, 0x22, 0x30, 0x5c, 0x7b];
const [NAN, INFINITY] = [utf8("NaN"), utf8("Infinity")];

/**
 * Reads the body of a store request. An event without an id gets one.
 *
 * @throws {RequestError} 400 when the body is empty, cannot be decoded, or is not the JSON of an event
 */
export function parseStoreBody(bytes: Uint8Array, options: StoreBodyOptions): StoreEvent {
  let payload = decodeBody(bytes, options);
  if (payload.length === 0) throw RequestError.json(400, "empty_body", "empty request body");
  let event: Readonly<Record<string, unknown>>;
  try {
    event = parseObject(payload);
  } catch (error) {
    if (!isLegacyPython(options.client)) throw RequestError.invalidJson(error);
    payload = withoutSpecialNumbers(payload);
    try {
      event = parseObject(payload);
    } catch (again) {
      throw RequestError.invalidJson(again);
    }
  }
  return { eventId: eventIdOf(event), itemType: itemTypeOf(event), payload };
}

function decodeBody(bytes: Uint8Array, options: StoreBodyOptions): Uint8Array {
  if (bytes.length === 0 || bytes[0] === OPEN_BRACE) return bytes;
  try {
    const decoded = fromBase64(fromUtf8Strict(bytes));
    return decoded[0] === OPEN_BRACE ? decoded : options.inflate(decoded, options.maxEventBytes);
  } catch (error) {
    const cause = error instanceof Error ? error.message : "invalid data";
    throw RequestError.json(400, "payload", "invalid request body", [cause]);
  }
}

/** Standard alphabet, padded, nothing between: `atob` alone would take white space and missing padding. */
function fromBase64(text: string): Uint8Array {
  if (text.length % 4 !== 0 || !/^[A-Za-z0-9+/]*={0,2}$/.test(text)) throw new Error("invalid base64");
  const binary = atob(text);
  const bytes = new Uint8Array(binary.length);
  for (let at = 0; at < binary.length; at++) bytes[at] = binary.charCodeAt(at);
  return bytes;
}

function parseObject(payload: Uint8Array): Readonly<Record<string, unknown>> {
  const value: unknown = JSON.parse(fromUtf8Strict(payload));
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new Error("expected an object");
  }
  return value as Readonly<Record<string, unknown>>;
}

function eventIdOf(event: Readonly<Record<string, unknown>>): string {
  const sent = event.event_id ?? null;
  if (sent === null) return newEventId();
  const eventId = typeof sent === "string" ? parseEventId(sent) : null;
  if (eventId === null) throw RequestError.invalidJson(new Error("event_id: expected UUID string"));
  return eventId;
}

const ITEM_TYPES: ReadonlyMap<unknown, string> = new Map([
  ["transaction", "transaction"],
  ["csp", "security"],
  ["hpkp", "security"],
  ["expectct", "security"],
  ["expectstaple", "security"],
  ["feedback", "feedback"],
]);

function itemTypeOf(event: Readonly<Record<string, unknown>>): string {
  const sent = event.type ?? null;
  if (sent !== null && typeof sent !== "string") {
    throw RequestError.invalidJson(new Error("type: expected a string"));
  }
  return ITEM_TYPES.get(sent) ?? "event";
}

function isLegacyPython(client: string | null): boolean {
  return client !== null && (client.startsWith("raven-python/") || client.startsWith("sentry-python/"));
}

/** Python writes NaN and Infinity into JSON; outside of strings both become 0, padded so that the length stays. */
function withoutSpecialNumbers(payload: Uint8Array): Uint8Array {
  const patched = payload.slice();
  let inString = false;
  for (let at = 0; at < patched.length; at++) {
    const byte = patched[at];
    if (byte === QUOTE) inString = !inString;
    else if (inString && byte === BACKSLASH) at++;
    else if (!inString && (byte === NAN[0] || byte === INFINITY[0])) {
      const word = byte === NAN[0] ? NAN : INFINITY;
      if (word.some((expected, index) => patched[at + index] !== expected)) continue;
      patched.fill(SPACE, at, at + word.length);
      patched[at] = ZERO;
    }
  }
  return patched;
}
