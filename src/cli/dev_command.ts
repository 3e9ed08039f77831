/**
 * `landfall dev`: a node for development, with everything it needs and nothing that leaves the machine.
 *
 * A node in proxy mode runs in a temporary folder before an embedded upstream (see {@link DevUpstream}), both on the
 * loopback. The folder is removed at the end, so every start is a fresh one; the key in the DSN is always the same, so
 * that an application under development keeps its DSN.
 */
import type { Setting } from "../config/environment.ts";
import { loadConfig } from "../config/load_config.ts";
import { type Command, type Flag, type Invocation, type System, UsageError } from "./command.ts";
import { formatArrival, formatRequest } from "./dev_envelope.ts";
import { DevUpstream } from "./dev_upstream.ts";

/** Public key of every development DSN. */
const KEY = "1a2db000000000000000000000000001";
const HOST = "127.0.0.1";

const DEFAULT_PORTS = { "port": 3000, "upstream-port": 3001, "admin-port": 3080 } as const;
type PortFlag = keyof typeof DEFAULT_PORTS;

const FLAGS: Readonly<Record<PortFlag, Flag>> = {
  "port": { short: "P", value: "PORT", about: "Port of the node (3000)" },
  "upstream-port": { value: "PORT", about: "Port of the embedded upstream (3001)" },
  "admin-port": { value: "PORT", about: "Port of the status page (3080)" },
};

/** `landfall dev` */
export const devCommand: Command = {
  name: "dev",
  about: "Start a node for development, with an embedded upstream",
  details:
    "Nothing leaves the machine: the upstream shows each envelope as one line and can be told to be slow,\n" +
    "down or rate-limiting. State lives in a temporary folder that is removed at the end.",
  flags: FLAGS,
  async run(invocation, system) {
    const ports = {
      node: portOf(invocation, "port"),
      upstream: portOf(invocation, "upstream-port"),
      admin: portOf(invocation, "admin-port"),
    };
    const upstream = startUpstream(ports.upstream, system);
    const folder = Deno.makeTempDirSync({ prefix: "landfall-dev-" });
    // A reload on save ends the program by this event alone.
    const remove = (): void => removeFolder(folder);
    globalThis.addEventListener("unload", remove);
    try {
      const loaded = loadConfig({
        settings: settingsOf(folder, upstream.url, ports),
        sources: system.sources,
      });
      return await system.runNode(loaded, () => system.out(banner(upstream.url, ports)));
    } finally {
      await upstream.close();
      remove();
      globalThis.removeEventListener("unload", remove);
    }
  },
};

interface Ports {
  readonly node: number;
  readonly upstream: number;
  readonly admin: number;
}

function portOf({ flags }: Invocation, name: PortFlag): number {
  const text = flags.get(name);
  if (text === undefined) return DEFAULT_PORTS[name];
  const port = Number(text);
  if (!/^\d+$/.test(text) || port < 1 || port > 65535) {
    throw new UsageError(`--${name} takes a port, not "${text}"`);
  }
  return port;
}

function startUpstream(port: number, { clock, out }: System): DevUpstream {
  try {
    return DevUpstream.start({
      port,
      clock,
      onEnvelope: (envelope) => out(`${formatArrival(envelope)}\n`),
      onRequest: (request) => out(`${formatRequest(request)}\n`),
    });
  } catch (error) {
    if (!(error instanceof Deno.errors.AddrInUse)) throw error;
    throw new Error(`port ${port} is taken; choose another one with --upstream-port`);
  }
}

/** Everything a development node must not take from the environment or from a file. */
function settingsOf(folder: string, upstreamUrl: string, ports: Ports): Setting[] {
  const values: Readonly<Record<string, unknown>> = {
    "relay.mode": "proxy",
    "relay.upstream": upstreamUrl,
    "relay.host": HOST,
    "relay.port": ports.node,
    "admin.host": HOST,
    "admin.port": ports.admin,
    "spool.envelopes.path": `${folder}/spool`,
    "lanes": 1,
    // Recovery from an outage shall be seen soon after the upstream was told to be normal.
    "http.outage_grace_period": 3,
    "http.max_retry_interval": 3,
  };
  return Object.entries(values).map(([key, value]) => ({
    key,
    value,
    origin: { kind: "flag", name: "dev" },
  }));
}

function banner(upstreamUrl: string, ports: Ports): string {
  const node = `${HOST}:${ports.node}`;
  const behave = (wish: string): string => `  curl -d '${wish}' ${upstreamUrl}/dev/behave\n`;
  return `
DSN          http://${KEY}@${node}/1
Status page  http://${HOST}:${ports.admin}/
Received     ${upstreamUrl}/dev/envelopes

Send an event:
  curl 'http://${node}/api/1/envelope/?sentry_key=${KEY}' --data-binary $'{}\\n{"type":"event"}\\n{"message":"hello"}'

Make the upstream misbehave, and well again:
` +
    behave('{"mode":"slow","delayMs":3000}') +
    behave('{"mode":"down"}') +
    behave('{"mode":"limited","categories":["error"]}') +
    behave('{"mode":"normal"}') +
    "\n";
}

function removeFolder(folder: string): void {
  try {
    Deno.removeSync(folder, { recursive: true });
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}
