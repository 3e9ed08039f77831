/** Whether the upstreams of a configuration can be found and reached, and whether they know this node. */
import { lookup } from "node:dns/promises";
import type { LoadedConfig } from "../config/load_config.ts";
import { VERSION } from "../core/version.ts";
import { readEndpoints, upstreamPlan } from "../lane/upstream_plan.ts";
import { METRIC_LAYOUT } from "../telemetry/catalogue.ts";
import { Metrics } from "../telemetry/registry.ts";
import { isGatewayStatus } from "../upstream/classify.ts";
import { close, denoDial, dialWithin } from "../upstream/dial.ts";
import { denoResolver } from "../upstream/dns_resolver.ts";
import { EndpointDiscovery, type EndpointEntry, type FoundEndpoint } from "../upstream/endpoint_discovery.ts";
import { HttpClient } from "../upstream/http_client.ts";
import { QueryClient } from "../upstream/query_client.ts";
import { RequestSigner } from "../upstream/request_signer.ts";
import { endpointTarget } from "../upstream/upstream_client.ts";
import { probeRequest } from "../upstream/upstream_request.ts";
import { DEFAULT_UPSTREAM } from "../upstream/upstream_spec.ts";
import type { UpstreamDefinition } from "../upstream/upstream_watch.ts";
import type { System } from "./command.ts";
import { CHECK_MS_MAX, type OnlineCheck } from "./online_check.ts";

const ANSWER_BYTES_MAX = 64 * 1024;

/** A check per name, and for each endpoint found: connection, sign of life, identity. */
export async function upstreamChecks(loaded: LoadedConfig, system: System): Promise<OnlineCheck[]> {
  const { definitions } = upstreamPlan(loaded.config, system.sources);
  const checks = await Promise.all(definitions.map((definition) => ofUpstream(definition, loaded, system)));
  return checks.flat();
}

async function ofUpstream(
  definition: UpstreamDefinition,
  loaded: LoadedConfig,
  system: System,
): Promise<OnlineCheck[]> {
  const { name, endpointsFile, transport: { proxy } } = definition;
  const entries = endpointsFile === null ? definition.entries : readEndpoints(endpointsFile, system.sources);
  const names = entries.map((entry): OnlineCheck => ({
    name: `${name}: name ${entry.name}`,
    // What a proxy is asked for it finds itself.
    run: () => addressesOf(proxy && entry.kind === "address" ? { ...entry, name: proxy.hostname } : entry),
  }));
  const endpoints = await found({ ...definition, entries }, system);
  return [...names, ...endpoints.map((endpoint) => ofEndpoint(endpoint, definition, loaded, system))];
}

async function addressesOf({ kind, name }: EndpointEntry): Promise<string> {
  const answers = kind === "address"
    ? (await lookup(name, { all: true })).map(({ address }) => address)
    : kind === "srv"
    ? (await denoResolver.services(name)).map(({ target, port }) => `${target}:${port}`)
    : await denoResolver.addresses(name, kind === "a" ? "A" : "AAAA");
  if (answers.length === 0) throw new Error("has no addresses");
  return answers.join(", ");
}

async function found(
  { name, entries, refreshMs }: UpstreamDefinition,
  { clock }: System,
): Promise<readonly FoundEndpoint[]> {
  const discovery = new EndpointDiscovery({
    upstream: name,
    entries,
    readEntries: null,
    intervalMs: refreshMs,
    clock,
    resolver: denoResolver,
    onChange: () => {},
  });
  await discovery.refresh();
  return discovery.endpoints;
}

function ofEndpoint(
  endpoint: FoundEndpoint,
  { name, transport }: UpstreamDefinition,
  { config, credentials }: LoadedConfig,
  { clock }: System,
): OnlineCheck {
  const target = endpointTarget(transport, { ...endpoint, slot: 0 });
  const metrics = new Metrics(METRIC_LAYOUT);
  const signer = new RequestSigner(credentials, clock);
  const dial = denoDial(transport);
  const connect = { dial, target, clock, timeoutMs: CHECK_MS_MAX };
  const client = (): HttpClient =>
    new HttpClient({
      target,
      clock,
      metrics,
      dial,
      connectTimeoutMs: CHECK_MS_MAX,
      totalTimeoutMs: CHECK_MS_MAX,
      idleTimeoutMs: 1,
      connectionsMax: 1,
      headBytesMax: ANSWER_BYTES_MAX,
      bodyBytesMax: ANSWER_BYTES_MAX,
    });

  const alive: OnlineCheck = {
    name: `${name}: sign of life ${endpoint.id}`,
    run: (signal) =>
      using(client(), async (http) => {
        const { status } = await http.send(probeRequest(signer.idHeaders()), signal);
        if (isGatewayStatus(status)) throw new Error(`status ${status}`);
        return `status ${status}`;
      }),
  };
  const known: OnlineCheck = {
    name: `${name}: identity ${endpoint.id}`,
    // A challenge shows that the upstream takes the signature; answering it would register the node.
    run: (signal) =>
      using(new QueryClient({ client: client(), signer, metrics }), async (queries) => {
        const asked = { relay_id: credentials!.id, public_key: credentials!.publicKey, version: VERSION };
        const { value } = await queries.ask("challenge", asked, signal);
        if (typeof (value as { token?: unknown } | null)?.token !== "string") {
          throw new Error("the challenge has no token");
        }
        return "challenged, as it should be";
      }),
  };
  const isAsked = config.relay.mode === "managed" && credentials !== null && name === DEFAULT_UPSTREAM;
  return {
    name: `${name}: connection ${endpoint.id}`,
    run: async (signal) => {
      close(await dialWithin(connect, signal));
      return transport.scheme === "https" ? `TLS with ${transport.serverName}` : "TCP";
    },
    then: isAsked ? [alive, known] : [alive],
  };
}

async function using<T extends { close(): void }>(
  resource: T,
  use: (it: T) => Promise<string>,
): Promise<string> {
  try {
    return await use(resource);
  } finally {
    resource.close();
  }
}
