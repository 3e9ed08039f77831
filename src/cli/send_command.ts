/**
 * `landfall send`: one real event, followed through the node by a tap on its id.
 */
import { request } from "node:http";
import type { Config } from "../config/config.ts";
import { loadConfig } from "../config/load_config.ts";
import { utf8 } from "../core/bytes.ts";
import { VERSION } from "../core/version.ts";
import { parseDsn } from "../protocol/dsn.ts";
import { newEventId } from "../protocol/event_id.ts";
import { reachable } from "./admin_request.ts";
import { type Command, EXIT, type System, UsageError } from "./command.ts";
import { tapStream } from "./tap_stream.ts";

const TIMEOUT_DEFAULT = "30";
/** Key for nodes that take any. */
const ANY_KEY = "1a2df0110000000000000000001a2df0";

/** `landfall send` */
export const sendCommand: Command = {
  name: "send",
  about: "Send a test event through a running node and wait until it has arrived upstream",
  details:
    "Names each hop with its time. The event goes to the node of the configuration; of the DSN only the key and\n" +
    "the project count. Exits with 0 when the upstream has taken it.",
  flags: {
    dsn: { value: "DSN", about: "Whose event it is; needed where projects are known (static, managed)" },
    message: { value: "TEXT", about: "Message of the event" },
    timeout: { value: "SECONDS", about: "Longest time to wait (default 30)" },
  },
  async run({ configDir, flags }, system) {
    const { config } = loadConfig({ dir: configDir, sources: system.sources });
    const seconds = Number(flags.get("timeout") ?? TIMEOUT_DEFAULT);
    if (!(seconds > 0)) throw new UsageError("--timeout must be a number above 0");
    const { key, projectId } = parseDsn(flags.get("dsn") ?? `http://${ANY_KEY}@localhost/1`);
    const event = newEventId();
    const stop = new AbortController();
    const startedMs = system.clock.monotonic();
    // The halves of a lane tell on their own, so what is on disk may be told last.
    let isOnDisk = false;
    let end: boolean | null = null;
    try {
      for await (const line of tapStream(config, { event, seconds, max: 1000 }, stop.signal)) {
        if (line.stage === "attached") {
          const path = `/api/${projectId}/envelope/?sentry_key=${key}&sentry_version=7`;
          const status = await post(config, path, testEvent(event, flags.get("message")));
          const ms = (system.clock.monotonic() - startedMs).toFixed(1);
          system.out(`answered   ${status} (connect, send and answer: ${ms} ms), event ${event}\n`);
          if (status !== 200) return EXIT.failure;
        } else if (line.stage === "answered") {
          isOnDisk = true;
          system.out(`on disk    lane ${line.lane}, ${line.tookMs.toFixed(1)} ms for policy and disk\n`);
        } else if (line.stage === "forwarding") {
          system.out(`forwarding attempt ${line.attempt}, ${line.waitedMs.toFixed(0)} ms after it came\n`);
        } else if (line.stage === "forwarded") {
          const status = line.status ?? line.message ?? "";
          system.out(`upstream   ${line.outcome} ${status} after ${line.tookMs.toFixed(1)} ms\n`);
          if (!line.isRetried) end = line.outcome === "delivered";
        }
        if (isOnDisk && end !== null) return arrived(end, system, startedMs);
      }
    } finally {
      stop.abort();
    }
    system.err(`The event has not arrived within ${seconds} s; it is kept on disk and sent on.\n`);
    return EXIT.failure;
  },
};

function arrived(isDelivered: boolean, { out, clock }: System, startedMs: number): number {
  if (!isDelivered) return EXIT.failure;
  out(`arrived    ${(clock.monotonic() - startedMs).toFixed(0)} ms after it was sent\n`);
  return EXIT.ok;
}

function testEvent(eventId: string, message = "A test event sent with landfall send"): string {
  const payload = JSON.stringify({
    event_id: eventId,
    level: "info",
    platform: "other",
    logger: "landfall",
    message: { formatted: message },
  });
  const sdk = { name: "landfall", version: VERSION };
  return `${JSON.stringify({ event_id: eventId, sdk })}\n{"type":"event"}\n${payload}\n`;
}

/** Status of the answer. @throws {Error} nobody answers */
function post({ relay: { host, port } }: Config, path: string, body: string): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  const headers = { "Content-Type": "application/x-sentry-envelope", "Content-Length": utf8(body).length };
  const place = { host: reachable(host), port, path, method: "POST", agent: false } as const;
  const sent = request({ ...place, headers: { ...headers, Connection: "close" } }, (answer) => {
    answer.resume();
    answer.on("end", () => resolve(answer.statusCode ?? 0));
    answer.on("error", reject);
  });
  sent.on(
    "error",
    (error) => reject(new Error(`the node at ${host}:${port} does not answer: ${error.message}`)),
  );
  sent.end(body);
  return promise;
}
