import type { TapRequest } from "../admin/tap_routes.ts";
import { loadConfig } from "../config/load_config.ts";
import type { TapEvent } from "../telemetry/tap_event.ts";
import { type Command, EXIT, type Invocation, UsageError } from "./command.ts";
import { printable, readableSize } from "./readable.ts";
import { tapStream } from "./tap_stream.ts";

/** `landfall tap` */
export const tapCommand: Command = {
  name: "tap",
  about: "Show envelopes as they pass through a running node",
  details:
    "Shows what arrives and what becomes of it upstream, one line each, until --max, --seconds or Ctrl-C.\n" +
    "Keys, addresses and what looks like a secret are left out unless --raw is given. What cannot be shown in\n" +
    "time is dropped and counted; the node never waits.",
  flags: {
    project: { value: "ID", about: "Only of this project" },
    key: { value: "KEY", about: "Only with this public key" },
    item: { value: "TYPE", about: "Only envelopes with an item of this type, e.g. transaction" },
    outcome: {
      value: "NAME",
      about: "Only with this outcome: accepted, rate_limited, invalid; delivered, rejected, network_error, …",
    },
    event: { value: "ID", about: "Only of this event" },
    body: { about: "With headers and payloads, as JSON" },
    json: { about: "Lines of JSON" },
    raw: { about: "Leave nothing out" },
    max: { value: "NUMBER", about: "End after so many lines (default 1000)" },
    seconds: { value: "SECONDS", about: "End after so long (default 60)" },
  },
  async run(invocation, { sources, out, err, terminal }) {
    const { flags } = invocation;
    const { config } = loadConfig({ dir: invocation.configDir, sources });
    const isJson = flags.has("json") || flags.has("body");
    for await (const line of tapStream(config, wanted(invocation), terminal.interrupted())) {
      if (line.stage === "attached") continue;
      if (line.stage === "end") err(`${line.shown} shown, ${line.dropped} dropped\n`);
      else out(`${isJson ? JSON.stringify(line) : printable(lineOf(line))}\n`);
    }
    return EXIT.ok;
  },
};

function wanted({ flags }: Invocation): Partial<TapRequest> {
  const texts = ["project", "key", "item", "outcome", "event"].filter((name) => flags.has(name));
  const numbers = ["max", "seconds"].filter((name) => flags.has(name));
  for (const name of numbers) {
    if (!(Number(flags.get(name)) > 0)) throw new UsageError(`--${name} must be a number above 0`);
  }
  return {
    ...Object.fromEntries(texts.map((name) => [name, flags.get(name)!])),
    ...Object.fromEntries(numbers.map((name) => [name, Number(flags.get(name))])),
    bodies: flags.has("body"),
    raw: flags.has("raw"),
  };
}

/** One step of an envelope as a line of text. */
function lineOf(event: TapEvent): string {
  const time = new Date(event.atMs).toISOString().slice(11, 23);
  const about = [time, event.stage.padEnd(10), `project ${event.project || "?"}`, event.event ?? "-"];
  const ms = (value: number): string => `${value.toFixed(1)} ms`;
  switch (event.stage) {
    case "answered": {
      const items = event.items.map(({ type, bytes }) => `${type} ${readableSize(bytes)}`).join(" + ");
      const reason = event.reason === null ? "" : ` (${event.reason})`;
      return [...about, items || "no items", `${event.outcome}${reason}`, ms(event.tookMs)].join("  ");
    }
    case "forwarding":
      return [...about, `attempt ${event.attempt}`, `after ${ms(event.waitedMs)}`].join("  ");
    case "forwarded": {
      const status = event.status === null ? "" : ` ${event.status}`;
      const end = event.isRetried ? "again later" : event.message ?? "";
      return [...about, `${event.outcome}${status}`, ms(event.tookMs), end].join("  ").trimEnd();
    }
  }
}
