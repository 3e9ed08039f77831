/** What a configuration is read from, handed in so that tests and `config check` need no real process. */

/** The outside world as far as configuration depends on it. */
export interface ConfigSources {
  /** Value of an environment variable. */
  env(name: string): string | undefined;
  /**
   * Text of a file.
   *
   * @throws {Deno.errors.NotFound} there is no such file
   */
  readText(path: string): string;
  /** Processors, for `lanes: auto`. */
  readonly cores: number;
  /** True when standard error is a terminal, for `logging.format: auto`. */
  readonly isTerminal: boolean;
  /** True inside a Docker container, where the default of `relay.host` is `0.0.0.0`. */
  readonly isContainer: boolean;
}

/** The process itself. */
export function processSources(): ConfigSources {
  return {
    env: (name) => Deno.env.get(name),
    readText: (path) => Deno.readTextFileSync(path),
    cores: navigator.hardwareConcurrency,
    isTerminal: Deno.stderr.isTerminal(),
    isContainer: isContainer(),
  };
}

/** Relay's rule, control reference, section 2, `relay.host`. What may not be looked at counts as absent. */
function isContainer(): boolean {
  try {
    Deno.lstatSync("/.dockerenv");
    return true;
  } catch {
    try {
      return Deno.readTextFileSync("/proc/self/cgroup").includes("/docker");
    } catch {
      return false;
    }
  }
}
