/**
 * Envelopes: the format in which telemetry travels.
 *
 * An envelope is a line of JSON (its header) and any number of items, each a line of JSON (its header) and a payload:
 *
 *     {"event_id":"9ec79c33ec9942ab8353589fcb2e04dc"}\n
 *     {"type":"event","length":41}\n
 *     {"message":"hello world","level":"error"}\n
 *
 * Why it looks the way it does here: an envelope is read once, when it arrives, and most are forwarded as they came. So
 * parsing keeps offsets into the bytes and copies no payload; only headers become values. Verdicts follow Relay to the
 * letter (ingestion reference, section 3), because what is accepted here has to be accepted by the upstream too.
 *
 * - `json_object.ts` finds and reads one header, `envelope_headers.ts` judges it.
 * - `parse_envelope.ts` frames, `item_type.ts` says what an item is, `item_limits.ts` how large it may be.
 * - `envelope_scanner.ts` does the same for an envelope that passes by in chunks and is never held.
 * - `item_container.ts` takes elements out of containers.
 * - `rewrite_envelope.ts` writes, `envelope_auth.ts` reads the authentication a header may carry.
 *
 * This file is the door to all of it.
 */
export type { EnvelopeHeaders, ItemHeaders } from "./envelope_headers.ts";
export { checkEnvelopeMeta, envelopeAuth, type RequestIdentity } from "./envelope_auth.ts";
export {
  type Envelope,
  type EnvelopeHead,
  type EnvelopeItem,
  HEADER_BYTES_MAX,
  needsEventId,
  parseEnvelope,
  parseEnvelopeHeader,
  parseItemHeader,
} from "./parse_envelope.ts";
export { EnvelopeScanner, type ScannedEnvelope } from "./envelope_scanner.ts";
export { buildEnvelope, type EnvelopeChange, rewriteEnvelope } from "./rewrite_envelope.ts";
