/** The list of keys as people read it: the README's table and the commented file that `config init` writes. */
import { CONFIG_KEYS } from "./config.ts";
import type { ConfigKey } from "./config_field.ts";
import { variablesOf } from "./environment.ts";

const COMMENT_CHARS_MAX = 100;
/** What needs no quotes in YAML. */
const PLAIN = /^[a-z][\w./:-]*[\w/]$/i;

/** All keys as Markdown: a table of those with an effect, and a sentence that names the others. */
export function renderKeyTable(): string {
  const rows = effectiveKeys().map((key) =>
    `| \`${key.key}\` | ${defaultCell(key)} | ${key.form} | ${effectCell(key)} | ${key.about} | ${
      variablesOf(key.key).map((name) => `\`${name}\``).join(" ")
    } |`
  );
  const unused = CONFIG_KEYS.filter((key) => key.effect === "none").map((key) => `\`${key.key}\``);
  return [
    "| Key | Default | Value | Change | Meaning | Environment |",
    "|---|---|---|---|---|---|",
    ...rows,
    "",
    "A changed value counts as soon as the configuration is loaded again (`reload`) or when the node is started again " +
    "(`restart`, with what it is for which the value is taken up only then). A size is a number of bytes, or a number with `B`, `kB`, `KiB`, `MB`, `MiB`, " +
    "`GB` or `GiB`; a duration is a number of seconds, or a number with `ms`, `s`, `m`, `h` or `d`.",
    "",
    `Accepted for a Relay's configuration, without effect (a node that finds one warns): ${
      unused.join(", ")
    }.`,
    "",
  ].join("\n");
}

/**
 * A `config.yml` in which the given keys are set and all others stand as comments with meaning and default.
 *
 * @param values dotted key to value
 */
export function renderConfigFile(values: ReadonlyMap<string, string>): string {
  const lines = ["# Configuration of a Landfall node. What is commented out shows the default.", ""];
  let open: readonly string[] = [];
  for (const key of effectiveKeys()) {
    const sections = key.path.slice(0, -1);
    const set = key.path.length === 1 || sections.join(".") === open.join(".");
    if (!set) {
      if (sections[0] !== open[0]) lines.push("");
      for (let depth = sharedDepth(open, sections); depth < sections.length; depth++) {
        lines.push(`${"  ".repeat(depth)}${sections[depth]}:`);
      }
      open = sections;
    }
    const indent = "  ".repeat(sections.length);
    lines.push(...wrap(key.about).map((line) => `${indent}# ${line}`));
    lines.push(`${indent}${assignment(key, values.get(key.key))}`);
  }
  return `${lines.join("\n")}\n`;
}

/** Top-level keys first, because in YAML they would otherwise have to stand between sections. */
function effectiveKeys(): ConfigKey[] {
  const keys = CONFIG_KEYS.filter((key) => key.effect !== "none");
  return [...keys.filter((key) => key.path.length === 1), ...keys.filter((key) => key.path.length > 1)];
}

function assignment(key: ConfigKey, value: string | undefined): string {
  const name = key.path.at(-1);
  if (value !== undefined) return `${name}: ${PLAIN.test(value) ? value : JSON.stringify(value)}`;
  return key.derived
    ? `# ${name}: (${plainText(String(key.default))})`
    : `# ${name}: ${JSON.stringify(key.default)}`;
}

function effectCell({ effect, because }: ConfigKey): string {
  return because === "" ? effect : `${effect}: ${because}`;
}

function defaultCell(key: ConfigKey): string {
  if (key.derived) return String(key.default);
  if (key.default === null) return "none";
  const values = Array.isArray(key.default) ? key.default : [key.default];
  return values.map((value) => `\`${typeof value === "object" ? JSON.stringify(value) : value}\``).join(" ");
}

function plainText(markdown: string): string {
  return markdown.replaceAll("`", "");
}

function sharedDepth(a: readonly string[], b: readonly string[]): number {
  let depth = 0;
  while (depth < a.length && a[depth] === b[depth]) depth++;
  return depth;
}

function wrap(text: string): string[] {
  const lines: string[] = [];
  for (const word of plainText(text).split(" ")) {
    const last = lines.at(-1);
    if (last !== undefined && last.length + word.length < COMMENT_CHARS_MAX) {
      lines[lines.length - 1] = `${last} ${word}`;
    } else lines.push(word);
  }
  return lines;
}
