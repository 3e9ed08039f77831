import { utf8 } from "../core/bytes.ts";
import type { ScannedEnvelope } from "./envelope_scanner.ts";
import { type EnvelopeChange, restChunks } from "./rewrite_envelope.ts";

/** A part of an envelope that is written: bytes, or a range of the decoded bytes it had. */
export type EnvelopePart = Uint8Array | { readonly from: number; readonly to: number };

const NEWLINE_BYTES = new Uint8Array([10]);

/**
 * What `rewriteEnvelope` does, for an envelope whose bytes are not at hand: the parts of the changed one, ranges
 * ascending.
 */
export function envelopeParts(envelope: ScannedEnvelope, change: EnvelopeChange): EnvelopePart[] {
  const { headers, headerStart, headerEnd } = envelope;
  const parts: EnvelopePart[] = change.headers === undefined
    ? [{ from: headerStart, to: headerEnd }, NEWLINE_BYTES]
    : [utf8(`${JSON.stringify({ ...headers, ...change.headers })}\n`)];
  for (const item of change.items ?? envelope.items) {
    if (item.rest) {
      parts.push(...restChunks(item.headers, item.rest));
      continue;
    }
    parts.push({ from: item.start, to: item.end });
    if (item.end > item.payloadEnd) continue;
    parts.push(NEWLINE_BYTES);
    if (envelope.endsInHeader && item === envelope.items.at(-1)) parts.push(NEWLINE_BYTES);
  }
  return parts;
}

/** The parts, taken out of the bytes as these pass; they are read to their end in any case. */
export async function* selectParts(
  chunks: AsyncIterable<Uint8Array>,
  parts: readonly EnvelopePart[],
): AsyncGenerator<Uint8Array> {
  let next = 0;
  let at = 0;
  for await (const chunk of chunks) {
    const end = at + chunk.length;
    for (let part = parts[next]; part !== undefined; part = parts[next]) {
      if (part instanceof Uint8Array) yield part;
      else {
        if (part.from >= end) break;
        const taken = chunk.subarray(Math.max(0, part.from - at), part.to - at);
        if (taken.length > 0) yield taken;
        if (part.to > end) break;
      }
      next++;
    }
    at = end;
  }
  for (const part of parts.slice(next)) if (part instanceof Uint8Array) yield part;
}
