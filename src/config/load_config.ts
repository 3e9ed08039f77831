/**
 * Loads a configuration: defaults < `config.yml` < environment < flags (control reference, section 2).
 *
 * Settings from outside the file are put into the file's tree as the text they are, and the whole is validated once;
 * beside the tree stands a map of where each of them came from, so that an error in an environment variable names the
 * variable and `config show --origin` can tell.
 */
import { checkUpstreams } from "./check_upstreams.ts";
import { type Config, CONFIG_KEYS, configSchema } from "./config.ts";
import { ConfigError, type Origin, type Problem } from "./config_error.ts";
import { type ConfigDocument, readDocument } from "./config_document.ts";
import { type ConfigKey, sectionsIn } from "./config_field.ts";
import { type ConfigSources, processSources } from "./config_sources.ts";
import { derivedDefaults } from "./derived_defaults.ts";
import { environmentSettings, type Setting } from "./environment.ts";
import { loadCredentials } from "./load_credentials.ts";
import type { Credentials } from "./schema/credentials.ts";
import { showValue } from "./redact.ts";
import { selfReportTarget } from "./self_report_target.ts";
import { isTree, putAt, type Tree, valueAt } from "./tree.ts";
import { validate } from "./validate.ts";
import { WatchedSources } from "./watched_sources.ts";

/** Folder used when none was named. */
export const DEFAULT_CONFIG_DIR = ".landfall";

/** What to load. */
export interface LoadOptions {
  /** Folder named by the operator, whose `config.yml` must exist. Without it {@link DEFAULT_CONFIG_DIR} may be empty. */
  readonly dir?: string | undefined;
  /** Settings that win over file and environment, in order. */
  readonly settings?: readonly Setting[];
  readonly sources?: ConfigSources;
}

/** A value in force, as it would be written in the file. */
export interface EffectiveValue {
  readonly key: ConfigKey;
  readonly value: unknown;
  readonly origin: Origin;
}

/** A valid configuration and where it came from. */
export interface LoadedConfig {
  readonly config: Config;
  readonly credentials: Credentials | null;
  /** Folder of `config.yml`, `credentials.json` and `projects/`, without a slash at its end. */
  readonly configDir: string;
  /** Every key in the order of its declaration. */
  readonly effective: readonly EffectiveValue[];
  /** Whole sentences for the log. */
  readonly warnings: readonly string[];
  /**
   * Loads the same files and settings once more.
   *
   * @throws {ConfigError} with everything that is wrong
   */
  reload(): LoadedConfig;
  /** Texts of all files that the last load, also a failed one, asked for, as they are now; to be compared. */
  fingerprint(): string;
}

/**
 * Loads and validates the configuration.
 *
 * @throws {ConfigError} with everything that is wrong
 */
export function loadConfig(options: LoadOptions = {}): LoadedConfig {
  const sources = WatchedSources.anew(options.sources ?? processSources());
  const dir = (options.dir ?? DEFAULT_CONFIG_DIR).replace(/(?<=.)\/+$/, "");
  const document = readConfigFile(`${dir}/config.yml`, options.dir !== undefined, sources);
  const environment = environmentSettings(sources);
  const settings = [...environment.settings, ...options.settings ?? []];

  const tree = plainTree(document);
  const origins = new Map<string, Origin>();
  const problems: Problem[] = [];
  for (const { key, value, origin, rule } of settings) {
    if (rule !== undefined) {
      problems.push({ origin, key, rule, received: showValue(value) });
      continue;
    }
    putAt(tree, key.split("."), value);
    origins.set(key, origin);
  }
  delete tree.credentials;
  for (const [key, value] of derivedDefaults(tree, dir, sources)) putAt(tree, key.split("."), value);

  const originOf = originFinder(document, origins);
  const result = validate(tree, { schema: configSchema, prefix: "", originOf });
  const credentials = loadCredentials(dir, settings, sources);
  problems.push(..."problems" in result ? result.problems : [], ...credentials.problems);
  if ("value" in result) {
    for (const { path, rule, received } of checkUpstreams(result.value)) {
      const shown = received !== undefined && { received: showValue(received) };
      problems.push({ origin: originOf(path, "value"), key: path.join("."), rule, ...shown });
    }
  }
  if (document && isTree(document.value) && "credentials" in document.value) {
    problems.push(misplaced(document));
  }
  if (!("value" in result) || problems.length > 0) throw new ConfigError(problems);

  const effective = CONFIG_KEYS.map((key) => ({
    key,
    value: valueAt(tree, key.path) ?? key.default,
    origin: originOf(key.path, "value"),
  }));
  return {
    config: result.value,
    credentials: credentials.value,
    configDir: dir,
    effective,
    warnings: [...environment.warnings, ...unusedWarning(effective), ...selfReportWarning(result.value)],
    reload: () => loadConfig({ ...options, sources }),
    fingerprint: () => sources.fingerprint(),
  };
}

function readConfigFile(file: string, required: boolean, sources: ConfigSources): ConfigDocument | null {
  const document = readDocument(file, sources);
  if (document !== null || !required) return document;
  const origin: Origin = { kind: "file", place: { file, line: 1, column: 1 } };
  throw new ConfigError([{
    origin,
    key: null,
    rule: `does not exist; "landfall config init" writes one`,
  }]);
}

/** A copy of the file's mapping in which a section without keys is an empty one instead of null. */
function plainTree(document: ConfigDocument | null): Tree {
  if (document === null || document.value === null) return {};
  if (!isTree(document.value)) {
    const origin: Origin = { kind: "file", place: document.locate([]) };
    throw new ConfigError([{ origin, key: null, rule: "must be a mapping of sections" }]);
  }
  const tree = structuredClone(document.value);
  for (const path of sectionsIn(configSchema)) {
    if (valueAt(tree, path) === null) putAt(tree, path, {});
  }
  return tree;
}

function originFinder(document: ConfigDocument | null, origins: ReadonlyMap<string, Origin>) {
  return (path: readonly PropertyKey[], at: "key" | "value"): Origin => {
    for (let end = path.length; end > 0; end--) {
      const origin = origins.get(path.slice(0, end).join("."));
      if (origin) return origin;
    }
    if (document === null || valueAt(document.value, path) === undefined) return { kind: "default" };
    return { kind: "file", place: document.locate(path, at) };
  };
}

function misplaced(document: ConfigDocument): Problem {
  return {
    origin: { kind: "file", place: document.locate(["credentials"], "key") },
    key: "credentials",
    rule: "unknown key; credentials are kept in credentials.json",
  };
}

function selfReportWarning(config: Config): string[] {
  const target = selfReportTarget(config);
  return target.kind === "refused" ? [target.warning] : [];
}

function unusedWarning(effective: readonly EffectiveValue[]): string[] {
  const unused = effective.filter(({ key, origin }) => key.effect === "none" && origin.kind !== "default");
  if (unused.length === 0) return [];
  return [`These options are accepted but have no effect: ${unused.map(({ key }) => key.key).join(", ")}`];
}
