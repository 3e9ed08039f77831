import type { NodeStatus } from "../admin/node_status.ts";
import { loadConfig } from "../config/load_config.ts";
import { getAdmin } from "./admin_request.ts";
import { type Command, EXIT } from "./command.ts";
import { type StatusRates, statusScreen } from "./status_screen.ts";

const INTERVAL_MS = 1000;
const ENTER = "\x1b[?1049h\x1b[?25l";
const LEAVE = "\x1b[?25h\x1b[?1049l";
const HOME = "\x1b[H";
const TO_END_OF_LINE = "\x1b[K";
const TO_END_OF_SCREEN = "\x1b[J";

/** `landfall top` */
export const topCommand: Command = {
  name: "top",
  about: "Watch a running node in the terminal",
  details:
    "Looks once a second, until Ctrl-C; the terminal is left as it was. Fits into 80 columns and 24 lines.",
  async run({ configDir }, system) {
    const { config } = loadConfig({ dir: configDir, sources: system.sources });
    const { terminal, clock } = system;
    let last = { status: await getAdmin(config, "/status.json") as NodeStatus, atMs: clock.monotonic() };
    const stop = terminal.interrupted();
    system.out(ENTER);
    try {
      let lines = statusScreen(last.status, terminal.size().columns);
      while (!stop.aborted) {
        system.out(frame(lines, terminal.size()));
        await clock.sleep(INTERVAL_MS, stop);
        if (stop.aborted) break;
        const status = await getAdmin(config, "/status.json").catch((error: Error) => error);
        const atMs = clock.monotonic();
        if (status instanceof Error) {
          lines = ["No answer", status.message];
          continue;
        }
        const now = { status: status as NodeStatus, atMs };
        lines = statusScreen(now.status, terminal.size().columns, ratesOf(last, now));
        last = now;
      }
    } finally {
      system.out(LEAVE);
    }
    return EXIT.ok;
  },
};

function frame(lines: readonly string[], { columns, rows }: { columns: number; rows: number }): string {
  const shown = lines.slice(0, rows - 1).map((line) => `${line.slice(0, columns)}${TO_END_OF_LINE}\r\n`);
  return `${HOME}${shown.join("")}${TO_END_OF_SCREEN}`;
}

function ratesOf(
  before: { readonly status: NodeStatus; readonly atMs: number },
  now: { readonly status: NodeStatus; readonly atMs: number },
): StatusRates {
  const seconds = (now.atMs - before.atMs) / 1000;
  const rate = (read: (status: NodeStatus) => number): number =>
    Math.max(0, read(now.status) - read(before.status)) / seconds;
  return {
    requests: rate(({ requests }) => requests),
    refused: rate(({ refused }) => refused),
    delivered: rate(({ forward }) => forward.delivered),
  };
}
