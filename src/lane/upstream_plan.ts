/** From the configuration to the upstreams of a node. */
import type { Config } from "../config/config.ts";
import { readDocument } from "../config/config_document.ts";
import { ConfigError } from "../config/config_error.ts";
import type { ConfigSources } from "../config/config_sources.ts";
import { endpointList, upstreamSection } from "../config/schema/upstreams_section.ts";
import { validate } from "../config/validate.ts";
import { hostOf, upstreamTarget } from "../upstream/dial.ts";
import type { EndpointEntry } from "../upstream/endpoint_discovery.ts";
import { bypassesProxy, proxySpec } from "../upstream/proxy_tunnel.ts";
import type { UpstreamPlan } from "../upstream/upstream_control.ts";
import { DEFAULT_UPSTREAM, type TransportSpec } from "../upstream/upstream_spec.ts";
import type { UpstreamDefinition } from "../upstream/upstream_watch.ts";

/** What holds for an upstream of which only the URL is known. */
const DEFAULTS: UpstreamConfig = upstreamSection.parse({});

type UpstreamConfig = Config["upstreams"][string];
type EndpointConfig = UpstreamConfig["endpoints"][number];

/** The upstreams that a configuration names; there is always the default one. */
export function upstreamPlan(config: Config, sources: Pick<ConfigSources, "env">): UpstreamPlan {
  const { upstreams } = config;
  const names = [...new Set([DEFAULT_UPSTREAM, ...Object.keys(upstreams)])];
  return {
    definitions: names.map((name) => definition(name, config, sources)),
    routes: config.upstreamRoutes,
    shares: Object.fromEntries(
      names.map((name) => [name, upstreams[name]?.weight ?? (name === DEFAULT_UPSTREAM ? 1 : 0)]),
    ),
  };
}

/** Whether a changed key makes another plan. */
export function affectsUpstreams(key: string): boolean {
  return PLAN_KEYS.includes(key);
}

const PLAN_KEYS = ["upstreams", "upstream_routes", "relay.upstream", "http.host_header", "http.encoding"];

/** Where the default upstream is, for the control plane and what is passed through. */
export function defaultUpstreamUrl({ upstreams, relay }: Config): string {
  return upstreams[DEFAULT_UPSTREAM]?.url ?? relay.upstream;
}

/**
 * Reads a file of endpoints.
 *
 * @throws {ConfigError} it is missing or wrong
 */
export function readEndpoints(file: string, sources: ConfigSources): EndpointEntry[] {
  const document = readDocument(file, sources);
  const origin = { kind: "file", place: document?.locate([]) ?? { file, line: 1, column: 1 } } as const;
  if (document === null) throw new ConfigError([{ origin, key: null, rule: "does not exist" }]);
  const result = validate(document.value, {
    schema: endpointList,
    prefix: "",
    originOf: (path, at) => ({ kind: "file", place: document.locate(path, at) }),
  });
  if ("problems" in result) throw new ConfigError(result.problems);
  const entries = result.value.map(entryOf).filter((entry) => entry !== null);
  if (entries.length < result.value.length || entries.length === 0) {
    throw new ConfigError([{ origin, key: null, rule: "must be a list of endpoints" }]);
  }
  return entries;
}

function definition(
  name: string,
  config: Config,
  sources: Pick<ConfigSources, "env">,
): UpstreamDefinition {
  const settings = config.upstreams[name] ?? DEFAULTS;
  const { ejection } = settings;
  const url = settings.url ?? config.relay.upstream;
  const target = upstreamTarget(url, null);
  const entries = settings.endpoints.map(entryOf).filter((entry) => entry !== null);
  const itself: EndpointEntry = {
    kind: "address",
    name: target.hostname,
    port: target.port,
    priority: 0,
    weight: 1,
  };
  return {
    name,
    transport: transport(name, url, config, sources),
    entries: entries.length > 0 || settings.endpointsFile !== null ? entries : [itself],
    endpointsFile: settings.endpointsFile,
    encoding: settings.encoding ?? config.http.encoding,
    retryShare: settings.retryBudget,
    copyTo: settings.copyTo,
    refreshMs: settings.refreshInterval,
    probeMs: settings.probeInterval,
    slowStartMs: settings.slowStart,
    ejection: { failuresMax: ejection.failures, baseMs: ejection.base, maxMs: ejection.max },
  };
}

function transport(
  name: string,
  url: string,
  config: Config,
  sources: Pick<ConfigSources, "env">,
): TransportSpec {
  const settings = config.upstreams[name] ?? DEFAULTS;
  const { tls } = settings;
  const hostHeader = settings.hostHeader ?? (name === DEFAULT_UPSTREAM ? config.http.hostHeader : null);
  const target = upstreamTarget(url, hostHeader);
  return {
    scheme: target.scheme,
    host: hostOf(target),
    serverName: tls.serverName ?? target.hostname,
    caCerts: tls.ca === null ? [] : [tls.ca],
    clientCertificate: tls.certificate === null
      ? null
      : { certificate: tls.certificate, key: tls.privateKey! },
    proxy: proxyOf(settings, target, sources),
    authorization: settings.authorization,
  };
}

/** The configured proxy, else that of the environment; variables in lower case come first, as everywhere. */
function proxyOf(
  settings: UpstreamConfig,
  { scheme, hostname }: { readonly scheme: string; readonly hostname: string },
  { env }: Pick<ConfigSources, "env">,
): TransportSpec["proxy"] {
  const noProxy = settings.noProxy ?? (env("no_proxy") || env("NO_PROXY") || "").split(",");
  if (settings.proxy === "none" || bypassesProxy(hostname, noProxy)) return null;
  // `HTTP_PROXY` in capitals can be set by whoever sends a request to a CGI program, so nobody honours it.
  const names = scheme === "https" ? ["https_proxy", "HTTPS_PROXY"] : ["http_proxy"];
  const [fromEnvironment] = [...names, "all_proxy", "ALL_PROXY"].map(env).filter(Boolean);
  const url = URL.parse(settings.proxy ?? withScheme(fromEnvironment) ?? "");
  return url?.protocol === "http:" && url.hostname !== "" ? proxySpec(url.href) : null;
}

function withScheme(url: string | undefined): string | undefined {
  return url === undefined || url.includes("://") ? url : `http://${url}`;
}

function entryOf(endpoint: EndpointConfig): EndpointEntry | null {
  const { priority, weight } = endpoint;
  if (endpoint.srv !== null) return { kind: "srv", name: endpoint.srv, port: 0, priority, weight };
  for (const kind of ["address", "a", "aaaa"] as const) {
    const where = endpoint[kind];
    if (where !== null) return { kind, ...where, priority, weight };
  }
  return null;
}
