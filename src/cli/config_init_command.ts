import { ConfigError, type Problem } from "../config/config_error.ts";
import { credentialsPath, generateCredentials, renderCredentials } from "../config/credentials_file.ts";
import { renderConfigFile } from "../config/key_table.ts";
import { DEFAULT_CONFIG_DIR, loadConfig } from "../config/load_config.ts";
import { renderEditorSchema } from "./config_schema_command.ts";
import { type Command, EXIT, type Invocation, type System } from "./command.ts";

/** Schema of the file, in the same folder. */
const SCHEMA_FILE = "config.schema.json";

/** `landfall config init` */
export const configInitCommand: Command = {
  name: "config init",
  about: "Write a commented config.yml, and an identity for mode managed",
  details: "Asks nothing and never overwrites. Beside the file goes the schema by which editors complete it.",
  flags: {
    mode: { value: "MODE", about: "proxy (the default), static or managed" },
    upstream: {
      short: "u",
      value: "URL",
      about: "Where envelopes are forwarded to (default https://sentry.io/)",
    },
  },
  run({ configDir, flags }: Invocation, system: System) {
    const values = new Map([
      ["relay.mode", flags.get("mode") ?? "proxy"],
      ["relay.upstream", flags.get("upstream") ?? "https://sentry.io/"],
    ]);
    const file = `${configDir ?? DEFAULT_CONFIG_DIR}/config.yml`;
    const text = `# yaml-language-server: $schema=${SCHEMA_FILE}\n${renderConfigFile(values)}`;
    const mode = checkFlags(values, file, text, system);
    try {
      system.writeNew(file, text);
    } catch (error) {
      if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
      throw new Error(`${file} exists already and was left alone`);
    }
    system.out(`Wrote ${file}\n`);
    const folder = file.slice(0, file.lastIndexOf("/"));
    writeUnlessThere(`${folder}/${SCHEMA_FILE}`, renderEditorSchema(), system);
    if (mode === "managed") createIdentity(folder, system);
    return EXIT.ok;
  },
};

/** Leaves an identity alone that is there. */
function createIdentity(dir: string, system: System): void {
  const path = credentialsPath(dir);
  const credentials = generateCredentials();
  if (writeUnlessThere(path, renderCredentials(credentials), system)) {
    system.out(`Wrote ${path}, public key ${credentials.publicKey}\n`);
  }
}

function writeUnlessThere(path: string, text: string, system: System): boolean {
  try {
    system.writeNew(path, text);
    return true;
  } catch (error) {
    if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
    return false;
  }
}

/** Loads what is about to be written, so that a wrong flag is refused by the rule that would refuse the file. */
function checkFlags(values: ReadonlyMap<string, string>, file: string, text: string, system: System): string {
  const sources = {
    ...system.sources,
    env: () => undefined,
    readText(path: string): string {
      if (path === file) return text;
      throw new Deno.errors.NotFound();
    },
  };
  try {
    return loadConfig({ dir: file.slice(0, file.lastIndexOf("/")), sources }).config.relay.mode;
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    throw new ConfigError(error.problems.map((problem): Problem => {
      const flag = problem.key !== null && values.has(problem.key) ? problem.key.split(".")[1] : undefined;
      return flag === undefined ? problem : { ...problem, origin: { kind: "flag", name: flag } };
    }));
  }
}
