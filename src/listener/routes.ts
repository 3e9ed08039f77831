/**
 * The route table: every path a listener knows, with its methods. Ingestion reference, sections 1.2 and 1.4.
 *
 * A trailing slash is significant; runs of slashes were folded before. What is in no row is 404.
 */
import type { Answer } from "./answer.ts";
import { envelopeEndpoint } from "./endpoints/envelope.ts";
import { type Health, healthEndpoint } from "./endpoints/health.ts";
import { storeEndpoint } from "./endpoints/store.ts";
import type { IncomingRequest, RouteName } from "./incoming_request.ts";
import type { IngestionDeps } from "./submission.ts";

/**
 * Answers a request. `projectId` is the path parameter as sent, or empty on routes without one.
 *
 * @throws {RequestError} for everything a client did wrong
 */
export type Endpoint = (request: IncomingRequest, projectId: string) => Answer | Promise<Answer>;

/** One row of the table. */
export interface Route {
  /** Label in metrics. */
  readonly name: RouteName;
  /** Path in the notation of the router, `:project_id` for the project. */
  readonly path: string;
  readonly methods: ReadonlyMap<string, Endpoint>;
  /** Ingestion routes answer preflights and carry CORS headers: section 5.4. */
  readonly ingestion: boolean;
}

/** Routes that take telemetry. */
export function ingestionRoutes(deps: IngestionDeps): Route[] {
  return [
    ingestion("envelope", "/api/:project_id/envelope/", envelopeEndpoint(deps)),
    ingestion("store", "/api/:project_id/store/", storeEndpoint(deps)),
  ];
}

/** Health of this node; with an internal port configured these are served there alone. */
export function healthRoutes(health: Health): Route[] {
  return [
    probe("healthcheck", "/api/relay/healthcheck/live/", healthEndpoint(() => health.isLive())),
    probe("healthcheck", "/api/relay/healthcheck/ready/", healthEndpoint(() => health.isReady())),
  ];
}

/** What downstream relays probe during an outage; always on the public port. */
export function relayRoutes(health: Health): Route[] {
  return [probe("live", "/api/0/relays/live/", healthEndpoint(() => health.isLive()))];
}

function ingestion(name: RouteName, path: string, endpoint: Endpoint): Route {
  return { name, path, methods: new Map([["POST", endpoint]]), ingestion: true };
}

function probe(name: RouteName, path: string, endpoint: Endpoint): Route {
  return { name, path, methods: new Map([["GET", endpoint], ["HEAD", endpoint]]), ingestion: false };
}
