/** What an ingest half passes on to the upstream instead of keeping it: the API, uploads. */
import type { Clock } from "../core/clock.ts";
import type { CidrSet } from "../core/cidr.ts";
import type { Live } from "../core/live.ts";
import type { BodyReader } from "../listener/body_reader.ts";
import { type Endpoint, forwardRoute, type Route, uploadRoutes } from "../listener/routes.ts";
import type { Metrics } from "../telemetry/registry.ts";
import { hostOf, upstreamTarget } from "../upstream/dial.ts";
import { StreamClient } from "../upstream/stream_client.ts";
import type { IngestSettings } from "./messages.ts";

const HEAD_BYTES_MAX = 64 * 1024;

/** Routes that lead to the upstream, and the end of what is under way on them. */
export interface PassingOn {
  readonly routes: readonly Route[];
  /** Sends a request to the upstream, whatever `http.forward` says. */
  readonly endpoint: Endpoint;
  /** Null while `http.forward` is off. */
  readonly fallback: Route | null;
  close(): void;
}

/** Makes the routes, and the client they share. */
export function passingOn(
  settings: Live<IngestSettings>,
  deps: { bodies: BodyReader; metrics: Metrics; clock: Clock; trustedProxies: CidrSet | null },
): PassingOn {
  const o = settings.view(({ passing }) => passing);
  const target = upstreamTarget(o.url, o.hostHeader);
  const upstream = new StreamClient({
    target,
    clock: deps.clock,
    metrics: deps.metrics,
    get connectTimeoutMs() {
      return o.connectTimeoutMs;
    },
    get timeoutMs() {
      return o.timeoutMs;
    },
    get readerTimeoutMs() {
      return settings.current.listener.pace.timeoutMs;
    },
    headBytesMax: HEAD_BYTES_MAX,
  });
  const forwarding = {
    ...deps,
    upstream,
    upstreamHosts: new Set([hostOf(target), hostOf({ ...target, hostHeader: null })]),
    get requestsMax() {
      return o.requestsMax;
    },
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
    close: () => upstream.close(),
  };
}
