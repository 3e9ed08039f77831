/**
 * House rules a machine can check: which room may import which, how large a file may be, that the pure rooms stay pure,
 * and that what operators see is documented.
 */
import { assertEquals } from "@std/assert";
import { readReadme, withTables } from "./support/readme_tables.ts";

const root = new URL("..", import.meta.url);

/** Rooms from the top of the house to the bottom; a file imports from rows above its own, or from its own room. */
const ROWS: readonly (readonly string[])[] = [
  ["core"],
  ["protocol"],
  ["config", "telemetry"],
  ["guard", "spool", "projects", "upstream", "outcomes"],
  ["listener", "admin", "control"],
  ["lane", "node.ts"],
  ["cli", "main.ts"],
];

const LINES_MAX = 400;

async function* sourceFiles(folder: string): AsyncGenerator<string> {
  for await (const entry of Deno.readDir(new URL(folder, root))) {
    const path = `${folder}${entry.name}`;
    if (entry.isDirectory) yield* sourceFiles(`${path}/`);
    else if (entry.name.endsWith(".ts")) yield path;
  }
}

async function everySource(): Promise<{ path: string; text: string }[]> {
  const paths = ["main.ts"];
  for await (const path of sourceFiles("src/")) paths.push(path);
  return await Promise.all(
    paths.sort().map(async (path) => ({ path, text: await Deno.readTextFile(new URL(path, root)) })),
  );
}

const sources = await everySource();

const roomOf = (path: string): string => path.startsWith("src/") ? path.slice(4).split("/")[0]! : path;
const rowOf = (room: string): number => ROWS.findIndex((row) => row.includes(room));

function imports(path: string, text: string): string[] {
  const specifiers = [...text.matchAll(/^(?:import|export)\b[^;]*?\bfrom\s+"([^"]+)"/gm)].map((match) =>
    match[1]!
  );
  return specifiers.filter((specifier) => specifier.startsWith("."))
    .map((specifier) => new URL(specifier, new URL(path, root)).href.slice(root.href.length));
}

Deno.test("tidy: every source file stands in a room", () => {
  const strays = sources.filter(({ path }) => rowOf(roomOf(path)) < 0).map(({ path }) => path);
  assertEquals(strays, []);
});

Deno.test("tidy: imports point upwards only, and never to a neighbour of the same row", () => {
  const wrong: string[] = [];
  for (const { path, text } of sources) {
    for (const target of imports(path, text)) {
      const [from, to] = [roomOf(path), roomOf(target)];
      const neighbours = from !== to && rowOf(from) === rowOf(to);
      const composing = from === "node.ts" && to === "lane" || from === "main.ts" && to === "cli";
      if (rowOf(to) > rowOf(from) || neighbours && !composing) wrong.push(`${path} -> ${target}`);
    }
  }
  assertEquals(wrong, []);
});

Deno.test("tidy: no source file is longer than a reader's patience", () => {
  const long = sources.map(({ path, text }) => ({ path, lines: text.split("\n").length - 1 }))
    .filter(({ lines }) => lines > LINES_MAX);
  assertEquals(long, []);
});

Deno.test("tidy: core and protocol know neither time nor the outside world", () => {
  const impure = /\b(Deno\.|Date\.now|new Date\(\)|performance\.|setTimeout|setInterval|fetch\(|console\.)/;
  const wrong = sources.filter(({ path }) => ["core", "protocol"].includes(roomOf(path)))
    .filter(({ path, text }) => path !== "src/core/clock.ts" && impure.test(withoutComments(text)))
    .map(({ path }) => path);
  assertEquals(wrong, []);
});

Deno.test("tidy: time is injected everywhere but in the clock itself", () => {
  const wrong = sources
    .filter(({ path, text }) =>
      path !== "src/core/clock.ts" &&
      /\b(Date\.now\(|setTimeout\(|performance\.now\()/.test(withoutComments(text))
    )
    .map(({ path }) => path)
    .filter((path) => !ALLOWED_REAL_TIME.has(path));
  assertEquals(wrong, []);
});

/** Files that may touch real time, with the reason. */
const ALLOWED_REAL_TIME: ReadonlySet<string> = new Set([
  "src/admin/status_page_script.ts", // the page's own script, which runs in a browser
]);

Deno.test("tidy: whatever a file exports is documented", () => {
  const bare: string[] = [];
  for (const { path, text } of sources) {
    const lines = text.split("\n");
    for (const [index, line] of lines.entries()) {
      const name = /^export (?:abstract |async )*(?:class|function\*?|const|interface|type|let) (\w+)/.exec(
        line,
      )?.[1];
      const above = lines[index - 1] ?? "";
      if (name && !above.endsWith("*/") && !isOverload(lines, index, name)) {
        bare.push(`${path}:${index + 1} ${name}`);
      }
    }
  }
  assertEquals(bare, []);
});

/** Further signatures of a function share the documentation of the first. */
function isOverload(lines: readonly string[], index: number, name: string): boolean {
  return lines.slice(0, index).some((line) => line.startsWith(`export function ${name}(`));
}

Deno.test("tidy: nothing is left to do", () => {
  const wrong = sources.filter(({ text }) => /\b(TODO|FIXME|XXX|HACK)\b/.test(text)).map(({ path }) => path);
  assertEquals(wrong, []);
});

Deno.test("tidy: the README's tables of keys and metrics are what the program has (deno task readme)", async () => {
  const readme = await readReadme();
  assertEquals(squeezed(readme), squeezed(withTables(readme)));
});

/** Without what the formatter decides: padding of tables and line breaks. */
function squeezed(markdown: string): string {
  return markdown.replace(/-{3,}/g, "---").replace(/\s+/g, " ").replaceAll("| ---", "|---").replaceAll(
    "--- |",
    "---|",
  );
}

function withoutComments(text: string): string {
  return text.replace(/\/\*[\s\S]*?\*\//g, "").replace(/^\s*\/\/.*$/gm, "");
}
