import { UpstreamError } from "./upstream_error.ts";

const STATUS_LINE = /^HTTP\/1\.([01]) ([1-5]\d\d)(?: [\t\x20-\x7e\x80-\xff]*)?$/;
const FIELD_NAME = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const FIELD_VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;
const DECIMAL = /^\d{1,15}$/;

/** Status line and header fields of an answer. */
export class ResponseHead {
  constructor(
    readonly status: number,
    /** 0 or 1, of HTTP/1.x. */
    readonly minorVersion: number,
    /** Lower-case names and values, alternating, in order of arrival. */
    readonly fields: readonly string[],
  ) {}

  /** All values of a header, given in lower case, joined with `", "`; null when it is absent. */
  header(name: string): string | null {
    let value: string | null = null;
    for (let i = 0; i < this.fields.length; i += 2) {
      if (this.fields[i] !== name) continue;
      value = value === null ? this.fields[i + 1]! : `${value}, ${this.fields[i + 1]}`;
    }
    return value;
  }
}

/** Where the body of an answer ends. */
export type BodyFraming =
  | { readonly kind: "none" }
  | { readonly kind: "length"; readonly bytes: number }
  | { readonly kind: "chunked" }
  | { readonly kind: "close" };

/**
 * Parses a head given as Latin-1 text without the empty line at its end.
 *
 * @throws {UpstreamError} `protocol`
 */
export function parseResponseHead(text: string): ResponseHead {
  let end = text.indexOf("\r\n");
  const statusLine = STATUS_LINE.exec(end < 0 ? text : text.slice(0, end));
  if (!statusLine) throw new UpstreamError("protocol", "The answer has no valid status line");
  const fields: string[] = [];
  while (end >= 0) {
    const start = end + 2;
    end = text.indexOf("\r\n", start);
    parseField(end < 0 ? text.slice(start) : text.slice(start, end), fields);
  }
  return new ResponseHead(Number(statusLine[2]), Number(statusLine[1]), fields);
}

/** Parses one header or trailer line and appends name and value to `fields`. */
export function parseField(line: string, fields: string[]): void {
  const colon = line.indexOf(":");
  const name = line.slice(0, Math.max(0, colon));
  const value = line.slice(colon + 1);
  if (!FIELD_NAME.test(name) || !FIELD_VALUE.test(value)) {
    throw new UpstreamError("protocol", "The answer has an invalid header line");
  }
  fields.push(name.toLowerCase(), value.trim());
}

/**
 * Body framing of an answer (RFC 9112, section 6.3).
 *
 * @throws {UpstreamError} `protocol` when lengths contradict or the transfer coding is not plain `chunked`
 */
export function bodyFraming(head: ResponseHead): BodyFraming {
  const bytes = contentLength(head.header("content-length"));
  if (head.status === 204 || head.status === 304) return { kind: "none" };
  const coding = head.header("transfer-encoding");
  if (coding !== null) {
    if (head.minorVersion === 1 && coding.toLowerCase() === "chunked") return { kind: "chunked" };
    throw new UpstreamError("protocol", "The answer has an unknown Transfer-Encoding");
  }
  return bytes === null ? { kind: "close" } : { kind: "length", bytes };
}

/** Whether the head allows another request on its connection. */
export function allowsReuse(head: ResponseHead, framing: BodyFraming): boolean {
  if (framing.kind === "close") return false;
  if (framing.kind === "chunked" && head.header("content-length") !== null) return false;
  const connection = head.header("connection");
  if (connection === null) return head.minorVersion === 1;
  const tokens = connection.toLowerCase().split(",").map((token) => token.trim());
  return !tokens.includes("close") && (head.minorVersion === 1 || tokens.includes("keep-alive"));
}

function contentLength(value: string | null): number | null {
  if (value === null) return null;
  if (DECIMAL.test(value)) return Number(value);
  const lengths = new Set(value.split(",").map((part) => part.trim()));
  const [length] = lengths;
  if (lengths.size === 1 && DECIMAL.test(length!)) return Number(length);
  throw new UpstreamError("protocol", "The answer has an invalid Content-Length");
}
