/** POST /api/{project}/unreal/{key}/: ingestion reference, sections 1.2 and 5.5. */
import { hyphenated, newEventId } from "../../protocol/event_id.ts";
import { RequestError } from "../../protocol/request_error.ts";
import { type Answer, textAnswer } from "../answer.ts";
import type { IncomingRequest } from "../incoming_request.ts";
import type { Endpoint, PathParams } from "../routes.ts";
import { type IngestionDeps, keySender, submitItems, untold } from "../submission.ts";

/** Endpoint for reports of the Unreal Engine's crash reporter, which would repeat what is answered with 429. */
export function unrealEndpoint(deps: IngestionDeps): Endpoint {
  return async (request: IncomingRequest, pathProjectId: string, path: PathParams): Promise<Answer> => {
    const sender = keySender(request, pathProjectId, path.param("sentry_key"));
    const body = await deps.bodies.read(request, deps.itemLimits.maxAttachmentsSize);
    try {
      const payload = body.decoded;
      if (payload.length === 0) throw RequestError.json(400, "empty_body", "empty request body");
      const eventId = newEventId();
      const userId = new URLSearchParams(request.query).get("UserID");
      untold(
        await submitItems(deps, request, sender, {
          eventId,
          headers: userId === null ? {} : { unreal_user_id: userId },
          items: [{
            headers: { type: "unreal_report", content_type: "application/octet-stream" },
            payload,
          }],
        }),
      );
      return textAnswer(200, hyphenated(eventId));
    } finally {
      body.release();
    }
  };
}
