/** POST /api/{project}/unreal/{key}/: ingestion reference, sections 1.2 and 5.5. */
import { hyphenated, newEventId } from "../../protocol/event_id.ts";
import { type Answer, textAnswer } from "../answer.ts";
import { submitBody } from "../built_envelope.ts";
import { notEmpty } from "../byte_sink.ts";
import type { IncomingRequest } from "../incoming_request.ts";
import { emptyBody } from "../refusals.ts";
import type { Endpoint, PathParams } from "../routes.ts";
import { type IngestionDeps, keySender, untold } from "../submission.ts";

const REPORT = { type: "unreal_report", content_type: "application/octet-stream" };

/** Endpoint for reports of the Unreal Engine's crash reporter, which would repeat what is answered with 429. */
export function unrealEndpoint(deps: IngestionDeps): Endpoint {
  return async (request: IncomingRequest, pathProjectId: string, path: PathParams): Promise<Answer> => {
    const sender = keySender(request, pathProjectId, path.param("sentry_key"));
    const userId = new URLSearchParams(request.query).get("UserID");
    const eventId = newEventId();
    return await submitBody(deps, request, sender, {
      limit: deps.itemLimits.maxAttachmentsSize,
      headers: userId === null ? {} : { unreal_user_id: userId },
      sink: (writer) => notEmpty(writer.item(REPORT), emptyBody),
      eventId: () => eventId,
      word: (limits) => {
        untold(limits);
        return textAnswer(200, hyphenated(eventId));
      },
    });
  };
}
