/**
 * Pushes metrics as statsd over UDP (`metrics.statsd`), from the control plane alone.
 *
 * Nothing waits for it and nothing is kept for it: a datagram that cannot be sent is counted and gone.
 */
import type { Clock } from "../core/clock.ts";
import { METRICS } from "./catalogue.ts";
import { logger } from "./log.ts";
import type { Metrics, MetricsReader } from "./registry.ts";
import { datagrams, StatsdLines } from "./statsd_lines.ts";

const log = logger("telemetry");

/** Fits into one frame of Ethernet. */
const DATAGRAM_BYTES_DEFAULT = 1432;

/** `metrics` of the configuration; read at use. */
export interface StatsdSettings {
  /** Where to; null for no push. */
  readonly statsd: { readonly name: string; readonly port: number } | null;
  readonly statsdBufferSize: number | null;
  readonly prefix: string;
  readonly defaultTags: Readonly<Record<string, string>>;
  readonly hostnameTag: string | null;
  readonly periodicSecs: number;
}

/** Pushes until `signal` aborts. */
export async function pushStatsd(
  o: {
    readonly clock: Clock;
    readonly metrics: Metrics;
    readonly reader: MetricsReader;
    settings(): StatsdSettings;
  },
  signal: AbortSignal,
): Promise<void> {
  const lines = new StatsdLines(o.reader);
  let socket: Deno.DatagramConn | null = null;
  let isWarned = false;
  while (!signal.aborted) {
    await o.clock.sleep(o.settings().periodicSecs * 1000, signal);
    const settings = o.settings();
    const { statsd, prefix, statsdBufferSize } = settings;
    if (signal.aborted || statsd === null) continue;
    const tags = tagsOf(settings);
    const dotted = prefix === "" || prefix.endsWith(".") ? prefix : `${prefix}.`;
    const to = { hostname: statsd.name, port: statsd.port };
    for (const bytes of datagrams(lines.take(dotted, tags), statsdBufferSize ?? DATAGRAM_BYTES_DEFAULT)) {
      try {
        socket ??= Deno.listenDatagram({
          transport: "udp",
          hostname: to.hostname.includes(":") ? "::" : "0.0.0.0",
          port: 0,
        });
        await socket.send(bytes, { transport: "udp", ...to });
        o.metrics.add(METRICS.statsdDatagrams, 1, "sent");
      } catch (error) {
        o.metrics.add(METRICS.statsdDatagrams, 1, "failed");
        if (!isWarned) log.warn("statsd cannot be sent: {error}", { error, host: statsd.name });
        isWarned = true;
      }
    }
  }
  socket?.close();
}

function tagsOf({ defaultTags, hostnameTag }: StatsdSettings): string {
  const tags = hostnameTag === null ? defaultTags : { ...defaultTags, [hostnameTag]: machineName() };
  return Object.entries(tags).map(([name, value]) => `${clean(name)}:${clean(value)}`).join(",");
}

/** Without what separates in a line. */
function clean(text: string): string {
  return text.replace(/[\s|,#@]/g, "_");
}

/** Name of the machine, from the file that holds it: asking the system would take a permission more. */
function machineName(): string {
  try {
    return Deno.readTextFileSync("/etc/hostname").trim() || "unknown";
  } catch {
    return "unknown";
  }
}
