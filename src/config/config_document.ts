/**
 * One configuration file, with a way back from every value to its line and column.
 *
 * JSON is read with the same YAML parser (YAML 1.2 holds JSON), so that `credentials.json` and `projects/<id>.json`
 * get the same errors and the same substitution as `config.yml`.
 */
import {
  type Document,
  isAlias,
  isCollection,
  isMap,
  isPair,
  isScalar,
  LineCounter,
  parseDocument,
  visit,
} from "yaml";
import { ConfigError, type Place, type Problem } from "./config_error.ts";
import { type ConfigSources, processSources } from "./config_sources.ts";
import { readPlain, substitute, SubstitutionError } from "./substitute.ts";

/** A parsed file. */
export interface ConfigDocument {
  readonly file: string;
  /** Plain data; `undefined` never occurs, an empty file is null. */
  readonly value: unknown;
  /**
   * Place of a value, or of its key; of the nearest part that exists when the path leads on from there.
   *
   * @param path e.g. `["http", "timeout"]`
   */
  locate(path: readonly PropertyKey[], at?: "key" | "value"): Place;
}

/**
 * Reads a YAML or JSON file and replaces `${NAME}` and `${file:path}` in it.
 *
 * @returns null when there is no such file
 * @throws {ConfigError} unreadable, not YAML, or a reference that leads nowhere
 */
export function readDocument(file: string, sources: ConfigSources = processSources()): ConfigDocument | null {
  let text: string;
  try {
    text = sources.readText(file);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    const rule = `cannot be read: ${error instanceof Error ? error.message : error}`;
    throw new ConfigError([{
      origin: { kind: "file", place: { file, line: 1, column: 1 } },
      key: null,
      rule,
    }]);
  }
  return readDocumentText(file, text, sources);
}

/** As {@link readDocument}, for text that was read already. */
export function readDocumentText(file: string, text: string, sources: ConfigSources): ConfigDocument {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, logLevel: "error" });
  const placeAt = (offset: number): Place => {
    const { line, col } = lines.linePos(offset);
    return { file, line: Math.max(line, 1), column: Math.max(col, 1) };
  };
  const problemAt = (offset: number, rule: string): Problem => ({
    origin: { kind: "file", place: placeAt(offset) },
    key: null,
    rule,
  });
  const problems = [...document.errors, ...document.warnings].map((e) => problemAt(e.pos[0], e.message));
  if (problems.length === 0) problems.push(...replaceReferences(document, file, sources, problemAt));
  if (problems.length > 0) throw new ConfigError(problems);
  return {
    file,
    value: valueOf(document, problemAt),
    locate: (path, at = "value") => placeAt(offsetOf(document, path, at)),
  };
}

/** Aliases are resolved only here, and one may lead nowhere or to far too much. */
function valueOf(document: Document.Parsed, problemAt: (offset: number, rule: string) => Problem): unknown {
  try {
    return document.toJS() ?? null;
  } catch (error) {
    if (!(error instanceof ReferenceError)) throw error;
    throw new ConfigError([problemAt(0, error.message)]);
  }
}

function replaceReferences(
  document: Document.Parsed,
  file: string,
  sources: ConfigSources,
  problemAt: (offset: number, rule: string) => Problem,
): Problem[] {
  const folder = file.includes("/") ? file.slice(0, file.lastIndexOf("/")) || "/" : ".";
  const problems: Problem[] = [];
  visit(document, {
    Scalar(key, scalar) {
      if (key === "key" || typeof scalar.value !== "string" || !scalar.value.includes("${")) return;
      try {
        const text = substitute(scalar.value, folder, sources);
        scalar.value = scalar.type === "PLAIN" ? readPlain(text) : text;
      } catch (error) {
        if (!(error instanceof SubstitutionError)) throw error;
        problems.push(problemAt(scalar.range?.[0] ?? 0, error.message));
      }
    },
  });
  return problems;
}

function offsetOf(document: Document.Parsed, path: readonly PropertyKey[], at: "key" | "value"): number {
  let node: unknown = document.contents;
  let offset = startOf(node) ?? 0;
  for (const [depth, segment] of path.entries()) {
    const collection = isAlias(node) ? node.resolve(document) : node;
    if (!isCollection(collection)) break;
    const pair = isMap(collection)
      ? collection.items.find((item) =>
        String(isScalar(item.key) ? item.key.value : item.key) === String(segment)
      )
      : collection.items[Number(segment)];
    if (pair === undefined) break;
    const last = depth === path.length - 1;
    node = isPair(pair) && (at === "value" || !last) ? pair.value : isPair(pair) ? pair.key : pair;
    offset = startOf(node) ?? (isPair(pair) ? startOf(pair.key) : undefined) ?? offset;
  }
  return offset;
}

function startOf(node: unknown): number | undefined {
  const range = (node as { range?: readonly number[] | null } | null | undefined)?.range;
  return range?.[0];
}
