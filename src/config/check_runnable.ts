import { CidrSet } from "../core/cidr.ts";
import { type Problem } from "./config_error.ts";
import { zoneName } from "./guard_kind.ts";
import type { LoadedConfig } from "./load_config.ts";

const LOOPBACK = CidrSet.parse(["127.0.0.0/8", "::1/128"]);

/** What keeps a valid configuration from being run: what else is missing, and keys that need each other. */
export function checkRunnable({ config, credentials, effective }: LoadedConfig): Problem[] {
  const problems: Problem[] = [];
  const originOf = (key: string) => effective.find((one) => one.key.key === key)!.origin;
  // What is missing stands nowhere: then the place is that of the key that asks for it.
  const refuse = (key: string, rule: string, received?: unknown, asker = key): void => {
    const origin = originOf(asker);
    problems.push({
      origin,
      key,
      rule,
      ...received === undefined ? {} : { received: JSON.stringify(received) },
    });
  };
  const { relay, listener, admin, guard } = config;
  if (relay.mode === "managed" && credentials === null) {
    refuse(
      "relay.mode",
      'mode managed needs an identity; "landfall credentials generate" makes one',
      relay.mode,
    );
  }
  if (admin.enabled && admin.token === null && admin.socket === null && !isLoopback(admin.host)) {
    refuse(
      "admin.token",
      `must be set, because admin.host ${admin.host} can be reached from elsewhere`,
      undefined,
      "admin.host",
    );
  }
  const paths = { "relay.tls_cert_path": relay.tlsCertPath, "relay.tls_key_path": relay.tlsKeyPath };
  for (const [key, path] of Object.entries(paths)) {
    if (relay.tlsPort !== null && path === null) {
      refuse(key, "must be set, because relay.tls_port is", undefined, "relay.tls_port");
    }
    if (relay.tlsPort === null && path !== null) refuse(key, "has no effect without relay.tls_port", path);
  }
  if (listener.exposure === "load_balancer") {
    if (listener.tlsCertificates.length > 0) {
      refuse("listener.tls_certificates", "needs listener.exposure internet; a balancer asks for one host");
    }
    if (listener.proxyProtocol !== "off") {
      refuse("listener.proxy_protocol", "needs listener.exposure internet", listener.proxyProtocol);
    }
  } else if (listener.tlsCertificates.length > 0 && relay.tlsPort === null) {
    refuse("listener.tls_certificates", "has no effect without relay.tls_port");
  }
  if (config.quotas.storeCa !== null && !config.quotas.store?.startsWith("rediss:")) {
    refuse("quotas.store_ca", "has no effect unless quotas.store is a rediss:// URL");
  }
  const sinks = config.logShipping.map(({ name }) => name);
  const sinkTwice = sinks.find((name, index) => sinks.indexOf(name) !== index);
  if (sinkTwice !== undefined) refuse("log_shipping", "every sink needs a name of its own", sinkTwice);
  const names = guard.zones.map(zoneName);
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice !== undefined) refuse("guard.zones", "every zone needs a name of its own", twice);
  return problems;
}

function isLoopback(address: string): boolean {
  return LOOPBACK.has(address);
}
