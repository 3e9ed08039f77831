/** POST /api/{project}/security/ and csp-report/: ingestion reference, sections 1.2 and 1.3. */
import { countOutcomes } from "../../outcomes/count_outcomes.ts";
import { newEventId } from "../../protocol/event_id.ts";
import { mediaType } from "../../protocol/media_type.ts";
import { securityReports } from "../../protocol/security_report.ts";
import { type Answer, emptyAnswer } from "../answer.ts";
import type { IncomingRequest } from "../incoming_request.ts";
import { unsupportedType } from "../refusals.ts";
import type { Endpoint } from "../routes.ts";
import { type IngestionDeps, keySender, limited, type Sender, submitItems } from "../submission.ts";

const MEDIA_TYPES: ReadonlySet<string> = new Set([
  "application/json",
  "application/csp-report",
  "application/expect-ct-report",
  "application/expect-ct-report+json",
  "application/expect-staple-report",
  "application/reports+json",
]);

const DONE = emptyAnswer(200);

/** Endpoint for what browsers report about the policies of pages: CSP and its kin. */
export function securityEndpoint(deps: IngestionDeps): Endpoint {
  return async (request: IncomingRequest, pathProjectId: string): Promise<Answer> => {
    const isSupported = MEDIA_TYPES.has(mediaType(request.header("content-type")));
    const sender = keySender(request, pathProjectId);
    if (!isSupported) throw unsupportedType();
    const body = await deps.bodies.read(request, deps.itemLimits.maxEventSize);
    try {
      return await submitReports(deps, request, sender, body.decoded);
    } finally {
      body.release();
    }
  };
}

async function submitReports(
  deps: IngestionDeps,
  request: IncomingRequest,
  sender: Sender,
  body: Uint8Array,
): Promise<Answer> {
  const { payloads, unsupported, surplus } = securityReports(body);
  if (unsupported > 0) {
    countOutcomes(deps.metrics, "invalid", "security_report_type", [["security", unsupported]]);
  }
  if (surplus > 0) countOutcomes(deps.metrics, "invalid", "too_large", [["security", surplus]]);
  const headers = { type: "raw_security", content_type: "application/json", ...statedIn(request.query) };
  // All at once, so that a batch costs one write to disk.
  const limits = await Promise.all(
    payloads.map((payload) =>
      submitItems(deps, request, sender, { eventId: newEventId(), items: [{ headers, payload }] })
    ),
  );
  const announced = [...new Set(limits.flat())];
  return announced.length > 0 ? limited(announced, deps.clock.now()) : DONE;
}

/** Release and environment, for which a policy's `report-uri` has no other place. */
function statedIn(query: string): Readonly<Record<string, string>> {
  const params = new URLSearchParams(query);
  const stated: Record<string, string> = {};
  for (const name of ["sentry_release", "sentry_environment"]) {
    const value = params.get(name);
    if (value !== null) stated[name] = value;
  }
  return stated;
}
