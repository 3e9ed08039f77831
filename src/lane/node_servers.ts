/** The listeners of the control plane: admin, and the internal one for health checks when it is apart. */
import type { Clock } from "../core/clock.ts";
import type { Config } from "../config/config.ts";
import { BodyReader } from "../listener/body_reader.ts";
import { createConnectionCounts } from "../listener/connection_gate.ts";
import { Listener } from "../listener/listener.ts";
import { healthRoutes } from "../listener/routes.ts";
import type { Autoscaling } from "../listener/endpoints/autoscaling.ts";
import type { Health } from "../listener/endpoints/health.ts";
import { connectionTimeouts, paceLimits } from "./half_options.ts";
import { LastingServer } from "./lasting_server.ts";
import { logger } from "../telemetry/log.ts";
import type { Metrics } from "../telemetry/registry.ts";

const log = logger("node");

/** Health checks have no body to speak of. */
const INTERNAL_BODY_BYTES_MAX = 1024 * 1024;

/** Exposure `load_balancer` counts no connections. */
const UNBOUNDED = {
  connectionsMax: Infinity,
  perAddressMax: Infinity,
  counts: createConnectionCounts(0),
  exempt: null,
};

/** A listener of the control plane. */
export interface NodeServer {
  readonly name: "admin" | "internal";
  /** Null on a unix socket. */
  readonly port: number | null;
  close(): Promise<void>;
}

/** Anything that answers requests, e.g. a hono application. */
interface Application {
  fetch(request: Request): Response | Promise<Response>;
}

/** Serves the admin application. */
export function serveAdmin({ admin }: Config, app: Application, clock: Clock): NodeServer {
  const handler = (request: Request): Response | Promise<Response> => app.fetch(request);
  if (admin.socket !== null) return serveAdminSocket(admin.socket, handler, clock);
  const server = new LastingServer<Deno.HttpServer<Deno.NetAddr>>(clock, (previous) =>
    Deno.serve({
      hostname: admin.host,
      port: previous?.addr.port ?? admin.port,
      onListen: ({ hostname, port }) => log.info("admin listener", { url: `http://${hostname}:${port}/` }),
      onError: adminFault,
    }, handler));
  return { name: "admin", port: server.current.addr.port, close: () => server.shutdown() };
}

/** What an earlier run has left there is removed; nobody but the owner may connect. */
function serveAdminSocket(
  path: string,
  handler: (request: Request) => Response | Promise<Response>,
  clock: Clock,
): NodeServer {
  const server = new LastingServer(clock, () => {
    removeSocket(path);
    const opened = Deno.serve({
      path,
      onListen: () => log.info("admin listener", { socket: path }),
      onError: adminFault,
    }, handler);
    Deno.chmodSync(path, 0o600);
    return opened;
  });
  return {
    name: "admin",
    port: null,
    async close() {
      await server.shutdown();
      removeSocket(path);
    },
  };
}

/** Removes a socket, and nothing that is another kind of file. */
function removeSocket(path: string): void {
  try {
    if (Deno.lstatSync(path).isSocket) Deno.removeSync(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

function adminFault(error: unknown): Response {
  log.error("an admin request failed: {error}", { error });
  return new Response(null, { status: 500 });
}

/** Serves `/api/relay/*` on the internal port, if one is configured. */
export function serveInternal(
  config: Config,
  health: Health & { autoscaling(): Autoscaling },
  version: string,
  metrics: Metrics,
  clock: Clock,
): Promise<NodeServer> | null {
  const { internalHost, internalPort } = config.relay;
  if (internalHost === null || internalPort === null) return null;
  return Listener.start({
    exposure: "load_balancer",
    routes: healthRoutes(health, () => health.autoscaling()),
    version,
    bodies: new BodyReader({ memoryBytesMax: INTERNAL_BODY_BYTES_MAX, metrics }),
    metrics,
    clock,
    hostname: internalHost,
    port: internalPort,
    reusePort: false,
    backlog: config.limits.tcpListenBacklog,
    proxies: null,
    connections: UNBOUNDED,
    pace: paceLimits(config),
    timeouts: connectionTimeouts(config),
  }).then((internal) => ({
    name: "internal",
    port: internal.address.port,
    close: () => internal.close(0),
  }));
}
