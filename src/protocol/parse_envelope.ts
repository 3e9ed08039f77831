import { type Dsn, DsnError, parseDsn } from "./dsn.ts";
import {
  ENVELOPE_HEADER,
  type EnvelopeHeaders,
  headerFault,
  ITEM_HEADER,
  type ItemHeaders,
} from "./envelope_headers.ts";
import { parseEventId } from "./event_id.ts";
import type { ContainerRest } from "./item_container.ts";
import { type ItemType, itemType } from "./item_type.ts";
import { type JsonObject, JsonObjectError, readJsonObject } from "./json_object.ts";
import { RequestError } from "./request_error.ts";

/** An item: its header, and where it stands in {@link Envelope.bytes}. */
export interface EnvelopeItem {
  /** Row of the type table; the name as sent is in the header. */
  readonly type: ItemType;
  readonly headers: ItemHeaders;
  /** Offset of its header's `{`. */
  readonly start: number;
  readonly payloadStart: number;
  readonly payloadEnd: number;
  /** Offset after its newline, or the end of the bytes when the newline was left out. */
  readonly end: number;
  /**
   * Present when elements of a container were taken out: what stands in place of its bytes. `payloadEnd` follows from its
   * length then.
   */
  readonly rest?: ContainerRest;
}

/** An envelope over the decoded bytes of a request; nothing of them is copied. */
export interface Envelope extends EnvelopeHead {
  readonly bytes: Uint8Array;
  readonly items: readonly EnvelopeItem[];
}

/** What the first line of an envelope says. */
export interface EnvelopeHead {
  readonly headers: EnvelopeHeaders;
  /** 32 lower-case hex digits; `null` when the header has none. */
  readonly eventId: string | null;
  /** The header's `dsn`, read. */
  readonly dsn: Dsn | null;
  /** Offset of the header's `{`. */
  readonly headerStart: number;
  /** Offset after the header's `}`, where its newline stands unless the bytes end. */
  readonly headerEnd: number;
}

/**
 * Most bytes all headers of an envelope may have together, and so a bound on the number of items as well.
 *
 * Relay has none. The headers of real clients stay below ten thousand bytes; payloads are not read and may be as long as
 * a body may be.
 */
export const HEADER_BYTES_MAX = 256 * 1024;

const NEWLINE = 10;

/**
 * Reads an envelope.
 *
 * @throws {RequestError} 400 when it is malformed, empty, has more than {@link HEADER_BYTES_MAX} of headers, or holds
 *   internal items (ingestion reference, sections 3.1 to 3.4)
 */
export function parseEnvelope(bytes: Uint8Array): Envelope {
  const { headers, eventId, dsn, headerStart, headerEnd } = parseEnvelopeHeader(bytes);
  const items: EnvelopeItem[] = [];
  let headerBytesLeft = HEADER_BYTES_MAX - (headerEnd - headerStart);
  for (let at = headerEnd + 1; at < bytes.length;) {
    const item = parseItem(bytes, at, headerBytesLeft);
    items.push(item);
    headerBytesLeft -= item.payloadStart - item.start;
    at = item.end;
  }
  return { bytes, headers, eventId, dsn, headerStart, headerEnd, items };
}

/**
 * Reads the header of an envelope and leaves the items alone.
 *
 * @throws {RequestError} 400
 */
export function parseEnvelopeHeader(bytes: Uint8Array): EnvelopeHead {
  if (bytes.length === 0) throw RequestError.json(400, "empty_body", "empty request body");
  const object = objectAt(bytes, 0, HEADER_BYTES_MAX, "invalid envelope header");
  if (object === null) throw invalidEnvelope("missing envelope header");
  const fault = headerFault(bytes, object, ENVELOPE_HEADER);
  if (fault !== null) throw invalidEnvelope("invalid envelope header", fault);
  requireNewline(bytes, object.end);
  const headers: EnvelopeHeaders = object.value;
  return {
    headers,
    eventId: typeof headers.event_id === "string" ? parseEventId(headers.event_id) : null,
    dsn: typeof headers.dsn === "string" ? dsnOf(headers.dsn) : null,
    headerStart: object.start,
    headerEnd: object.end,
  };
}

