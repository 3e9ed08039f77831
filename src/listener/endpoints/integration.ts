/**
 * Endpoints whose bodies go to the upstream's own route as they came: network errors of browsers (NEL), OpenTelemetry,
 * log drains. Ingestion reference, section 1.2.
 *
 * Why passed through: what they hold becomes logs and spans only in a Relay that does the conversion, which the upstream is
 * or stands before. They wait on disk like everything else.
 *
 * Differences to Relay: content types may have parameters, which its OTLP and Vercel endpoints refuse; the upstream gets
 * the type without them. Counts are coarse, because a body is not read: one log item and its bytes, or one span.
 */
import { mediaType } from "../../protocol/media_type.ts";
import type { Quantity } from "../../protocol/item_type.ts";
import type { RateLimit } from "../../protocol/rate_limit.ts";
import { RequestError } from "../../protocol/request_error.ts";
import { type Answer, emptyAnswer } from "../answer.ts";
import type { IncomingRequest } from "../incoming_request.ts";
import { unsupportedType } from "../refusals.ts";
import type { Endpoint } from "../routes.ts";
import { type IngestionDeps, keySender, limited, submitPassthrough, untold } from "../submission.ts";

/** One kind of body that is passed through. */
export interface Integration {
  /** What follows `/api/{project}/` in the upstream's path. */
  readonly route: string;
  readonly mediaTypes: readonly string[];
  /** Whether a missing or unreadable content type is a 400 instead of a 415. */
  readonly strictType: boolean;
  readonly status: 200 | 202;
  /** Whether clients are told of limits: section 5.5. */
  readonly tellsLimits: boolean;
  readonly holds: "logs" | "spans";
}

const JSON_TYPE = "application/json";
const OTLP_TYPES = [JSON_TYPE, "application/x-protobuf"];

/** All integrations. */
export const INTEGRATIONS = {
  nel: {
    route: "nel/",
    mediaTypes: [JSON_TYPE, "application/reports+json"],
    strictType: true,
    status: 200,
    tellsLimits: false,
    holds: "logs",
  },
  otlpTraces: {
    route: "integration/otlp/v1/traces",
    mediaTypes: OTLP_TYPES,
    strictType: false,
    status: 200,
    tellsLimits: true,
    holds: "spans",
  },
  otlpLogs: {
    route: "integration/otlp/v1/logs",
    mediaTypes: OTLP_TYPES,
    strictType: false,
    status: 200,
    tellsLimits: true,
    holds: "logs",
  },
  vercelLogs: {
    route: "integration/vercel/logs",
    mediaTypes: [JSON_TYPE, "application/x-ndjson"],
    strictType: false,
    status: 202,
    tellsLimits: true,
    holds: "logs",
  },
} as const satisfies Readonly<Record<string, Integration>>;

/** Endpoint of one integration. */
export function integrationEndpoint(deps: IngestionDeps, integration: Integration): Endpoint {
  const done = emptyAnswer(integration.status);
  return async (request: IncomingRequest, pathProjectId: string): Promise<Answer> => {
    const contentType = typeOf(request, integration);
    const sender = keySender(request, pathProjectId);
    if (contentType === null) throw unsupportedType();
    const body = await deps.bodies.read(request, deps.itemLimits.maxContainerSize);
    try {
      const limits = await submitPassthrough(deps, request, sender, {
        path: `/api/${sender.projectId}/${integration.route}`,
        contentType,
        body,
        quantities: quantitiesOf(integration, body.decoded.length),
      });
      return answer(deps, integration, limits) ?? done;
    } finally {
      body.release();
    }
  };
}

/** The content type that is sent on, or `null` for one that is not taken. */
function typeOf(request: IncomingRequest, { mediaTypes, strictType }: Integration): string | null {
  try {
    const type = mediaType(request.header("content-type"));
    return mediaTypes.includes(type) ? type : null;
  } catch (error) {
    if (strictType || !(error instanceof RequestError)) throw error;
    return null;
  }
}

function quantitiesOf({ holds }: Integration, bytes: number): readonly Quantity[] {
  return holds === "spans" ? [["span", 1]] : [["log_byte", Math.max(1, bytes)], ["log_item", 1]];
}

function answer(deps: IngestionDeps, integration: Integration, limits: readonly RateLimit[]): Answer | null {
  if (limits.length > 0 && integration.tellsLimits) return limited(limits, deps.clock.now());
  untold(limits);
  return null;
}
