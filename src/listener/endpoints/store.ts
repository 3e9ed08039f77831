/** POST /api/{project}/store/: ingestion reference, sections 1.2 and 1.3. */
import { concatBytes } from "../../core/bytes.ts";
import { buildEnvelope } from "../../protocol/envelope.ts";
import { missingAuth, parseProjectId } from "../../protocol/request_auth.ts";
import { parseStoreBody } from "../../protocol/store_event.ts";
import type { Answer } from "../answer.ts";
import type { Body } from "../body_reader.ts";
import { inflateTruncated } from "../decode_body.ts";
import type { IncomingRequest } from "../incoming_request.ts";
import type { Endpoint } from "../routes.ts";
import { type IngestionDeps, requestAuth, submitEnvelope } from "../submission.ts";

/** Endpoint for events of the oldest clients, and for envelopes that say so in their content type. */
export function storeEndpoint(deps: IngestionDeps): Endpoint {
  return async (request: IncomingRequest, pathProjectId: string): Promise<Answer> => {
    const projectId = parseProjectId(pathProjectId);
    const auth = requestAuth(request);
    if (auth === null) throw missingAuth();
    const body = await deps.bodies.read(request, deps.maxEventBytes);
    try {
      const isEnvelope = request.header("content-type") === "application/x-sentry-envelope";
      const envelope = isEnvelope ? body : eventBody(body, deps.maxEventBytes, auth.client);
      return await submitEnvelope(deps, request, { projectId, auth, checked: true }, envelope);
    } finally {
      body.release();
    }
  };
}

/** The event as the only item of an envelope. */
function eventBody(
  body: Body,
  maxEventBytes: number,
  client: string | null,
): Pick<Body, "received" | "decoded" | "encoding"> {
  const { eventId, itemType, payload } = parseStoreBody(body.decoded, {
    maxEventBytes,
    client,
    inflate: inflateTruncated,
  });
  const headers = { type: itemType, length: payload.length, content_type: "application/json" };
  const bytes = concatBytes(buildEnvelope({ event_id: eventId }, [{ headers, payload }]));
  return { received: bytes, decoded: bytes, encoding: "" };
}
