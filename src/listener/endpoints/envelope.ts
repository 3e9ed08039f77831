/** POST /api/{project}/envelope/: ingestion reference, sections 1.2, 2 and 3. */
import type { Answer } from "../answer.ts";
import type { IncomingRequest } from "../incoming_request.ts";
import { envelopeAuth } from "../../protocol/envelope.ts";
import { parseProjectId } from "../../protocol/request_auth.ts";
import { submitLargeEnvelope } from "../large_envelope.ts";
import { LargeStream } from "../large_stream.ts";
import type { Endpoint } from "../routes.ts";
import { type IngestionDeps, requestAuth, type Sender, submitEnvelope } from "../submission.ts";

/** Endpoint for envelopes, whatever their content type. */
export function envelopeEndpoint(deps: IngestionDeps): Endpoint {
  return async (request: IncomingRequest, pathProjectId: string): Promise<Answer> => {
    const projectId = parseProjectId(pathProjectId);
    const auth = requestAuth(request);
    const senderOf = (bytes: Uint8Array): Sender =>
      auth === null ? envelopeSender(bytes, projectId) : { projectId, auth, checked: true };
    const limit = deps.maxEnvelopeBytes;
    const body = await deps.bodies.open(request, limit);
    if (body instanceof LargeStream) {
      return await submitLargeEnvelope(deps, request, { stream: body, limit, sender: senderOf });
    }
    try {
      return await submitEnvelope(deps, request, senderOf(body.decoded), body);
    } finally {
      body.release();
    }
  };
}

/**
 * The sender as the envelope's own `dsn` states it, for requests without any authorization: section 2.
 *
 * The path's project is not compared with it; it stands in when the DSN names none.
 */
function envelopeSender(bytes: Uint8Array, pathProjectId: string): Sender {
  const { auth, dsn } = envelopeAuth(bytes);
  return { projectId: dsn.projectId ?? pathProjectId, auth, checked: false };
}
