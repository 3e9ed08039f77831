/** POST /api/{project}/envelope/: ingestion reference, sections 1.2, 2 and 3. */
import type { Answer } from "../answer.ts";
import type { IncomingRequest } from "../incoming_request.ts";
import { envelopeAuth } from "../../protocol/envelope.ts";
import { parseProjectId } from "../../protocol/request_auth.ts";
import type { Endpoint } from "../routes.ts";
import { type IngestionDeps, requestAuth, type Sender, submitEnvelope } from "../submission.ts";

/** Endpoint for envelopes, whatever their content type. */
export function envelopeEndpoint(deps: IngestionDeps): Endpoint {
  return async (request: IncomingRequest, pathProjectId: string): Promise<Answer> => {
    const projectId = parseProjectId(pathProjectId);
    const auth = requestAuth(request);
    const body = await deps.bodies.read(request, deps.maxEnvelopeBytes);
    try {
      const sender = auth === null
        ? envelopeSender(body.decoded, projectId)
        : { projectId, auth, checked: true };
      return await submitEnvelope(deps, request, sender, body);
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
