import { stringify } from "yaml";
import { describeOrigin } from "../config/config_error.ts";
import { type EffectiveValue, loadConfig, type LoadedConfig } from "../config/load_config.ts";
import { redact, REDACTED } from "../config/redact.ts";
import { putAt, type Tree } from "../config/tree.ts";
import { type Command, EXIT, UsageError } from "./command.ts";

/** `landfall config show` */
export const configShowCommand: Command = {
  name: "config show",
  about: "Show the configuration in force, without secrets",
  flags: {
    format: { short: "f", value: "FORMAT", about: "yaml (the default) or json" },
    origin: { about: "Say for every key where its value comes from" },
  },
  run({ configDir, flags }, { sources, out }) {
    const format = flags.get("format") ?? "yaml";
    if (format !== "yaml" && format !== "json") throw new UsageError("--format must be yaml or json");
    const loaded = loadConfig({ dir: configDir, sources });
    const withOrigin = flags.has("origin");
    out(format === "json" ? renderJson(loaded, withOrigin) : renderYaml(loaded, withOrigin));
    return EXIT.ok;
  },
};

/** Keys that do something, and those without effect that somebody has set. */
function shownValues({ effective }: LoadedConfig): EffectiveValue[] {
  return effective.filter(({ key, origin }) => key.effect !== "none" || origin.kind !== "default");
}

/** Another system's sections may hold any secret under any name. */
function shown({ key, value }: EffectiveValue): unknown {
  return redact(value, key.secret || key.form === "any");
}

function renderYaml(loaded: LoadedConfig, withOrigin: boolean): string {
  if (!withOrigin) return stringify(nested(loaded), { lineWidth: 0 });
  const lines = shownValues(loaded).map((entry) =>
    `${entry.key.key}: ${JSON.stringify(shown(entry))} # ${describeOrigin(entry.origin)}\n`
  );
  return lines.join("");
}

function renderJson(loaded: LoadedConfig, withOrigin: boolean): string {
  const value = withOrigin
    ? Object.fromEntries(
      shownValues(loaded).map((entry) => [
        entry.key.key,
        { value: shown(entry), origin: describeOrigin(entry.origin) },
      ]),
    )
    : nested(loaded);
  return `${JSON.stringify(value, null, 2)}\n`;
}

function nested(loaded: LoadedConfig): Tree {
  const tree: Tree = {};
  for (const entry of shownValues(loaded)) putAt(tree, entry.key.path, shown(entry));
  if (loaded.credentials) {
    const { id, publicKey } = loaded.credentials;
    tree.credentials = { id, public_key: publicKey, secret_key: REDACTED };
  }
  return tree;
}
