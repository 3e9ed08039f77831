/**
 * Payload of a `form_data` item: the text fields of a crash report, in the order they were sent.
 *
 * Each key and each value is its length as an unsigned 32-bit little-endian number and that many bytes of UTF-8.
 * Source: ingestion reference, section 1.3.
 */
import { utf8 } from "../core/bytes.ts";

/** A field: its name and its text. */
export type FormField = readonly [key: string, value: string];

/** The payload that carries `fields`. */
export function encodeFormData(fields: readonly FormField[]): Uint8Array {
  const texts = fields.flat().map(utf8);
  const payload = new Uint8Array(texts.reduce((sum, text) => sum + 4 + text.length, 0));
  const view = new DataView(payload.buffer);
  let at = 0;
  for (const text of texts) {
    view.setUint32(at, text.length, true);
    payload.set(text, at + 4);
    at += 4 + text.length;
  }
  return payload;
}
