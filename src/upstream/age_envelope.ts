import { concatBytes } from "../core/bytes.ts";
import { parseEnvelopeHeader, rewriteEnvelope } from "../protocol/envelope.ts";
import { RequestError } from "../protocol/request_error.ts";

/** Records held for less than this are sent as they are. */
export const HELD_MS_MIN = 5 * 60_000;

/**
 * Moves the envelope header `sent_at` forward by the time the record was held.
 *
 * Upstreams take the difference between `sent_at` and arrival for the error of the client's clock and correct all
 * timestamps by it once it is large (ingestion reference, section 6.2), so a held record would come out shifted.
 *
 * @param envelope decoded bytes
 * @returns the changed envelope, or null when it has no readable `sent_at`
 */
export function ageEnvelope(envelope: Uint8Array, heldMs: number): Uint8Array | null {
  try {
    const head = parseEnvelopeHeader(envelope);
    const { sent_at: sentAt } = head.headers;
    const sentAtMs = typeof sentAt === "string" ? Date.parse(sentAt) : NaN;
    if (Number.isNaN(sentAtMs + heldMs)) return null;
    const headers = { sent_at: new Date(sentAtMs + heldMs).toISOString() };
    const changed = rewriteEnvelope({ ...head, bytes: envelope, items: [] }, { headers });
    return concatBytes([...changed, envelope.subarray(head.headerEnd + 1)]);
  } catch (error) {
    if (error instanceof RequestError || error instanceof RangeError) return null;
    throw error;
  }
}
