/** POST /api/{project}/events/{event_id}/attachments/: ingestion reference, sections 1.2 and 1.3. */
import { parseEventId } from "../../protocol/event_id.ts";
import { multipartBoundary } from "../../protocol/multipart.ts";
import { RequestError } from "../../protocol/request_error.ts";
import { type Answer, emptyAnswer } from "../answer.ts";
import { submitBody } from "../built_envelope.ts";
import { FormSink } from "../form_sink.ts";
import type { Endpoint } from "../routes.ts";
import { type IngestionDeps, keySender, limited } from "../submission.ts";

const CREATED = emptyAnswer(201);

/** Endpoint for files that belong to an event sent before, or after. */
export function attachmentsEndpoint(deps: IngestionDeps): Endpoint {
  const { itemLimits: limits, bodies: { budget } } = deps;
  return async (request, projectId, path): Promise<Answer> => {
    const sender = keySender(request, projectId);
    const eventId = parseEventId(path.param("event_id") ?? "");
    if (eventId === null) {
      throw RequestError.text(400, "invalid_event_id", "Invalid URL: Cannot parse `event_id` to a UUID");
    }
    const boundary = multipartBoundary(request.header("content-type"));
    return await submitBody(deps, request, sender, {
      limit: limits.maxAttachmentsSize,
      sink: (writer) => new FormSink({ boundary, writer, limits, budget, typeOf: () => "event.attachment" }),
      eventId: () => eventId,
      word: (limits) => limits.length > 0 ? limited(limits, deps.clock.now()) : CREATED,
    });
  };
}