function dsnOf(text: string): Dsn {
  try {
    return parseDsn(text);
  } catch (error) {
    if (error instanceof DsnError) throw invalidEnvelope("invalid envelope header", error.message);
    throw error;
  }
}

/** Whether the envelope needs an event id but has none; the receiver then makes one up. */
export function needsEventId(envelope: Envelope): boolean {
  return envelope.eventId === null && envelope.items.some((item) => item.type.requiresEvent);
}

function parseItem(bytes: Uint8Array, from: number, headerBytesMax: number): EnvelopeItem {
  const { type, headers, start, headerEnd } = parseItemHeader(bytes, from, headerBytesMax);
  const payloadStart = Math.min(headerEnd + 1, bytes.length);
  const payloadEnd = endOfPayload(bytes, payloadStart, headers.length);
  return { type, headers, start, payloadStart, payloadEnd, end: Math.min(payloadEnd + 1, bytes.length) };
}

/** What the header of an item says. */
export interface ItemHead {
  readonly type: ItemType;
  readonly headers: ItemHeaders;
  /** Offset of the header's `{`. */
  readonly start: number;
  /** Offset after its `}`, where its newline stands unless the bytes end. */
  readonly headerEnd: number;
}

/**
 * Reads the header of the item at `from` and leaves its payload alone.
 *
 * @throws {RequestError} 400
 */
export function parseItemHeader(bytes: Uint8Array, from: number, headerBytesMax: number): ItemHead {
  const object = objectAt(bytes, from, headerBytesMax, "invalid item header");
  if (object === null) throw endTooEarly();
  const fault = headerFault(bytes, object, ITEM_HEADER);
  if (fault !== null) throw invalidEnvelope("invalid item header", fault);
  const headers = object.value as ItemHeaders;
  const type = itemType(headers.type);
  if (type.type === "integration") {
    throw RequestError.json(400, "internal_envelope", "envelope contains internal items");
  }
  requireNewline(bytes, object.end);
  return { type, headers, start: object.start, headerEnd: object.end };
}

/** 400 for an envelope that ends in the middle of an item. */
export function endTooEarly(): RequestError {
  return invalidEnvelope("unexpected end of file");
}

/** 400 for anything else where a newline should stand. */
export function missingNewline(): RequestError {
  return invalidEnvelope("missing newline after header or payload");
}

function endOfPayload(bytes: Uint8Array, start: number, length: number | null | undefined): number {
  if (typeof length !== "number") {
    const newline = bytes.indexOf(NEWLINE, start);
    return newline < 0 ? bytes.length : newline;
  }
  if (start + length > bytes.length) throw endTooEarly();
  requireNewline(bytes, start + length);
  return start + length;
}

function objectAt(bytes: Uint8Array, from: number, bytesMax: number, cause: string): JsonObject | null {
  try {
    return readJsonObject(bytes, from, bytesMax);
  } catch (error) {
    if (error instanceof JsonObjectError) throw invalidEnvelope(cause, error.message);
    throw error;
  }
}

function requireNewline(bytes: Uint8Array, at: number): void {
  if (at < bytes.length && bytes[at] !== NEWLINE) {
    throw missingNewline();
  }
}

/** 400 for an envelope that cannot be taken. */
export function invalidEnvelope(...causes: string[]): RequestError {
  return RequestError.json(400, "invalid_envelope", "invalid event envelope", causes);
}

/** 413 for an envelope with too much of a kind of item (ingestion reference, section 4.4). */
export function overflow(kind: string): RequestError {
  const about = "https://develop.sentry.dev/sdk/envelopes/#size-limits";
  return RequestError.json(413, "too_large", `envelope exceeded size limits for type '${kind}' (${about})`);
}
