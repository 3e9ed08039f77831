/**
 * Reads the JSON object at the front of a larger body, as the streaming parser of Relay does.
 *
 * The end of the object has to be known before it can be parsed, and JSON.parse hides keys that occur twice, which the
 * envelope format forbids for keys it knows. One pass over the bytes finds the end and counts the top-level pairs;
 * comparing that with the number of keys parsed shows a repetition without looking at a key. Limits: nesting as deep as
 * serde allows, and the caller's bound on the bytes, since parsing costs up to 0.1 µs for each of them.
 */
import { fromUtf8Strict } from "../core/bytes.ts";

/** Objects and arrays that may be open at once: what serde_json accepts. */
const DEPTH_MAX = 127;

const [TAB, NEWLINE, RETURN, SPACE, QUOTE, COLON, BACKSLASH] = [9, 10, 13, 32, 0x22, 0x3a, 0x5c];
const [OPEN_BRACKET, CLOSE_BRACKET, OPEN_BRACE, CLOSE_BRACE] = [0x5b, 0x5d, 0x7b, 0x7d];

/** An object and where it stands. */
export interface JsonObject {
  readonly value: Readonly<Record<string, unknown>>;
  /** Offset of its `{`. */
  readonly start: number;
  /** Offset after its `}`. */
  readonly end: number;
  /** Number of key-value pairs as written; more than `value` has keys when one occurs twice. */
  readonly pairs: number;
}

/** Bytes that are no JSON object; the message says why, in words made for the client. */
export class JsonObjectError extends Error {
  override readonly name = "JsonObjectError";
}

/**
 * The object that starts at `from`, after white space.
 *
 * Returns `null` when nothing but white space is left.
 *
 * @param bytesMax most bytes the object may have
 * @throws {JsonObjectError} when something else stands there, or a longer object
 */
export function readJsonObject(bytes: Uint8Array, from: number, bytesMax: number): JsonObject | null {
  const start = skipWhiteSpace(bytes, from);
  if (start === bytes.length) return null;
  if (bytes[start] !== OPEN_BRACE) throw new JsonObjectError("expected a JSON object");
  const extent = scan(bytes, start, bytesMax, null);
  const text = decode(bytes.subarray(start, extent.end));
  let value: Readonly<Record<string, unknown>>;
  try {
    value = extent.escaped ? JSON.parse(text, wellFormed) : JSON.parse(text);
  } catch (error) {
    throw new JsonObjectError(error instanceof Error ? error.message : "invalid JSON");
  }
  return { value, start, end: extent.end, pairs: extent.pairs };
}

/** Keys that occur more than once at the top of an object that {@link readJsonObject} returned. */
export function repeatedKeys(bytes: Uint8Array, object: JsonObject): string[] {
  const offsets: number[] = [];
  scan(bytes, object.start, object.end - object.start, offsets);
  const seen = new Set<string>();
  const repeated: string[] = [];
  for (let index = 0; index < offsets.length; index += 2) {
    const key = String(JSON.parse(fromUtf8Strict(bytes.subarray(offsets[index], offsets[index + 1]))));
    if (seen.has(key)) repeated.push(key);
    seen.add(key);
  }
  return repeated;
}

function skipWhiteSpace(bytes: Uint8Array, from: number): number {
  let at = from;
  for (; at < bytes.length; at++) {
    const byte = bytes[at];
    if (byte !== SPACE && byte !== NEWLINE && byte !== TAB && byte !== RETURN) break;
  }
  return at;
}

/** Where the object ends, how many pairs it has and whether a backslash is in it. */
interface Extent {
  readonly end: number;
  readonly pairs: number;
  readonly escaped: boolean;
}

/**
 * Follows strings and brackets up to the one that closes the object; everything else is left to JSON.parse.
 *
 * @param keyOffsets receives start and end of every top-level key with its quotes
 */
function scan(bytes: Uint8Array, start: number, bytesMax: number, keyOffsets: number[] | null): Extent {
  const limit = Math.min(bytes.length, start + bytesMax);
  let depth = 0;
  let pairs = 0;
  let escaped = false;
  let stringStart = start;
  let stringEnd = start;
  for (let at = start; at < limit; at++) {
    const byte = bytes[at];
    if (byte === QUOTE) {
      stringStart = at++;
      for (; at < limit && bytes[at] !== QUOTE; at++) {
        if (bytes[at] !== BACKSLASH) continue;
        escaped = true;
        at++;
      }
      stringEnd = at + 1;
    } else if (byte === COLON) {
      if (depth !== 1) continue;
      pairs++;
      keyOffsets?.push(stringStart, stringEnd);
    } else if (byte === OPEN_BRACE || byte === OPEN_BRACKET) {
      if (++depth > DEPTH_MAX) throw new JsonObjectError("recursion limit exceeded");
    } else if (byte === CLOSE_BRACE || byte === CLOSE_BRACKET) {
      if (--depth === 0) return { end: at + 1, pairs, escaped };
    }
  }
  throw new JsonObjectError(limit < bytes.length ? "too long" : "EOF while parsing an object");
}

function decode(bytes: Uint8Array): string {
  try {
    return fromUtf8Strict(bytes);
  } catch {
    throw new JsonObjectError("invalid unicode code point");
  }
}

/** Reviver that refuses half a surrogate pair, which only an escape can spell and no other parser takes. */
function wellFormed(key: string, value: unknown): unknown {
  if (key.isWellFormed() && (typeof value !== "string" || value.isWellFormed())) return value;
  throw new JsonObjectError("lone leading surrogate in hex escape");
}
