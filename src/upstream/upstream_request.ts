import { type RequestMeta, xSentryAuth } from "../protocol/request_meta.ts";
import { ageEnvelope, HELD_MS_MIN } from "./age_envelope.ts";
import type { BodyEncoder, EncodedBody } from "./body_encoding.ts";
import type { ClientRequest } from "./request_head.ts";

/** The request that carries a record upstream (ingestion reference, section 6.2). */
export function envelopeRequest(meta: RequestMeta, body: EncodedBody, relayId: string | null): ClientRequest {
  const headers: [string, string][] = [
    ["Content-Type", "application/x-sentry-envelope"],
    ["X-Sentry-Auth", xSentryAuth(meta)],
    ["X-Forwarded-For", meta.forwardedFor],
  ];
  if (body.encoding !== "") headers.push(["Content-Encoding", body.encoding]);
  if (meta.userAgent !== null) headers.push(["User-Agent", meta.userAgent]);
  if (meta.origin !== null) headers.push(["Origin", meta.origin]);
  if (relayId !== null) headers.push(["X-Sentry-Relay-Id", relayId]);
  return { method: "POST", path: `/api/${meta.projectId}/envelope/`, headers, body: body.bytes };
}

/** The request that asks whether an upstream is there (control reference, section 11). */
export function probeRequest(relayId: string | null): ClientRequest {
  const headers: [string, string][] = relayId === null ? [] : [["X-Sentry-Relay-Id", relayId]];
  return { method: "GET", path: "/api/0/relays/live/", headers, body: null };
}

/** The stored body as it is to be sent: aged when it was held for long, and encoded for the upstream. */
export function prepareBody(
  stored: EncodedBody,
  heldMs: number,
  encoder: BodyEncoder,
): EncodedBody | Promise<EncodedBody> {
  return heldMs <= HELD_MS_MIN ? encoder.encode(stored) : aged(stored, heldMs, encoder);
}

async function aged(stored: EncodedBody, heldMs: number, encoder: BodyEncoder): Promise<EncodedBody> {
  const decoded = await encoder.decode(stored);
  const bytes = decoded && ageEnvelope(decoded, heldMs);
  return await encoder.encode(bytes ? { bytes, encoding: "" } : stored);
}
