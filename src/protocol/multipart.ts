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
 * This file reads headers, `multipart_scanner.ts` finds them. Limit: {@link FRAME_BYTES_MAX}, which bounds the number of
 * parts, too. Source: ingestion reference, section 1.3.
 */
import { fromUtf8 } from "../core/bytes.ts";
import { RequestError } from "./request_error.ts";

/** What the headers of a part say; names as sent, percent signs and all. */
export interface PartHead {
  /** `null` when the part does not say. */
  readonly name: string | null;
  /** Set on files, `null` on fields of text. */
  readonly filename: string | null;
  /** Media type as sent. */
  readonly contentType: string | null;
}

/** Most bytes of all delimiters and headers together. Relay has no such bound; Chromium's crashes stay below 16 KiB. */
export const FRAME_BYTES_MAX = 256 * 1024;

const [NEWLINE, RETURN, DASH] = [10, 13, 0x2d];

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

/** Most bytes of the first line of an embedded body, without its dashes. */
export const EMBEDDED_BOUNDARY_MAX = 256;

function isLineEnd(bytes: Uint8Array, at: number): boolean {
  return bytes[at] === RETURN && bytes[at + 1] === NEWLINE;
}

/** Offset after the empty line that ends the headers at `from`; `null` when there is none within the bound. */
export function endOfHeaders(bytes: Uint8Array, from: number): number | null {
  if (isLineEnd(bytes, from)) return from + 2;
  const headers = bytes.subarray(from, from + FRAME_BYTES_MAX);
  for (let at = headers.indexOf(RETURN); at >= 0; at = headers.indexOf(RETURN, at + 1)) {
    if (isLineEnd(headers, at) && isLineEnd(headers, at + 2)) return from + at + 4;
  }
  return null;
}

/**
 * Reads the headers of a part.
 *
 * @throws {RequestError} 400
 */
export function parsePartHead(bytes: Uint8Array): PartHead {
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
