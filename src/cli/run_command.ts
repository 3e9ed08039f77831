import { ConfigError, type Origin } from "../config/config_error.ts";
import { type Setting, upstreamOfDsn } from "../config/environment.ts";
import { loadConfig } from "../config/load_config.ts";
import { checkRunnable } from "../config/check_runnable.ts";
import { type Command, type Flag, type Invocation, UsageError } from "./command.ts";

/** Flags that set a key, in the order in which they win (control reference, section 2, `relay run`). */
const SETTING_FLAGS: Readonly<Record<string, Flag & { readonly key: string }>> = {
  mode: { key: "relay.mode", value: "MODE", about: "managed, proxy or static" },
  upstream: { key: "relay.upstream", short: "u", value: "URL", about: "Where envelopes are forwarded to" },
  host: { key: "relay.host", short: "H", value: "IP", about: "Address to listen on" },
  port: { key: "relay.port", short: "P", value: "PORT", about: "Port to listen on" },
  id: { key: "credentials.id", short: "i", value: "UUID", about: "Id of this node" },
  "public-key": { key: "credentials.public_key", short: "p", value: "KEY", about: "Public key of this node" },
  "secret-key": { key: "credentials.secret_key", short: "s", value: "KEY", about: "Secret key of this node" },
  "shutdown-timeout": {
    key: "limits.shutdown_timeout",
    value: "SECONDS",
    about: "Longest time for stopping",
  },
  "log-level": { key: "logging.level", value: "LEVEL", about: "off, error, warn, info, debug or trace" },
  "log-format": { key: "logging.format", value: "FORMAT", about: "auto, pretty, simplified or json" },
  instance: { key: "relay.instance", value: "NAME", about: "Accepted, without effect" },
  "source-id": { key: "outcomes.source", value: "ID", about: "Accepted, without effect" },
};

const OTHER_FLAGS: Readonly<Record<string, Flag>> = {
  "upstream-dsn": { value: "DSN", about: "As --upstream, with the host of a DSN" },
  processing: { about: "Not supported" },
  "no-processing": { about: "Accepted: a node never processes" },
};

/** `landfall run` */
export const runCommand: Command = {
  name: "run",
  about: "Start a node",
  details: "Flags win over environment variables, and these over config.yml in the folder given with -c.\n" +
    "SIGTERM stops the node once what it has taken in is safe; what is unsent goes out at the next start.",
  flags: { ...SETTING_FLAGS, ...OTHER_FLAGS },
  async run(invocation, system) {
    const settings = settingsOf(invocation);
    const loaded = loadConfig({ dir: invocation.configDir, settings, sources: system.sources });
    const problems = checkRunnable(loaded);
    if (problems.length > 0) throw new ConfigError(problems);
    return await system.runNode(loaded);
  },
};

function settingsOf({ flags }: Invocation): Setting[] {
  if (flags.has("public-key") !== flags.has("secret-key")) {
    throw new UsageError("--public-key and --secret-key go together");
  }
  if (flags.has("processing")) {
    if (flags.has("no-processing")) {
      throw new UsageError("--processing and --no-processing exclude each other");
    }
    throw new UsageError("--processing is not supported: a node forwards, it does not process");
  }
  const settings: Setting[] = [];
  const origin = (name: string): Origin => ({ kind: "flag", name });
  const dsn = flags.get("upstream-dsn");
  if (dsn !== undefined) settings.push(upstreamOfDsn(dsn, origin("upstream-dsn")));
  for (const [name, { key }] of Object.entries(SETTING_FLAGS)) {
    const value = flags.get(name);
    if (value !== undefined) settings.push({ key, value, origin: origin(name) });
  }
  return settings;
}
