/**
 * Bodies of several parts, as crash reporters and forms send them (RFC 7578 over RFC 2046).
 *
 *     --boundary\r\n
 *     Content-Disposition: form-data; name="upload_file_minidump"; filename="crash.dmp"\r\n
 *     Content-Type: application/octet-stream\r\n
 *     \r\n
 *     MDMP...\r\n
 *     --boundary--\r\n
 *
 * Strict about the frame, since a crash report that was cut short is worse than none: every part and the body as a whole
 * must be closed. Tolerant about what real senders do: text before the first and after the last delimiter, spaces after a
 * delimiter, no line end after the last one, folded headers, names in quotes or without. A line that only begins like a
 * delimiter is data.
 *
 * Parts are ranges of the body, not copies. Limit: {@link FRAME_BYTES_MAX}, which bounds the number of parts, too.
 * Source: ingestion reference, section 1.3.
 */
import { fromUtf8, utf8 } from "../core/bytes.ts";
import { RequestError } from "./request_error.ts";

/** One part; names as sent, percent signs and all. */
export interface Part {
  /** `null` when the part does not say. */
  readonly name: string | null;
  /** Set on files, `null` on fields of text. */
  readonly filename: string | null;
  /** Media type as sent. */
  readonly contentType: string | null;
  /** Range of the whole body. */
  readonly body: Uint8Array;
}

/** Most bytes of all delimiters and headers together. Relay has no such bound; Chromium's crashes stay below 16 KiB. */
export const FRAME_BYTES_MAX = 256 * 1024;

const [TAB, NEWLINE, RETURN, SPACE, DASH] = [9, 10, 13, 32, 0x2d];

/** 400 for a body that is not as it says. */
export function invalidMultipart(...causes: string[]): RequestError {
  return RequestError.json(400, "invalid_multipart", "invalid multipart data", causes);
}

/**
 * The boundary that a `Content-Type` header names.
 *
 * @throws {RequestError} 400 when the header is missing, of another type, or names none
 */
export function multipartBoundary(contentType: string | null): string {
  const { value, parameters } = parseHeaderValue(contentType ?? "");
  if (value.toLowerCase() !== "multipart/form-data") {
    throw invalidMultipart("Content-Type is not multipart/form-data");
  }
  const boundary = parameters.get("boundary");
  if (!boundary) throw invalidMultipart("multipart boundary not found in Content-Type");
  return boundary;
}

/**
 * The boundary of a multipart body that stands where something else was expected, by its first line; `null` when `bytes`
 * begin like anything else. Old versions of Electron put such a body into the minidump's part.
 */
export function embeddedBoundary(bytes: Uint8Array): string | null {
  if (bytes[0] !== DASH || bytes[1] !== DASH) return null;
  const line = fromUtf8(bytes.subarray(2, 2 + EMBEDDED_BOUNDARY_MAX));
  const end = line.indexOf("\r\n");
  return end > 0 ? line.slice(0, end) : null;
}

const EMBEDDED_BOUNDARY_MAX = 256;

/**
 * Takes a body apart.
 *
 * @param boundary without the two dashes before it
 * @throws {RequestError} 400 when it is not framed as it should be, or by more than {@link FRAME_BYTES_MAX}
 */
export function parseMultipart(bytes: Uint8Array, boundary: string): Part[] {
  const delimiter = utf8(`\r\n--${boundary}`);
  // The delimiter's line end is the body's beginning for the first one.
  let at = delimiterAt(bytes, -2, delimiter) ?? nextDelimiter(bytes, 0, delimiter);
  const parts: Part[] = [];
  let frameBytesLeft = FRAME_BYTES_MAX;
  while (at !== null && !at.isLast) {
    const headersEnd = endOfHeaders(bytes, at.end);
    if (headersEnd === null) throw invalidMultipart("incomplete headers of a field");
    frameBytesLeft -= headersEnd - at.start;
    if (frameBytesLeft < 0) throw invalidMultipart("too many fields, or too long headers");
    // The line end after the headers may be the one before the delimiter, when there is no data at all.
    const next = nextDelimiter(bytes, headersEnd - 2, delimiter);
    if (next === null) break;
    const body = bytes.subarray(headersEnd, Math.max(headersEnd, next.start));
    parts.push({ ...parseHeaders(bytes.subarray(at.end, headersEnd)), body });
    at = next;
  }
  if (!at?.isLast) throw invalidMultipart("incomplete multipart stream");
  return parts;
}

