/**
 * Settings from environment variables: the names Relay knows (control reference, section 2) and a few of our own.
 *
 * An empty variable counts as not set, because that is what container tools make of a missing value.
 */
import { DsnError, parseDsn } from "../protocol/dsn.ts";
import { parseDurationMs } from "../core/duration.ts";
import type { Origin } from "./config_error.ts";
import type { ConfigSources } from "./config_sources.ts";

/** A value for a key from outside the files. Keys of the credentials start with `credentials.`. */
export interface Setting {
  readonly key: string;
  readonly value: unknown;
  readonly origin: Origin;
  /** Set when the value is refused whatever the schema says: the rule it breaks. */
  readonly rule?: string;
}

/** Variable to key. */
const ENVIRONMENT: readonly (readonly [variable: string, key: string])[] = [
  ["RELAY_MODE", "relay.mode"],
  ["RELAY_INSTANCE", "relay.instance"],
  ["RELAY_UPSTREAM_URL", "relay.upstream"],
  ["RELAY_HOST", "relay.host"],
  ["RELAY_PORT", "relay.port"],
  ["RELAY_LOG_LEVEL", "logging.level"],
  ["RELAY_LOG_FORMAT", "logging.format"],
  ["RELAY_SERVER_NAME", "sentry.server_name"],
  ["RELAY_SOURCE_ID", "outcomes.source"],
  ["RELAY_ID", "credentials.id"],
  ["RELAY_PUBLIC_KEY", "credentials.public_key"],
  ["RELAY_SECRET_KEY", "credentials.secret_key"],
  ["SHUTDOWN_TIMEOUT", "limits.shutdown_timeout"],
  ["LANDFALL_EXPOSURE", "listener.exposure"],
  ["LANDFALL_LANES", "lanes"],
  ["LANDFALL_SPOOL_PATH", "spool.envelopes.path"],
  ["LANDFALL_ADMIN_HOST", "admin.host"],
  ["LANDFALL_ADMIN_PORT", "admin.port"],
];

const UPSTREAM_DSN = "RELAY_UPSTREAM_DSN";

/** Names of the variables that set a key. */
export function variablesOf(key: string): string[] {
  const names = ENVIRONMENT.filter(([, target]) => target === key).map(([name]) => name);
  return key === "relay.upstream" ? [...names, UPSTREAM_DSN] : names;
}

/** The settings that the environment holds. */
export function environmentSettings(sources: ConfigSources): { settings: Setting[]; warnings: string[] } {
  const warnings: string[] = [];
  const settings: Setting[] = [];
  const dsn = sources.env(UPSTREAM_DSN);
  // The URL comes later in the list and so wins over the DSN, as it does in Relay.
  if (dsn) settings.push(upstreamOfDsn(dsn, { kind: "env", name: UPSTREAM_DSN }));
  for (const [name, key] of ENVIRONMENT) {
    const value = sources.env(name);
    if (!value) continue;
    if (name === "SHUTDOWN_TIMEOUT" && !isDuration(value)) {
      // The name is common enough to be meant for another program; Relay ignores it then, too.
      warnings.push(`SHUTDOWN_TIMEOUT is ignored: not a duration`);
      continue;
    }
    settings.push({ key, value, origin: { kind: "env", name } });
  }
  if (/^(1|true)$/i.test(sources.env("RELAY_PROCESSING_ENABLED") ?? "")) {
    const origin: Origin = { kind: "env", name: "RELAY_PROCESSING_ENABLED" };
    settings.push({ key: "processing", value: { enabled: true }, origin });
  }
  return { settings, warnings };
}

/**
 * The upstream a DSN belongs to: only scheme, host and port count. What is no DSN is handed on as it is, so that it is
 * reported with everything else that is wrong.
 */
export function upstreamOfDsn(text: string, origin: Origin): Setting {
  const key = "relay.upstream";
  try {
    const { scheme, host, port } = parseDsn(text);
    return { key, value: `${scheme}://${host}${port === null ? "" : `:${port}`}/`, origin };
  } catch (error) {
    if (!(error instanceof DsnError)) throw error;
    return { key, value: text, origin, rule: `must be a DSN such as https://key@host/1: ${error.message}` };
  }
}

function isDuration(text: string): boolean {
  try {
    parseDurationMs(text);
    return true;
  } catch {
    return false;
  }
}
