/** Metrics per endpoint: read from the table of their health, because only a running node knows which there are. */
import { METRICS } from "../telemetry/catalogue.ts";
import type { MetricsReader, Series } from "../telemetry/registry.ts";
import type { UpstreamControl } from "../upstream/upstream_control.ts";
import type { EndpointStatus } from "../upstream/upstream_watch.ts";

/** Adds them to what a reader reads; their number is bounded by that of endpoints. */
export function collectEndpoints(reader: MetricsReader, upstreams: UpstreamControl): void {
  const each = (value: (status: EndpointStatus) => number) => (): Series[] =>
    upstreams.status().map((status) => ({ labels: labelsOf(status), values: [value(status)] }));
  reader.collect(METRICS.endpointRetries, each(({ retries }) => retries));
  reader.collect(METRICS.endpointTime, each(({ answerMs }) => answerMs / 1000));
  reader.collect(METRICS.endpointInFlight, each(({ inFlight }) => inFlight));
  reader.collect(METRICS.endpointConnections, each(({ connections }) => connections));
  reader.collect(METRICS.endpointShare, each(({ share }) => share));
  reader.collect(METRICS.endpointEjections, each(({ ejections }) => ejections));
  reader.collect(METRICS.endpointBreakers, each(({ breakersOpen }) => breakersOpen));
  reader.collect(
    METRICS.endpointRequests,
    () =>
      upstreams.status().flatMap((status) =>
        (["answered", "failed"] as const).map((result) => ({
          labels: { ...labelsOf(status), result },
          values: [status[result]],
        }))
      ),
  );
}

function labelsOf({ upstream, endpoint }: EndpointStatus): Readonly<Record<string, string>> {
  return { upstream, endpoint };
}
