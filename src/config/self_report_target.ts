/** Where a node reports its own errors to, if anywhere. */
import type { Dsn } from "../protocol/dsn.ts";
import type { Config } from "./config.ts";

/** What `sentry` comes to; a warning is a whole sentence. */
export type SelfReportTarget =
  | { readonly kind: "off" }
  | { readonly kind: "refused"; readonly warning: string }
  | { readonly kind: "on"; readonly dsn: Dsn };

/** Reads `sentry.enabled` and `sentry.dsn`. A node that reported to itself would make errors out of errors. */
export function selfReportTarget(config: Pick<Config, "sentry" | "relay" | "listener">): SelfReportTarget {
  const { enabled, dsn } = config.sentry;
  if (!enabled) return { kind: "off" };
  if (dsn === null) return refused("sentry.enabled has no effect without sentry.dsn");
  if (!pointsHere(dsn, config)) return { kind: "on", dsn };
  return refused("sentry.dsn points to this node, which cannot report its own errors to itself");
}

function refused(warning: string): SelfReportTarget {
  return { kind: "refused", warning };
}

/** As far as the configuration tells: names that resolve to this machine are not known to it. */
function pointsHere(dsn: Dsn, { relay, listener }: Pick<Config, "relay" | "listener">): boolean {
  if (listener.hosts.includes(dsn.host)) return true;
  const port = dsn.port ?? (dsn.scheme === "https" ? 443 : 80);
  const places = [
    [relay.host, relay.port],
    [relay.host, relay.tlsPort],
    [relay.internalHost, relay.internalPort],
  ] as const;
  const host = dsn.host.replace(/^\[|\]$/g, "");
  return places.some(([bound, at]) => bound !== null && port === at && reaches(host, bound));
}

function reaches(host: string, bound: string): boolean {
  if (host === bound) return true;
  const isHere = isLoopback(host) || isUnspecified(host);
  return isHere && (isLoopback(bound) || isUnspecified(bound));
}

function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || /^127(\.\d+){3}$/.test(host);
}

function isUnspecified(host: string): boolean {
  return host === "0.0.0.0" || host === "::";
}
