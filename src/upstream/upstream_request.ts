import { type RequestMeta, xSentryAuth } from "../protocol/request_meta.ts";
import { ageEnvelope, HELD_MS_MIN } from "./age_envelope.ts";
import type { BodyEncoder, EncodedBody } from "./body_encoding.ts";
import type { ClientRequest } from "./request_head.ts";

/**
 * The request that carries a record upstream (ingestion reference, section 6.2): to the envelope endpoint, or to the
 * upstream's own route for a body that is no envelope.
 *
 * An envelope of a project whose id nobody has said goes to the store endpoint without a project, which takes envelopes
 * too, and knows the project by its key.
 */
export function recordRequest(
  meta: RequestMeta,
  body: EncodedBody,
  identity: ClientRequest["headers"],
): ClientRequest {
  const headers: [string, string][] = [
    ["X-Sentry-Auth", xSentryAuth(meta)],
    ["X-Forwarded-For", meta.forwardedFor],
  ];
  const contentType = meta.passthrough ? meta.passthrough.contentType : "application/x-sentry-envelope";
  if (contentType !== null) headers.unshift(["Content-Type", contentType]);
  if (body.encoding !== "") headers.push(["Content-Encoding", body.encoding]);
  if (meta.userAgent !== null) headers.push(["User-Agent", meta.userAgent]);
  if (meta.origin !== null) headers.push(["Origin", meta.origin]);
  if (meta.clientHints !== null) {
    for (const [name, value] of meta.clientHints) {
      headers.push([name, value]);
    }
  }
  for (const [name, value] of identity) headers.push([name, value]);
  return { method: "POST", path: pathOf(meta), headers, body: body.bytes };
}

function pathOf({ passthrough, projectId }: RequestMeta): string {
  if (passthrough) return passthrough.path;
  return projectId === "" ? "/api/store/" : `/api/${projectId}/envelope/`;
}

/** The request that asks whether an upstream is there (control reference, section 11). */
export function probeRequest(headers: ClientRequest["headers"]): ClientRequest {
  return { method: "GET", path: "/api/0/relays/live/", headers, body: null };
}

/**
 * The stored body as it is to be sent: an envelope is aged when it was held for long, and encoded for the upstream; any
 * other body stays as it came.
 */
export function prepareBody(
  { passthrough }: Pick<RequestMeta, "passthrough">,
  stored: EncodedBody,
  heldMs: number,
  encoder: BodyEncoder,
): EncodedBody | Promise<EncodedBody> {
  if (passthrough) return stored;
  return heldMs <= HELD_MS_MIN ? encoder.encode(stored) : aged(stored, heldMs, encoder);
}

async function aged(stored: EncodedBody, heldMs: number, encoder: BodyEncoder): Promise<EncodedBody> {
  const decoded = await encoder.decode(stored);
  const bytes = decoded && ageEnvelope(decoded, heldMs);
  return await encoder.encode(bytes ? { bytes, encoding: "" } : stored);
}
