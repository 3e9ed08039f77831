/** GET and POST /api/{project}/cron/{slug}[/{key}]: ingestion reference, sections 1.2 and 1.3. */
import { CHECK_IN_CLIENT, checkInFromJson, checkInFromQuery } from "../../protocol/check_in.ts";
import { newEventId } from "../../protocol/event_id.ts";
import { type Answer, emptyAnswer } from "../answer.ts";
import type { IncomingRequest } from "../incoming_request.ts";
import type { Endpoint, PathParams } from "../routes.ts";
import { type IngestionDeps, keySender, type Sender, submitItems, untold } from "../submission.ts";

const DONE = emptyAnswer(202);

/** Endpoint for check-ins of monitors without an SDK. */
export function cronEndpoint(deps: IngestionDeps): Endpoint {
  return async (request: IncomingRequest, pathProjectId: string, path: PathParams): Promise<Answer> => {
    const sender = named(keySender(request, pathProjectId, path.param("sentry_key")));
    const slug = path.param("slug") ?? "";
    const body = await deps.bodies.read(request, deps.itemLimits.maxEventSize);
    try {
      const isJson = request.header("content-type")?.startsWith("application/json") ?? false;
      const payload = isJson ? checkInFromJson(slug, body.decoded) : checkInFromQuery(slug, request.query);
      const headers = { type: "check_in", content_type: "application/json" };
      untold(
        await submitItems(deps, request, sender, { eventId: newEventId(), items: [{ headers, payload }] }),
      );
      return DONE;
    } finally {
      body.release();
    }
  };
}

function named({ projectId, auth, checked }: Sender): Sender {
  return { projectId, auth: { ...auth, client: auth.client ?? CHECK_IN_CLIENT }, checked };
}
