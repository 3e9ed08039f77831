import type { NodeStatus } from "../admin/node_status.ts";
import { loadConfig } from "../config/load_config.ts";
import { getAdmin } from "./admin_request.ts";
import { type Command, EXIT } from "./command.ts";
import { statusScreen } from "./status_screen.ts";

const COLUMNS = 100;

/** `landfall status` */
export const statusCommand: Command = {
  name: "status",
  about: "Show a running node at a glance",
  details: "Asks the admin listener of the configuration. Exits with 0 when the node is ready, else with 1.",
  flags: { json: { about: "Print what /status.json says" } },
  async run({ configDir, flags }, { sources, out }) {
    const { config } = loadConfig({ dir: configDir, sources });
    const status = await getAdmin(config, "/status.json") as NodeStatus;
    if (flags.has("json")) out(`${JSON.stringify(status, null, 2)}\n`);
    else out(`${statusScreen(status, COLUMNS).join("\n").trimEnd()}\n`);
    return status.phase === "ready" ? EXIT.ok : EXIT.failure;
  },
};
