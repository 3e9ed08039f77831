/** The client with which the control plane asks the default upstream. */
import type { Config } from "../config/config.ts";
import type { Clock } from "../core/clock.ts";
import type { Metrics } from "../telemetry/registry.ts";
import type { HealthWriter } from "../upstream/health_table.ts";
import { UpstreamClient } from "../upstream/upstream_client.ts";
import type { UpstreamSpec } from "../upstream/upstream_spec.ts";
import { HEAD_BYTES_MAX, IDLE_TIMEOUT_MS } from "./lane_upstreams.ts";

/** Beside the questions for project states: registration, global configuration, keys of relays, a batch passed on. */
const OTHER_QUERIES = 4;

/** Makes the client. */
export function queryUpstream(
  spec: UpstreamSpec,
  { http, limits }: Config,
  deps: { readonly clock: Clock; readonly metrics: Metrics; readonly health: HealthWriter },
): UpstreamClient {
  return new UpstreamClient(spec, {
    ...deps,
    connectTimeoutMs: http.connectionTimeout,
    totalTimeoutMs: limits.queryTimeout,
    idleTimeoutMs: IDLE_TIMEOUT_MS,
    connectionsMax: limits.maxConcurrentQueries + OTHER_QUERIES,
    headBytesMax: HEAD_BYTES_MAX,
    bodyBytesMax: limits.maxApiPayloadSize,
  });
}