/** Where a delimiter stands, its line end and dashes included. */
interface Delimiter {
  readonly start: number;
  readonly end: number;
  readonly isLast: boolean;
}

function nextDelimiter(bytes: Uint8Array, from: number, delimiter: Uint8Array): Delimiter | null {
  for (let at = bytes.indexOf(RETURN, from); at >= 0; at = bytes.indexOf(RETURN, at + 1)) {
    if (bytes[at + 1] !== NEWLINE || bytes[at + 2] !== DASH) continue;
    const found = delimiterAt(bytes, at, delimiter);
    if (found !== null) return found;
  }
  return null;
}

/** @param start may be -2, for a delimiter whose line end is left out because the body begins with it */
function delimiterAt(bytes: Uint8Array, start: number, delimiter: Uint8Array): Delimiter | null {
  for (let i = start < 0 ? -start : 0; i < delimiter.length; i++) {
    if (bytes[start + i] !== delimiter[i]) return null;
  }
  let end = start + delimiter.length;
  if (bytes[end] === DASH && bytes[end + 1] === DASH) return { start, end: end + 2, isLast: true };
  while (bytes[end] === SPACE || bytes[end] === TAB) end++;
  return isLineEnd(bytes, end) ? { start, end: end + 2, isLast: false } : null;
}

function isLineEnd(bytes: Uint8Array, at: number): boolean {
  return bytes[at] === RETURN && bytes[at + 1] === NEWLINE;
}

/** Offset after the empty line that ends the headers; `null` when there is none within the bound. */
function endOfHeaders(bytes: Uint8Array, from: number): number | null {
  if (isLineEnd(bytes, from)) return from + 2;
  const headers = bytes.subarray(from, from + FRAME_BYTES_MAX);
  for (let at = headers.indexOf(RETURN); at >= 0; at = headers.indexOf(RETURN, at + 1)) {
    if (isLineEnd(headers, at) && isLineEnd(headers, at + 2)) return from + at + 4;
  }
  return null;
}

function parseHeaders(bytes: Uint8Array): Omit<Part, "body"> {
  let disposition = "";
  let contentType: string | null = null;
  for (const line of fromUtf8(bytes).replace(/\r\n[ \t]+/g, " ").split("\r\n")) {
    const colon = line.indexOf(":");
    if (colon < 0 && line !== "") throw invalidMultipart("malformed header of a field");
    const value = line.slice(colon + 1).trim();
    switch (line.slice(0, Math.max(0, colon)).toLowerCase()) {
      case "content-disposition":
        disposition = value;
        break;
      case "content-type":
        contentType = value;
        break;
    }
  }
  const { parameters } = parseHeaderValue(disposition);
  const text = (key: string): string | null =>
    extendedValue(parameters.get(`${key}*`)) ?? parameters.get(key) ?? null;
  return { name: text("name"), filename: text("filename"), contentType };
}

/** `; key="quoted"`, `; key=plain`, with what goes on behind a broken quotation taken as it is. */
const PARAMETER = /;\s*([^\s=;"]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"\s*(?=;|$)|([^;]*))/g;

/** A header's value and its parameters, keys in lower case; of repeated ones the first counts. */
function parseHeaderValue(header: string): { value: string; parameters: ReadonlyMap<string, string> } {
  const parameters = new Map<string, string>();
  for (const [, key = "", quoted, plain = ""] of header.matchAll(PARAMETER)) {
    const name = key.toLowerCase();
    if (parameters.has(name)) continue;
    parameters.set(name, quoted === undefined ? plain.trim() : quoted.replace(/\\(["\\])/g, "$1"));
  }
  return { value: header.split(";", 1)[0]!.trim(), parameters };
}

/** Text of an extended parameter such as `UTF-8''na%C3%AFve.txt` (RFC 2231, RFC 5987); `null` when it is none. */
function extendedValue(value: string | undefined): string | null {
  const encoded = /^utf-8'[^']*'(.*)$/is.exec(value ?? "")?.[1];
  if (encoded === undefined) return null;
  try {
    return decodeURIComponent(encoded);
  } catch {
    return null;
  }
}
