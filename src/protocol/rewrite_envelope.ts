import { utf8 } from "../core/bytes.ts";
import type { ItemHeaders } from "./envelope_headers.ts";
import type { ContainerRest } from "./item_container.ts";
import type { Envelope, EnvelopeItem } from "./parse_envelope.ts";

const NEWLINE = 10;
const NEWLINE_BYTES = new Uint8Array([NEWLINE]);

/** What is to be different in a rewritten envelope. */
export interface EnvelopeChange {
  /** Header keys to replace or add; `undefined` removes one. The others keep their place and value. */
  readonly headers?: Readonly<Record<string, unknown>>;
  /** The items to keep, out of the envelope's own; all of them when absent. */
  readonly items?: readonly EnvelopeItem[];
}

/**
 * The envelope as chunks, changed; every item ends with a newline.
 *
 * Items are ranges of the original bytes, not copies, and neighbours stay one chunk. An unchanged header is kept
 * byte for byte. White space the format tolerates before a header is dropped.
 */
export function rewriteEnvelope(envelope: Envelope, change: EnvelopeChange): Uint8Array[] {
  const { bytes, headers, headerStart, headerEnd } = envelope;
  const chunks = change.headers === undefined
    ? [bytes.subarray(headerStart, headerEnd), NEWLINE_BYTES]
    : [utf8(`${JSON.stringify({ ...headers, ...change.headers })}\n`)];
  const items = change.items ?? envelope.items;
  for (let index = 0; index < items.length;) {
    const first = items[index] as EnvelopeItem;
    if (first.rest) {
      chunks.push(...restChunks(first.headers, first.rest));
      index++;
      continue;
    }
    let last = first;
    for (let next = items[++index]; next?.start === last.end && !next.rest; next = items[++index]) {
      last = next;
    }
    chunks.push(bytes.subarray(first.start, last.end));
    for (let missing = missingNewlines(bytes, last); missing > 0; missing--) chunks.push(NEWLINE_BYTES);
  }
  return chunks;
}

/** What is left of a container, as an item. */
export function restChunks(headers: ItemHeaders, { payload }: ContainerRest): Uint8Array[] {
  return [utf8(`${JSON.stringify(headers)}\n`), payload, NEWLINE_BYTES];
}

/** Newlines the last item of an envelope may leave out: its payload's, and its header's when the bytes end there. */
function missingNewlines(bytes: Uint8Array, item: EnvelopeItem): number {
  if (item.end > item.payloadEnd) return 0;
  return bytes[item.payloadStart - 1] === NEWLINE ? 1 : 2;
}

/** An envelope made of headers and payloads, as chunks; each item gets its `length`. */
export function buildEnvelope(
  headers: object,
  items: readonly { readonly headers: object; readonly payload: Uint8Array }[],
): Uint8Array[] {
  const chunks = [utf8(`${JSON.stringify(headers)}\n`)];
  for (const { headers, payload } of items) {
    chunks.push(utf8(`${JSON.stringify({ ...headers, length: payload.length })}\n`), payload, NEWLINE_BYTES);
  }
  return chunks;
}
