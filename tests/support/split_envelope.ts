/** A second, simple reading of envelopes, so that what the node forwards is not judged by the node's own parser. */

/** An envelope taken apart. */
export interface SplitEnvelope {
  readonly header: Readonly<Record<string, unknown>>;
  readonly items: readonly {
    readonly headers: Readonly<Record<string, unknown>>;
    readonly payload: Uint8Array;
  }[];
}

const NEWLINE = 10;

/** Takes a well-formed envelope apart (ingestion reference, section 3.1). @throws SyntaxError on a broken header. */
export function splitEnvelope(bytes: Uint8Array): SplitEnvelope {
  const first = lineEnd(bytes, 0);
  const items: { headers: Record<string, unknown>; payload: Uint8Array }[] = [];
  for (let at = first + 1; at < bytes.length;) {
    const end = lineEnd(bytes, at);
    const headers = parse(bytes.subarray(at, end));
    const start = Math.min(end + 1, bytes.length);
    const stop = typeof headers.length === "number" ? start + headers.length : lineEnd(bytes, start);
    items.push({ headers, payload: bytes.subarray(start, stop) });
    at = stop + 1;
  }
  return { header: parse(bytes.subarray(0, first)), items };
}

function lineEnd(bytes: Uint8Array, from: number): number {
  const at = bytes.indexOf(NEWLINE, from);
  return at < 0 ? bytes.length : at;
}

function parse(line: Uint8Array): Record<string, unknown> {
  return JSON.parse(new TextDecoder().decode(line));
}
