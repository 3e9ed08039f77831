/**
 * Upstreams as plain data: what the control plane hands to the lanes, complete, at start and whenever something changes.
 */
import type { EncodingChoice } from "./body_encoding.ts";
import type { ProxySpec } from "./proxy_tunnel.ts";
import type { RouteRule, UpstreamShares } from "./upstream_route.ts";

/** Where a connection can go. */
export interface EndpointSpec {
  /** `host:port`; unique in its upstream, and its label in metrics. */
  readonly id: string;
  /** Name or address that is dialled; no brackets. */
  readonly hostname: string;
  readonly port: number;
  /** Lower ones come first. */
  readonly priority: number;
  /** Above 0. */
  readonly weight: number;
  /** Row in the `HealthTable`. */
  readonly slot: number;
}

/** How connections of an upstream are made, and what every request of it says. */
export interface TransportSpec {
  readonly scheme: "http" | "https";
  /** `Host` header. */
  readonly host: string;
  /** Name asked for and verified in TLS, whatever address is dialled. */
  readonly serverName: string;
  /** Trusted beside the default roots, PEM. */
  readonly caCerts: readonly string[];
  /** PEM. */
  readonly clientCertificate: { readonly certificate: string; readonly key: string } | null;
  readonly proxy: ProxySpec | null;
  /** Value of an `Authorization` header. */
  readonly authorization: string | null;
}

/** An upstream. */
export interface UpstreamSpec {
  readonly name: string;
  readonly transport: TransportSpec;
  readonly endpoints: readonly EndpointSpec[];
  readonly encoding: EncodingChoice;
  /** Share of requests that may be tried once more at another endpoint. */
  readonly retryShare: number;
  /** Upstream that gets a copy of what this one took. */
  readonly copyTo: string | null;
}

/** All upstreams of a node and the ways to them. */
export interface UpstreamSnapshot {
  /** By name; there is always one called {@link DEFAULT_UPSTREAM}. */
  readonly upstreams: readonly UpstreamSpec[];
  readonly routes: readonly RouteRule[];
  readonly shares: UpstreamShares;
}

/** The upstream of `relay.upstream`; it also answers the control plane and what is passed through. */
export const DEFAULT_UPSTREAM = "default";
