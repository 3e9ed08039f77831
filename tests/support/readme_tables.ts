/**
 * The tables of the README that are made from the program: configuration keys and metrics. Run as a program it writes
 * them (`deno task readme`); `tests/tidy_test.ts` compares.
 */
import { renderKeyTable } from "../../src/config/key_table.ts";
import { METRIC_LAYOUT } from "../../src/telemetry/catalogue.ts";

const README = new URL("../../README.md", import.meta.url);

function metricTable(): string {
  const rows = METRIC_LAYOUT.specs.map(({ name, kind, labels, help }) =>
    `| \`${name}\` | ${kind} | ${Object.keys(labels).map((label) => `\`${label}\``).join(", ")} | ${help} |`
  );
  return ["| Metric | Kind | Labels | Meaning |", "|---|---|---|---|", ...rows].join("\n");
}

const TABLES: Readonly<Record<string, () => string>> = { config: renderKeyTable, metrics: metricTable };

/** The README with its tables as the program has them now. */
export function withTables(readme: string): string {
  return Object.entries(TABLES).reduce((text, [name, render]) => {
    const between = new RegExp(`(<!-- ${name} table: begin -->)[^]*(<!-- ${name} table: end -->)`);
    return text.replace(between, (_, begin, end) => `${begin}\n\n${render().trim()}\n\n${end}`);
  }, readme);
}

/** The README as it is on disk. */
export function readReadme(): Promise<string> {
  return Deno.readTextFile(README);
}

if (import.meta.main) await Deno.writeTextFile(README, withTables(await readReadme()));
