/** POST /api/{project}/events/{event_id}/attachments/: ingestion reference, sections 1.2 and 1.3. */
import { parseEventId } from "../../protocol/event_id.ts";
import { multipartBoundary } from "../../protocol/multipart.ts";
import { parseUpload, uploadItems } from "../../protocol/multipart_items.ts";
import { RequestError } from "../../protocol/request_error.ts";
import { type Answer, emptyAnswer } from "../answer.ts";
import type { Endpoint } from "../routes.ts";
import { type IngestionDeps, keySender, limited, submitItems } from "../submission.ts";

const CREATED = emptyAnswer(201);

/** Endpoint for files that belong to an event sent before, or after. */
export function attachmentsEndpoint(deps: IngestionDeps): Endpoint {
  return async (request, projectId, path): Promise<Answer> => {
    const sender = keySender(request, projectId);
    const eventId = parseEventId(path.param("event_id") ?? "");
    if (eventId === null) {
      throw RequestError.text(400, "invalid_event_id", "Invalid URL: Cannot parse `event_id` to a UUID");
    }
    const boundary = multipartBoundary(request.header("content-type"));
    const body = await deps.bodies.read(request, deps.itemLimits.maxAttachmentsSize);
    try {
      const upload = parseUpload(body.decoded, boundary, deps.itemLimits, () => "event.attachment");
      const items = uploadItems(upload);
      if (items.length === 0) return CREATED;
      const limits = await submitItems(deps, request, sender, { eventId, items });
      return limits.length > 0 ? limited(limits, deps.clock.now()) : CREATED;
    } finally {
      body.release();
    }
  };
}
