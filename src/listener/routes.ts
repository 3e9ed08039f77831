/**
 * The route table: every path a listener knows, with its methods. Ingestion reference, sections 1.2 and 1.4.
 *
 * A trailing slash is significant; runs of slashes were folded before. What is in no row is {@link forwardRoute}'s or 404.
 */
import type { Answer } from "./answer.ts";
import { attachmentsEndpoint } from "./endpoints/attachments.ts";
import { type Autoscaling, autoscalingEndpoint } from "./endpoints/autoscaling.ts";
import { cronEndpoint } from "./endpoints/cron.ts";
import { envelopeEndpoint } from "./endpoints/envelope.ts";
import { forwardEndpoint, type ForwardLimits } from "./endpoints/forward.ts";
import { type Health, healthEndpoint } from "./endpoints/health.ts";
import { type Integration, integrationEndpoint, INTEGRATIONS } from "./endpoints/integration.ts";
import { minidumpEndpoint } from "./endpoints/minidump.ts";
import { projectConfigsEndpoint, type RelayDeps, relayEndpoint } from "./endpoints/relay.ts";
import { securityEndpoint } from "./endpoints/security.ts";
import { storeEndpoint } from "./endpoints/store.ts";
import { tunnelEndpoint, type TunnelRules } from "./endpoints/tunnel.ts";
import { unrealEndpoint } from "./endpoints/unreal.ts";
import { createUploadEndpoint, patchUploadEndpoint, type UploadDeps } from "./endpoints/upload.ts";
import type { ForwardDeps } from "./forwarding.ts";
import type { IncomingRequest, RouteName } from "./incoming_request.ts";
import type { IngestionDeps } from "./submission.ts";

/** Further parameters of a path, decoded. */
export interface PathParams {
  param(name: string): string | undefined;
}

/**
 * Answers a request. `projectId` is the path parameter as sent, or empty on routes without one.
 *
 * @throws {RequestError} for everything a client did wrong
 */
export type Endpoint = (
  request: IncomingRequest,
  projectId: string,
  path: PathParams,
) => Answer | Promise<Answer>;

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
    ...storeRoutes(deps),
    ...securityRoutes(deps),
    ...integrationRoutes(deps),
    ...cronRoutes(deps),
    ingestion("unreal", "/api/:project_id/unreal/:sentry_key/", unrealEndpoint(deps)),
    ...withAndWithoutSlash("minidump", "/api/:project_id/minidump", minidumpEndpoint(deps)),
    ingestion(
      "attachments",
      "/api/:project_id/events/:event_id/attachments/",
      attachmentsEndpoint(deps),
    ),
  ];
}

function storeRoutes(deps: IngestionDeps): Route[] {
  const endpoint = storeEndpoint(deps);
  return ["/api/store/", "/api/:project_id/store/"].map((path) =>
    ingestion("store", path, endpoint, ["GET", "HEAD", "POST"])
  );
}

function securityRoutes(deps: IngestionDeps): Route[] {
  const endpoint = securityEndpoint(deps);
  return ["security", "csp-report"].map((name) =>
    ingestion("security", `/api/:project_id/${name}/`, endpoint)
  );
}

function integrationRoutes(deps: IngestionDeps): Route[] {
  const { nel, otlpTraces, otlpLogs, vercelLogs } = INTEGRATIONS;
  const both = (name: RouteName, integration: Integration): Route[] =>
    withAndWithoutSlash(
      name,
      `/api/:project_id/${integration.route}`,
      integrationEndpoint(deps, integration),
    );
  return [
    ingestion("nel", `/api/:project_id/${nel.route}`, integrationEndpoint(deps, nel)),
    ...both("otlp", otlpTraces),
    ...both("otlp", otlpLogs),
    ...both("vercel", vercelLogs),
  ];
}

function cronRoutes(deps: IngestionDeps): Route[] {
  const endpoint = cronEndpoint(deps);
  const methods = ["GET", "HEAD", "POST"];
  return [
    ...withAndWithoutSlash("cron", "/api/:project_id/cron/:slug", endpoint, methods),
    ...withAndWithoutSlash("cron", "/api/:project_id/cron/:slug/:sentry_key", endpoint, methods),
  ];
}

/** The way in for envelopes from a site's own pages; none unless it is configured. */
export function tunnelRoutes(deps: IngestionDeps, rules: TunnelRules | null): Route[] {
  return rules === null ? [] : [ingestion("tunnel", rules.path, tunnelEndpoint(deps, rules))];
}

/** Uploads of attachments on their own, which the upstream takes. */
export function uploadRoutes(deps: UploadDeps): Route[] {
  return [
    ...withAndWithoutSlash("upload", "/api/:project_id/upload", createUploadEndpoint(deps)),
    ingestion("upload", "/api/:project_id/upload/:upload_key/", patchUploadEndpoint(deps), ["PATCH"]),
  ];
}

/** Takes what is below `/api/` and no route's: section 1.4. */
export function forwardRoute(deps: ForwardDeps, limits: ForwardLimits): Route {
  const endpoint = forwardEndpoint(deps, limits);
  const methods = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
  return {
    name: "forward",
    path: "/api/*",
    methods: new Map(methods.map((method) => [method, endpoint])),
    ingestion: false,
  };
}

/** Health of this node; with an internal port configured these are served there alone. */
export function healthRoutes(health: Health, autoscaling?: () => Autoscaling): Route[] {
  return [
    ...autoscaling ? [probe("healthcheck", "/api/relay/autoscaling/", autoscalingEndpoint(autoscaling))] : [],
    probe("healthcheck", "/api/relay/healthcheck/live/", healthEndpoint(() => health.isLive())),
    probe("healthcheck", "/api/relay/healthcheck/ready/", healthEndpoint(() => health.isReady())),
  ];
}

/** What downstream relays probe during an outage; always on the public port. */
export function relayRoutes(health: Health): Route[] {
  return [probe("live", "/api/0/relays/live/", healthEndpoint(() => health.isLive()))];
}

/** Questions of relays downstream, and their registration, which only the top of a chain can do. */
export function downstreamRoutes(deps: RelayDeps): Route[] {
  const relay = (path: string, endpoint: Endpoint): Route => ({
    name: "relay",
    path: `/api/0/relays/${path}`,
    methods: new Map([["POST", endpoint]]),
    ingestion: false,
  });
  return [
    relay("projectconfigs/", projectConfigsEndpoint(deps)),
    relay("publickeys/", relayEndpoint(deps, "public_keys")),
    relay("outcomes/", relayEndpoint(deps, "outcomes")),
    relay("metrics/", relayEndpoint(deps, "metrics")),
    relay("register/challenge/", deps.passOn),
    relay("register/response/", deps.passOn),
  ];
}

/** Routes of people rather than SDKs; people leave the slash out. */
function withAndWithoutSlash(
  name: RouteName,
  path: string,
  endpoint: Endpoint,
  methods?: readonly string[],
): Route[] {
  return [path, `${path}/`].map((path) => ingestion(name, path, endpoint, methods));
}

function ingestion(
  name: RouteName,
  path: string,
  endpoint: Endpoint,
  methods: readonly string[] = ["POST"],
): Route {
  return { name, path, methods: new Map(methods.map((method) => [method, endpoint])), ingestion: true };
}

function probe(name: RouteName, path: string, endpoint: Endpoint): Route {
  return { name, path, methods: new Map([["GET", endpoint], ["HEAD", endpoint]]), ingestion: false };
}
