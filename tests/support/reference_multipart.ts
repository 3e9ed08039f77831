/** A second, simple reading of multipart bodies: by text, with no regard to speed. */

export interface ReferencePart {
  readonly head: string;
  /** Latin-1. */
  readonly body: string;
}

/** Takes a body apart; `null` when it is not well framed. Bytes are the text's Latin-1 characters. */
export function referenceMultipart(body: string, boundary: string): ReferencePart[] | null {
  const escaped = boundary.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
  const delimiter = new RegExp(`\\r\\n--${escaped}(--|[ \\t]*\\r\\n)`, "g");
  const text = `\r\n${body}`;
  const parts: ReferencePart[] = [];
  let match = delimiter.exec(text);
  for (;;) {
    if (match === null) return null;
    if (match[1] === "--") return parts;
    const start = delimiter.lastIndex;
    const isBare = text.startsWith("\r\n", start);
    const end = isBare ? start : text.indexOf("\r\n\r\n", start);
    if (end < 0) return null;
    const bodyStart = end + (isBare ? 2 : 4);
    delimiter.lastIndex = bodyStart - 2;
    match = delimiter.exec(text);
    const head = text.slice(start, bodyStart);
    if (match !== null) parts.push({ head, body: text.slice(bodyStart, Math.max(bodyStart, match.index)) });
  }
}
