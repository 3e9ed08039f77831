import { parseDurationMs } from "../core/duration.ts";
import { loadConfig, type LoadedConfig } from "../config/load_config.ts";
import { type Command, EXIT, type Invocation, type System, UsageError } from "./command.ts";
import { type HttpAddress, requestStatus } from "./request_status.ts";

const DEFAULT_TIMEOUT = "5s";

/** `landfall healthcheck` (control reference, section 2) */
export const healthcheckCommand: Command = {
  name: "healthcheck",
  about: "Ask a running node whether it is well",
  details:
    "Exits with 0 when it is and 1 when it is not or does not answer. Host and port are those of the configuration\n" +
    "unless given.",
  flags: {
    mode: { value: "MODE", about: "live or ready (the default)" },
    host: { short: "H", value: "IP", about: "Address of the node" },
    port: { short: "P", value: "PORT", about: "Port of the node" },
    timeout: { value: "SECONDS", about: "Longest time to wait for the answer (default 5)" },
  },
  async run(invocation, system) {
    const mode = invocation.flags.get("mode") ?? "ready";
    if (mode !== "live" && mode !== "ready") throw new UsageError("--mode must be live or ready");
    const timeoutMs = durationFlag(invocation.flags.get("timeout") ?? DEFAULT_TIMEOUT);
    const address = addressOf(invocation, system);
    const place = `${address.host}:${address.port}`;
    try {
      const path = `/api/relay/healthcheck/${mode}/`;
      const status = await requestStatus(address, path, timeoutMs, system.clock);
      if (status === 200) return EXIT.ok;
      system.err(`landfall: ${place} is not ${mode}: status ${status}\n`);
    } catch (error) {
      system.err(`landfall: no answer from ${place}: ${error instanceof Error ? error.message : error}\n`);
    }
    return EXIT.failure;
  },
};

function addressOf({ configDir, flags }: Invocation, { sources }: System): HttpAddress {
  const [host, port] = [flags.get("host"), flags.get("port")];
  // With both given a broken configuration does not matter.
  const configured = host !== undefined && port !== undefined
    ? null
    : loadConfig({ dir: configDir, sources });
  return {
    host: host ?? reachable(configured!),
    port: port === undefined ? portOf(configured!) : portFlag(port),
  };
}

/** The address to call for the one the node is bound to: "any address" cannot be called everywhere. */
function reachable({ config: { relay } }: LoadedConfig): string {
  const host = relay.internalHost ?? relay.host;
  return host === "0.0.0.0" ? "127.0.0.1" : host === "::" ? "::1" : host;
}

function portOf({ config: { relay } }: LoadedConfig): number {
  return relay.internalPort ?? relay.port;
}

function portFlag(text: string): number {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  if (port < 1 || port > 65535) throw new UsageError("--port must be a port from 1 to 65535");
  return port;
}

function durationFlag(text: string): number {
  try {
    return parseDurationMs(text);
  } catch {
    throw new UsageError("--timeout must be a duration such as 5 or 500ms");
  }
}
