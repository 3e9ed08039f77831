/** What an ingest half passes on to the upstream instead of keeping it: the API, uploads. */
import type { Clock } from "../core/clock.ts";
import type { CidrSet } from "../core/cidr.ts";
import type { Live } from "../core/live.ts";
import { SharedPermits } from "../core/shared_permits.ts";
import type { BodyReader } from "../listener/body_reader.ts";
import { type Endpoint, forwardRoute, type Route, uploadRoutes } from "../listener/routes.ts";
import type { Metrics } from "../telemetry/registry.ts";
import { hostOf } from "../upstream/dial.ts";
import { HealthWriter } from "../upstream/health_table.ts";
import type { UpstreamSnapshot } from "../upstream/upstream_spec.ts";
import { HEAD_BYTES_MAX, IDLE_TIMEOUT_MS } from "./lane_upstreams.ts";
import type { CommonOptions, IngestSettings } from "./messages.ts";
import { PassedUpstreams } from "./passed_upstreams.ts";

/** Routes that lead to the upstream, and the end of what is under way on them. */
export interface PassingOn {
  readonly routes: readonly Route[];
  /** Sends a request to the upstream, whatever `http.forward` says. */
  readonly endpoint: Endpoint;
  /** Null while `http.forward` is off. */
  readonly fallback: Route | null;
  /** Takes over another way to the upstream. */
  update(snapshot: UpstreamSnapshot): void;
  close(): void;
}

/** Makes the routes, and the clients they share. */
export function passingOn(
  settings: Live<IngestSettings>,
  { lane, upstreams, health, permits: buffer }: Pick<
    CommonOptions,
    "lane" | "upstreams" | "health" | "permits"
  >,
  deps: {
    bodies: BodyReader;
    metrics: Metrics;
    clock: Clock;
    trustedProxies: CidrSet | null;
    organizationOf(key: string): string | null;
  },
): PassingOn {
  const o = settings.view(({ passing }) => passing);
  const upstream = new PassedUpstreams(upstreams, deps.organizationOf, {
    clock: deps.clock,
    metrics: deps.metrics,
    health: new HealthWriter(health.buffer, health.writer),
    idleTimeoutMs: IDLE_TIMEOUT_MS,
    get connectTimeoutMs() {
      return o.connectTimeoutMs;
    },
    get totalTimeoutMs() {
      return o.timeoutMs;
    },
    get readerTimeoutMs() {
      return settings.current.listener.pace.timeoutMs;
    },
    get connectionsMax() {
      return o.requestsMax;
    },
    get bodyBytesMax() {
      return o.payloadBytesMax;
    },
    headBytesMax: HEAD_BYTES_MAX,
  });
  const permits = new SharedPermits(buffer, lane, o.permitFloor);
  settings.watch(({ passing }) => permits.setFloor(passing.permitFloor));
  const upstreamHosts = new Set(hostsOf(upstreams));
  const forwarding = {
    ...deps,
    upstream,
    upstreamHosts,
    permits,
    get uploadBytesMax() {
      return settings.current.listener.uploadBytesMax;
    },
  };
  const route = forwardRoute(forwarding, o);
  return {
    endpoint: route.methods.get("POST")!,
    routes: uploadRoutes(forwarding),
    get fallback() {
      return o.isForwarding ? route : null;
    },
    update(snapshot) {
      upstream.update(snapshot);
      upstreamHosts.clear();
      for (const host of hostsOf(snapshot)) upstreamHosts.add(host);
    },
    close: () => upstream.close(),
  };
}

/** Names under which the upstreams may speak of themselves. */
function hostsOf({ upstreams }: UpstreamSnapshot): string[] {
  return upstreams.flatMap(({ transport, endpoints }) => {
    const { scheme, host, serverName } = transport;
    const at = endpoints.flatMap(({ hostname, port }) =>
      [hostname, serverName].map((name) => hostOf({ scheme, hostname: name, port, hostHeader: null }))
    );
    return [host, ...at];
  });
}
