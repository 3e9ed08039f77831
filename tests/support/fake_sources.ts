import type { ConfigSources } from "../../src/config/config_sources.ts";

/** Configuration sources that hold what a test puts there. */
export function fakeSources(
  o: {
    files?: Readonly<Record<string, string>>;
    env?: Readonly<Record<string, string>>;
    cores?: number;
    isTerminal?: boolean;
    isContainer?: boolean;
  } = {},
): ConfigSources {
  const { files = {}, env = {}, cores = 8, isTerminal = false, isContainer = false } = o;
  return {
    env: (name) => env[name],
    readText(path) {
      const text = files[path];
      if (text === undefined) throw new Deno.errors.NotFound(path);
      return text;
    },
    cores,
    isTerminal,
    isContainer,
  };
}
