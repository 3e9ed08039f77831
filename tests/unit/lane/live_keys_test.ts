/** That the marks beside the keys are true: a value that counts at once must be one that somebody is told of. */
import { assert, assertEquals } from "@std/assert";
import { changedKeys } from "../../../src/config/config_change.ts";
import { CONFIG_KEYS } from "../../../src/config/config.ts";
import { loadConfig, type LoadedConfig } from "../../../src/config/load_config.ts";
import { createConnectionCounts } from "../../../src/listener/connection_gate.ts";
import { systemClock } from "../../../src/core/clock.ts";
import { GuardControl } from "../../../src/lane/guard_control.ts";
import { forwardSettings, ingestSettings } from "../../../src/lane/half_options.ts";
import { METRIC_LAYOUT } from "../../../src/telemetry/catalogue.ts";
import { MetricsReader } from "../../../src/telemetry/registry.ts";
import { fakeSources } from "../../support/fake_sources.ts";

/** Keys whose values the control plane reads from the configuration in force, and who does. */
const CONTROL_PLANE: Readonly<Record<string, string>> = {
  "relay.config_reload_interval": "ConfigControl.watch",
  "relay.override_project_ids": "ProjectDirectory.configure",
  "cache.file_interval": "ProjectDirectory.configure",
  "listener.drain_delay": "Node.drain",
  "limits.shutdown_timeout": "Node.drain",
  "logging.level": "configureLogging",
  "logging.format": "configureLogging",
  "logging.levels": "configureLogging",
  "logging.redact_addresses": "configureLogging",
  "sentry.enabled": "SelfReport.configure",
  "sentry.dsn": "SelfReport.configure",
  "sentry.environment": "SelfReport.configure",
  "sentry.server_name": "SelfReport.configure",
  "sentry.default_tags": "SelfReport.configure",
  "access_log.path": "AccessWriter",
  "access_log.format": "AccessWriter",
  "access_log.max_size": "AccessWriter",
  "access_log.max_age": "AccessWriter",
  "access_log.keep": "AccessWriter",
  "metrics.statsd": "pushStatsd",
  "metrics.statsd_buffer_size": "pushStatsd",
  "metrics.prefix": "pushStatsd",
  "metrics.default_tags": "pushStatsd",
  "metrics.hostname_tag": "pushStatsd",
  "metrics.periodic_secs": "pushStatsd",
  "auth.ready": "Node.status",
  "admin.token": "bearerOnly",
  "guard.bans_max": "GuardControl.configure",
  "health.max_memory_bytes": "GuardControl.configure",
  "health.max_memory_percent": "GuardControl.configure",
  "http.host_header": "NodeUpstreams.configure",
  "http.encoding": "NodeUpstreams.configure",
  ...Object.fromEntries(
    [
      "http.auth_interval",
      "http.project_failure_interval",
      "limits.max_concurrent_queries",
      "relay.advertised_upstream",
      "cache.project_request_full_config",
      "cache.project_expiry",
      "cache.project_grace_period",
      "cache.project_refresh_interval",
      "cache.projects_max",
      "cache.relay_expiry",
      "cache.miss_expiry",
      "cache.batch_interval",
      "cache.downstream_relays_batch_interval",
      "cache.batch_size",
      "cache.global_config_fetch_interval",
    ].map((key) => [key, "ManagedMode.configure"]),
  ),
  "limits.query_timeout": "queryUpstream",
  "relay.upstream": "NodeUpstreams.configure",
  upstreams: "NodeUpstreams.configure",
  upstream_routes: "NodeUpstreams.configure",
};

/** Settings without which some keys mean nothing. */
const BASE: Readonly<Record<string, unknown>> = { "listener.tunnel.path": "/t", "spool.ack": "memory" };

/** Some value of every kind. */
const VALUES: readonly unknown[] = [
  true,
  false,
  0.37,
  7,
  7777777,
  "7s",
  ["192.0.2.0/24"],
  ["x.example"],
  ["77"],
  "debug",
  "json",
  "gzip",
  "text",
  "always",
  ["a".repeat(32)],
  [{ key: "address", rate: "7r/s" }],
  [{ on: ["rate"], refusals: 7, within: "7s", ban: "7s" }],
  { spool: "debug" },
  "127.0.0.1:8125",
  { name: "text" },
  "logfmt",
  "file",
];

function load(settings: Readonly<Record<string, unknown>>): LoadedConfig {
  const list = Object.entries({ ...BASE, ...settings }).map(([key, value]) => ({
    key,
    value,
    origin: { kind: "flag", name: "test" } as const,
  }));
  return loadConfig({ settings: list, sources: fakeSources() });
}

/** A configuration that differs from the plain one in this key. */
function changed(plain: LoadedConfig, key: string): LoadedConfig {
  for (const value of VALUES) {
    try {
      const other = load({ [key]: value });
      if (changedKeys(plain, other).some((change) => change.key === key)) return other;
    } catch {
      // Not a value of this kind.
    }
  }
  throw new Error(`no value of the list suits ${key}`);
}

const EDGE = {
  connectionCounts: createConnectionCounts(1),
  tls: null,
  guard: new GuardControl(load({}).config, systemClock, new MetricsReader(METRIC_LAYOUT)).buffers,
};

const toldToLanes = (loaded: LoadedConfig): string =>
  JSON.stringify([ingestSettings(loaded, { plain: 0, tls: null }, EDGE), forwardSettings(loaded, false)]);

Deno.test("live keys: what counts at once reaches the lanes, or is read by the control plane", () => {
  const plain = load({});
  const told = toldToLanes(plain);
  const unheard = CONFIG_KEYS.filter(({ key, effect }) =>
    effect === "reload" && !(key in CONTROL_PLANE) && toldToLanes(changed(plain, key)) === told
  );
  assertEquals(unheard.map(({ key }) => key), []);
});

Deno.test("live keys: the list of those of the control plane is true", () => {
  for (const name of Object.keys(CONTROL_PLANE)) {
    assert(CONFIG_KEYS.some(({ key, effect }) => key === name && effect === "reload"), name);
  }
});
