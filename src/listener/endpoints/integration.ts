/**
 * Endpoints whose bodies go to the upstream's own route as they came: network errors of browsers (NEL), OpenTelemetry,
 * log drains. Ingestion reference, section 1.2.
 *
 * Why passed through: what they hold becomes logs and spans only in a Relay that does the conversion, which the upstream is
 * or stands before. They wait on disk like everything else.
 *
 * Large ones are written to the spool as they arrive, and decoded only to see how much they hold.
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
import type { ByteSink } from "../byte_sink.ts";
import { intoSpool } from "../into_spool.ts";
import { LargeStream } from "../large_stream.ts";
import { pour } from "../pour.ts";
import { unsupportedType } from "../refusals.ts";
import type { Endpoint } from "../routes.ts";
import {
  type IngestionDeps,
  keySender,
  limited,
  type PassthroughRequest,
  type Sender,
  submitPassthrough,
  untold,
} from "../submission.ts";

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
    const body = await deps.bodies.open(request, deps.itemLimits.maxContainerSize);
    const word = (limits: readonly RateLimit[]): Answer => answer(deps, integration, limits) ?? done;
    const submit = async (body: PassthroughRequest["body"], bytes: number): Promise<Answer> =>
      word(
        await submitPassthrough(deps, request, sender, {
          path: `/api/${sender.projectId}/${integration.route}`,
          contentType,
          body,
          quantities: quantitiesOf(integration, bytes),
        }),
      );
    if (body instanceof LargeStream) {
      return await receiveLarge(deps, request, { stream: body, sender, integration, submit, word });
    }
    try {
      return await submit(body, body.decoded.length);
    } finally {
      body.release();
    }
  };
}

function receiveLarge(
  deps: IngestionDeps,
  request: IncomingRequest,
  { stream, sender: { auth, projectId }, integration, submit, word }: {
    readonly stream: LargeStream;
    readonly sender: Sender;
    readonly integration: Integration;
    readonly submit: (body: PassthroughRequest["body"], bytes: number) => Promise<Answer>;
    readonly word: (limits: readonly RateLimit[]) => Answer;
  },
): Promise<Answer> {
  const { bodies: { budget }, itemLimits: { maxContainerSize: limit } } = deps;
  let bytes = 0;
  const scope = () => ({ key: auth.key, projectId, quantities: quantitiesOf(integration, bytes) });
  return intoSpool(deps, request, scope, async (upload) => {
    const counted: ByteSink = {
      write: (chunk) => Promise.resolve(void (bytes += chunk.length)),
      end: () => Promise.resolve(),
      destroy: () => Promise.resolve(),
    };
    await pour(stream, counted, { limit, budget, onPiece: (piece) => upload.write([piece]) });
    return await submit({ received: upload, encoding: stream.encoding }, bytes);
  }, word);
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
