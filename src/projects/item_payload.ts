import { fromUtf8 } from "../core/bytes.ts";
import type { EnvelopeItem } from "../protocol/envelope.ts";
import type { JsonRecord } from "./condition_field.ts";
import type { PolicedEnvelope } from "./item_verdict.ts";

/** Payload of an item; `null` when it is not at hand: of an envelope that was not held only those of events were kept. */
export function itemPayload(
  { bytes, payloads }: PolicedEnvelope["envelope"],
  item: EnvelopeItem,
): Uint8Array | null {
  return payloads ? payloads.get(item) ?? null : bytes.subarray(item.payloadStart, item.payloadEnd);
}

/** Payload of an item as an object; `null` when it is none. */
export function readPayload(envelope: PolicedEnvelope["envelope"], item: EnvelopeItem): JsonRecord | null {
  const payload = itemPayload(envelope, item);
  if (payload === null) return null;
  try {
    const value = JSON.parse(fromUtf8(payload));
    return typeof value === "object" && value !== null && !Array.isArray(value) ? value : null;
  } catch {
    return null;
  }
}
