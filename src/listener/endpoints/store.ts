/** Store endpoints, with a project in the path and without: ingestion reference, sections 1.2 and 1.3. */
import { utf8 } from "../../core/bytes.ts";
import { missingAuth } from "../../protocol/request_auth.ts";
import { RequestError } from "../../protocol/request_error.ts";
import { parseStoreBody } from "../../protocol/store_event.ts";
import type { Answer } from "../answer.ts";
import { inflateTruncated } from "../decode_body.ts";
import type { IncomingRequest } from "../incoming_request.ts";
import type { Endpoint } from "../routes.ts";
import {
  accepted,
  type IngestionDeps,
  keySender,
  limited,
  requestAuth,
  type Sender,
  submitEnvelope,
  submitItems,
} from "../submission.ts";

/** The smallest GIF there is: one transparent pixel. */
const PIXEL = Uint8Array.from([
  ...utf8("GIF89a"),
  ...[1, 0, 1, 0, 0, 0xff, 0, 0x2c, 0, 0, 0, 0, 1, 0, 1, 0, 0, 2, 0, 0x3b],
]);
const PIXEL_ANSWER: Answer = { status: 200, body: PIXEL, contentType: "image/gif" };

/**
 * Endpoint for events of the oldest clients, and for envelopes that say so in their content type.
 *
 * POST takes the event as its body; GET, made by an `<img>`, in the query, and is answered with an image.
 */
export function storeEndpoint(deps: IngestionDeps): Endpoint {
  return async (request: IncomingRequest, pathProjectId: string): Promise<Answer> => {
    const sender = pathProjectId === ""
      ? projectlessSender(deps, request)
      : keySender(request, pathProjectId);
    const body = await deps.bodies.read(request, deps.itemLimits.maxEventSize);
    try {
      if (request.method !== "POST") {
        return await submitEvent(deps, request, sender, dataOf(request.query), () => PIXEL_ANSWER);
      }
      if (request.header("content-type") === "application/x-sentry-envelope") {
        return await submitEnvelope(deps, request, sender, body);
      }
      return await submitEvent(deps, request, sender, body.decoded, accepted);
    } finally {
      body.release();
    }
  };
}

/**
 * The sender of a request to `/api/store/`, whose project only its key can tell.
 *
 * When the key's project is not known here, as is the rule in mode `proxy`, the event goes to the same route of the
 * upstream, which may know. A Relay in that mode would lose it.
 */
function projectlessSender({ ingress }: IngestionDeps, request: IncomingRequest): Sender {
  const auth = requestAuth(request);
  if (auth === null) throw missingAuth();
  return { projectId: ingress.projectIdOf(auth.key) ?? "", auth, checked: true };
}

function dataOf(query: string): Uint8Array {
  const data = new URLSearchParams(query).get("sentry_data");
  if (data !== null) return utf8(data);
  throw RequestError.text(
    400,
    "payload",
    "Failed to deserialize query string: missing field `sentry_data`",
  );
}

async function submitEvent(
  deps: IngestionDeps,
  request: IncomingRequest,
  sender: Sender,
  data: Uint8Array,
  answer: (eventId: string) => Answer,
): Promise<Answer> {
  const { eventId, itemType, payload } = parseStoreBody(data, {
    maxEventBytes: deps.itemLimits.maxEventSize,
    client: sender.auth.client,
    inflate: inflateTruncated,
  });
  const headers = { type: itemType, content_type: "application/json" };
  const limits = await submitItems(deps, request, sender, { eventId, items: [{ headers, payload }] });
  return limits.length > 0 ? limited(limits, deps.clock.now()) : answer(eventId);
}
