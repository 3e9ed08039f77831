/** The commands of the group `config` that talk to the running node. */
import { loadConfig } from "../config/load_config.ts";
import { getAdmin, postAdmin } from "./admin_request.ts";
import { type Command, EXIT, type Invocation, type System } from "./command.ts";
import { printable } from "./readable.ts";

interface Outcome {
  readonly changed: readonly Change[];
  readonly restart: readonly Change[];
}

interface Change {
  readonly key: string;
  readonly from: unknown;
  readonly to: unknown;
  readonly origin: string;
}

/** `landfall config diff` */
export const configDiffCommand: Command = {
  name: "config diff",
  about: "Show what differs between the files and what the running node goes by",
  details: "The node reads its files, and changes nothing. Exits with 1 when they are wrong.",
  async run(invocation, system) {
    show(await getAdmin(configOf(invocation, system), "/config/diff") as Outcome, system);
    return EXIT.ok;
  },
};

/** `landfall config reload` */
export const configReloadCommand: Command = {
  name: "config reload",
  about: "Have the running node load its configuration again",
  details: "What is wrong changes nothing, and the command exits with 1. What needs a restart is named.",
  async run(invocation, system) {
    show(await postAdmin(configOf(invocation, system), "/config/reload") as unknown as Outcome, system);
    return EXIT.ok;
  },
};

function configOf({ configDir }: Invocation, { sources }: System) {
  return loadConfig({ dir: configDir, sources }).config;
}

function show({ changed, restart }: Outcome, { out }: System): void {
  if (changed.length + restart.length === 0) out("No difference\n");
  for (const change of changed) out(line(change, ""));
  for (const change of restart) out(line(change, "  (needs a restart)"));
}

function line({ key, from, to, origin }: Change, note: string): string {
  return `${printable(`${key}: ${JSON.stringify(from)} -> ${JSON.stringify(to)}  ${origin}`)}${note}\n`;
}
