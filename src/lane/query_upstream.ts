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

/** Makes the client; the configuration is read at use. */
export function queryUpstream(
  spec: UpstreamSpec,
  config: () => Config,
  deps: { readonly clock: Clock; readonly metrics: Metrics; readonly health: HealthWriter },
): UpstreamClient {
  return new UpstreamClient(spec, {
    ...deps,
    idleTimeoutMs: IDLE_TIMEOUT_MS,
    headBytesMax: HEAD_BYTES_MAX,
    get connectTimeoutMs() {
      return config().http.connectionTimeout;
    },
    get totalTimeoutMs() {
      return config().limits.queryTimeout;
    },
    get connectionsMax() {
      return config().limits.maxConcurrentQueries + OTHER_QUERIES;
    },
    get bodyBytesMax() {
      return config().limits.maxApiPayloadSize;
    },
  });
}
