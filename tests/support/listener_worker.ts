/** Worker with a listener of its own; told where to listen, tells its port. Its version is its name. */
import { systemClock } from "../../src/core/clock.ts";
import { createConnectionCounts } from "../../src/listener/connection_gate.ts";
import { BodyReader } from "../../src/listener/body_reader.ts";
import { type Exposure, Listener } from "../../src/listener/listener.ts";
import { relayRoutes } from "../../src/listener/routes.ts";
import { METRIC_LAYOUT } from "../../src/telemetry/catalogue.ts";
import { Metrics } from "../../src/telemetry/registry.ts";

const scope = self as unknown as {
  onmessage: (event: MessageEvent<{ exposure: Exposure; port: number }>) => void;
  postMessage(port: number): void;
};

scope.onmessage = async ({ data: { exposure, port } }) => {
  const metrics = new Metrics(METRIC_LAYOUT);
  const listener = await Listener.start({
    exposure,
    routes: relayRoutes({ isLive: () => true, isReady: () => true }),
    version: crypto.randomUUID(),
    bodies: new BodyReader({ memoryBytesMax: 1000, metrics }),
    metrics,
    clock: systemClock,
    hostname: "127.0.0.1",
    port,
    reusePort: true,
    backlog: 128,
    proxies: null,
    connections: {
      connectionsMax: 100,
      perAddressMax: 1000,
      counts: createConnectionCounts(1000),
      exempt: null,
    },
    pace: { timeoutMs: 5000, bytesPerSecondMin: 0, requestTimeoutMs: 60_000 },
    timeouts: { headersMs: 5000, idleMs: 5000, answerMs: 5000 },
  });
  scope.postMessage(listener.address.port);
};
