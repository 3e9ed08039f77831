import { ConfigError, type Problem } from "../config/config_error.ts";
import type { ConfigSources } from "../config/config_sources.ts";
import { loadConfig, type LoadedConfig } from "../config/load_config.ts";
import { readStaticProjects } from "../projects/static_projects.ts";
import { checkRunnable } from "../config/check_runnable.ts";
import { type Command, EXIT, type System } from "./command.ts";
import { machineChecks } from "./machine_checks.ts";
import { runChecks } from "./online_check.ts";
import { alignedRows, printable } from "./readable.ts";

/** Looks at what other rooms read from the configuration folder; says what is wrong with it. */
export type ConfigCheck = (
  loaded: LoadedConfig,
  sources: ConfigSources,
) => readonly Problem[] | Promise<readonly Problem[]>;

/** Everything that is checked once `config.yml` itself is valid. */
const CHECKS: readonly ConfigCheck[] = [
  checkRunnable,
  ({ configDir }, sources) => readStaticProjects(`${configDir}/projects`, sources).problems,
];

/** `landfall config check` */
export const configCheckCommand: Command = {
  name: "config check",
  about: "Validate all configuration files",
  details:
    "Prints OK, or what is wrong and where, and exits with 78; nothing is started. With --online it exits with 1\n" +
    "when a name, a connection, the spool's folder or a port is not what the configuration needs.",
  flags: {
    online: { about: "Look at upstreams, spool and ports as well; registers and changes nothing" },
  },
  async run({ configDir, flags }, system) {
    const { sources, out, err } = system;
    const loaded = loadConfig({ dir: configDir, sources });
    const problems = await Promise.all(CHECKS.map((check) => check(loaded, sources)));
    if (problems.flat().length > 0) throw new ConfigError(problems.flat());
    for (const warning of loaded.warnings) err(`landfall: warning: ${warning}\n`);
    const isGood = !flags.has("online") || await checkOnline(loaded, system);
    if (isGood) out(`OK: ${loaded.configDir}\n`);
    return isGood ? EXIT.ok : EXIT.failure;
  },
};

async function checkOnline(loaded: LoadedConfig, system: System): Promise<boolean> {
  // Loaded only now, so that a plain check starts without the modules of the upstream.
  const { upstreamChecks } = await import("./upstream_checks.ts");
  const checks = [...await upstreamChecks(loaded, system), ...machineChecks(loaded.config, system)];
  const results = await runChecks(checks, system.clock);
  system.out(alignedRows(results.map(({ name, result, detail }) => [result, name, printable(detail)])));
  return results.every(({ result }) => result === "ok");
}
