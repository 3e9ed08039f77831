import type { Config } from "../config/config.ts";
import { loadConfig } from "../config/load_config.ts";
import { type Command, EXIT, type Invocation, type System, UsageError } from "./command.ts";
import { ALERT_RULES } from "./print/alert_rules.ts";
import { bashCompletions } from "./print/bash_completions.ts";
import { grafanaDashboard } from "./print/grafana_dashboard.ts";
import { kubernetesManifests } from "./print/kubernetes_manifests.ts";
import { manPage } from "./print/man_page.ts";
import { systemdUnit } from "./print/systemd_unit.ts";
import { alignedRows } from "./readable.ts";

/** A file the program prints, so that it always fits the version. */
export interface PrintedAsset {
  readonly name: string;
  readonly about: string;
  render(node: PrintedNode): string;
}

/** The node a file is printed for. */
export interface PrintedNode {
  /** Folder of its configuration. */
  readonly configDir: string;
  /** All commands of the program. */
  readonly commands: readonly Command[];
  /**
   * Its configuration, read only by those files that depend on it.
   *
   * @throws {ConfigError}
   */
  config(): Config;
}

/** Where a node is expected to have its configuration and its spool, unless a folder is named. */
const USUAL_PLACES = { configDir: "/etc/landfall", spool: "/var/lib/landfall/spool" } as const;

/** Everything `landfall print` can print. */
export const PRINTED_ASSETS: readonly PrintedAsset[] = [
  { name: "grafana", about: "Dashboard for Grafana 10 and later, to be imported", render: grafanaDashboard },
  { name: "alerts", about: "Alert rules for Prometheus", render: () => ALERT_RULES },
  { name: "systemd", about: "Hardened unit for a virtual machine", render: systemdUnit },
  { name: "kubernetes", about: "Manifests for the cluster of a region", render: kubernetesManifests },
  { name: "man", about: "Manual page", render: ({ commands }) => manPage(commands) },
  { name: "completions", about: "Completions for bash", render: ({ commands }) => bashCompletions(commands) },
];

/** `landfall print`; `commands` gives all commands, among them this one. */
export function printCommand(commands: () => readonly Command[]): Command {
  return {
    name: "print",
    about: "Print a file for operating a node",
    details: `NAME is one of\n${
      alignedRows(PRINTED_ASSETS.map(({ name, about }) => [`  ${name}`, about]))
    }Ports, times and paths are those of the configuration named with -c, or the defaults.`,
    operands: "NAME",
    run(invocation, system) {
      const { operands } = invocation;
      const asset = PRINTED_ASSETS.find(({ name }) => name === operands[0]);
      if (asset === undefined || operands.length > 1) {
        throw new UsageError(`print takes one of ${PRINTED_ASSETS.map(({ name }) => name).join(", ")}`);
      }
      system.out(asset.render({ commands: commands(), ...nodeOf(invocation, system) }));
      return EXIT.ok;
    },
  };
}

function nodeOf({ configDir }: Invocation, { sources }: System): Omit<PrintedNode, "commands"> {
  if (configDir !== undefined) {
    return {
      configDir,
      config: () => loadConfig({ dir: configDir, sources }).config,
    };
  }
  const nothing = {
    ...sources,
    env: () => undefined,
    readText(path: string): string {
      throw new Deno.errors.NotFound(path);
    },
  };
  const origin = { kind: "flag", name: "config" } as const;
  const settings = [{ key: "spool.envelopes.path", value: USUAL_PLACES.spool, origin }];
  return {
    configDir: USUAL_PLACES.configDir,
    config: () => loadConfig({ settings, sources: nothing }).config,
  };
}
