/** A listener whose routes lead to an upstream, over real sockets. */
import { CidrSet } from "../../src/core/cidr.ts";
import { systemClock } from "../../src/core/clock.ts";
import { createPermits, SharedPermits } from "../../src/core/shared_permits.ts";
import { createConnectionCounts } from "../../src/listener/connection_gate.ts";
import { BodyReader } from "../../src/listener/body_reader.ts";
import { type Exposure, Listener } from "../../src/listener/listener.ts";
import { forwardRoute, uploadRoutes } from "../../src/listener/routes.ts";
import { METRIC_LAYOUT } from "../../src/telemetry/catalogue.ts";
import { Metrics } from "../../src/telemetry/registry.ts";
import { hostOf, upstreamTarget } from "../../src/upstream/dial.ts";
import { StreamClient } from "../../src/upstream/stream_client.ts";
import { TEST_ROOT } from "./test_certificate.ts";

export interface ForwardFixture extends AsyncDisposable {
  readonly listener: Listener;
  readonly bodies: BodyReader;
  readonly upstream: StreamClient;
  readonly metrics: Metrics;
  readonly port: number;
  readonly url: string;
}

export interface ForwardFixtureOptions {
  readonly exposure: Exposure;
  readonly upstream: string;
  readonly hostHeader?: string;
  readonly trustedProxies?: readonly string[];
  readonly timeoutMs?: number;
  readonly readerTimeoutMs?: number;
  readonly bodyTimeoutMs?: number;
  readonly requestsMax?: number;
  readonly payloadBytesMax?: number;
  readonly uploadBytesMax?: number;
  readonly isForwarding?: boolean;
}

export async function startForwarding(o: ForwardFixtureOptions): Promise<ForwardFixture> {
  const metrics = new Metrics(METRIC_LAYOUT);
  const bodies = new BodyReader({ memoryBytesMax: 4 * 1024 * 1024, metrics });
  const target = upstreamTarget(o.upstream, o.hostHeader ?? null);
  const upstream = new StreamClient({
    target,
    clock: systemClock,
    metrics,
    connectTimeoutMs: 2000,
    timeoutMs: o.timeoutMs ?? 5000,
    readerTimeoutMs: o.readerTimeoutMs ?? 5000,
    headBytesMax: 64 * 1024,
    caCerts: [TEST_ROOT],
  });
  const requestsMax = o.requestsMax ?? 100;
  const deps = {
    bodies,
    metrics,
    upstream,
    clock: systemClock,
    trustedProxies: o.trustedProxies ? CidrSet.parse([...o.trustedProxies]) : null,
    permits: new SharedPermits(createPermits(requestsMax, 1), 0, requestsMax),
  };
  const limits = {
    payloadBytesMax: o.payloadBytesMax ?? 1024 * 1024,
    fileUploadBytesMax: 2 * (o.payloadBytesMax ?? 1024 * 1024),
    chunkUploadBytesMax: 1024 * 1024 * 1024,
  };
  const upstreamHosts = new Set([hostOf(target), hostOf({ ...target, hostHeader: null })]);
  const listener = await Listener.start({
    exposure: o.exposure,
    routes: uploadRoutes({ ...deps, upstreamHosts, uploadBytesMax: o.uploadBytesMax ?? 1024 * 1024 }),
    fallback: o.isForwarding === false ? null : forwardRoute(deps, limits),
    version: "1.2.3",
    bodies,
    metrics,
    clock: systemClock,
    hostname: "127.0.0.1",
    port: 0,
    reusePort: false,
    backlog: 128,
    proxies: null,
    connections: {
      connectionsMax: 1000,
      perAddressMax: 1000,
      counts: createConnectionCounts(1000),
      exempt: null,
    },
    pace: { timeoutMs: o.bodyTimeoutMs ?? 5000, bytesPerSecondMin: 0, requestTimeoutMs: 60_000 },
    timeouts: { headersMs: 5000, idleMs: 5000, answerMs: 5000 },
  });
  const { port } = listener.address;
  return {
    listener,
    bodies,
    upstream,
    metrics,
    port,
    url: `http://127.0.0.1:${port}`,
    async [Symbol.asyncDispose]() {
      await listener.close(500);
      upstream.close();
    },
  };
}
