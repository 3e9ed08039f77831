/**
 * Questions of relays downstream: control reference, section 4, last table.
 *
 * The listener only carries them; whoever knows the projects and relays answers.
 */
import { RELAY_ID_HEADER, RELAY_SIGNATURE_HEADER } from "../../protocol/signature.ts";
import type { RelayAnswer, RelayQuestion } from "../../protocol/relay_question.ts";
import { RequestError } from "../../protocol/request_error.ts";
import { jsonAnswer } from "../answer.ts";
import type { BodyReader } from "../body_reader.ts";
import type { IncomingRequest } from "../incoming_request.ts";
import type { Endpoint } from "../routes.ts";

/** Body limits, bytes: ingestion reference, section 1.4. */
const QUERY_BYTES_MAX = 262_144;
const BATCH_BYTES_MAX = 50_000_000;
/** The version of the project query that is answered here. */
const CONFIGS_VERSION = 3;

/** What the endpoints work with. */
export interface RelayDeps {
  readonly bodies: BodyReader;
  /** @throws {RequestError} 503 when there are too many questions already */
  ask(question: RelayQuestion): Promise<RelayAnswer>;
  /** Sends a request to the upstream as it came. */
  readonly passOn: Endpoint;
}

/** Endpoint for one kind of question. */
export function relayEndpoint(deps: RelayDeps, route: RelayQuestion["route"]): Endpoint {
  const bytesMax = route === "outcomes" || route === "metrics" ? BATCH_BYTES_MAX : QUERY_BYTES_MAX;
  return async (request) => {
    const body = await deps.bodies.read(request, bytesMax);
    try {
      const { status, body: json } = await deps.ask({
        route,
        relayId: headerOf(request, RELAY_ID_HEADER),
        signature: headerOf(request, RELAY_SIGNATURE_HEADER),
        body: body.decoded,
      });
      return jsonAnswer(status, json);
    } finally {
      body.release();
    }
  };
}

/** Endpoint for project states, which has versions; what comes after this one is the upstream's to answer. */
export function projectConfigsEndpoint(deps: RelayDeps): Endpoint {
  const answer = relayEndpoint(deps, "project_configs");
  return (request, projectId, path) => {
    const version = Number(new URLSearchParams(request.query).get("version") ?? 0);
    if (version > CONFIGS_VERSION) return deps.passOn(request, projectId, path);
    if (version === CONFIGS_VERSION) return answer(request, projectId, path);
    throw RequestError.json(
      400,
      "other",
      "this version of the projectconfigs endpoint is no longer supported",
    );
  };
}

function headerOf(request: IncomingRequest, name: string): string | null {
  return request.header(name.toLowerCase());
}
