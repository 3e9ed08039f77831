import { ConfigError, type Problem } from "../config/config_error.ts";
import type { ConfigSources } from "../config/config_sources.ts";
import { loadConfig, type LoadedConfig } from "../config/load_config.ts";
import { readStaticProjects } from "../projects/static_projects.ts";
import { checkRunnable } from "../config/check_runnable.ts";
import { type Command, EXIT } from "./command.ts";

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
  details: "Prints OK, or what is wrong and where; nothing is started and no connection is made.",
  async run({ configDir }, { sources, out, err }) {
    const loaded = loadConfig({ dir: configDir, sources });
    const problems = await Promise.all(CHECKS.map((check) => check(loaded, sources)));
    if (problems.flat().length > 0) throw new ConfigError(problems.flat());
    for (const warning of loaded.warnings) err(`landfall: warning: ${warning}\n`);
    out(`OK: ${loaded.configDir}\n`);
    return EXIT.ok;
  },
};
