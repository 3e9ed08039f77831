/**
 * Project states from files: `projects/<project id>.json` in the configuration folder.
 *
 * Source: control reference, section 4 ("Static project files"). Unlike Relay's, one bad file does not spoil the others:
 * its problems are reported, and whoever reloads keeps the states that file gave before.
 */
import { type ConfigDocument, readDocument } from "../config/config_document.ts";
import { ConfigError, type Problem } from "../config/config_error.ts";
import type { ConfigSources } from "../config/config_sources.ts";
import { documentProblems } from "../config/validate.ts";
import { type ProjectOverride, projectOverride } from "./project_override.ts";
import { projectDocument, type ProjectState, projectStates } from "./project_state.ts";

/** A key of a file: its state by the file alone, and what of it the file says. */
export type FileEntry = readonly [key: string, state: ProjectState, override: ProjectOverride];
type Entries = readonly FileEntry[];

/** States of one reading of the folder. */
export interface StaticProjects {
  /** By file name; a file that could not be used is absent. */
  readonly files: ReadonlyMap<string, Entries>;
  readonly problems: readonly Problem[];
}

/** Reads the folder; a folder that does not exist holds no projects. */
export function readStaticProjects(folder: string, sources: ConfigSources): StaticProjects {
  const files = new Map<string, Entries>();
  const problems: Problem[] = [];
  for (const name of projectFiles(folder)) {
    const result = readProjectFile(`${folder}/${name}`, name.slice(0, -".json".length), sources);
    if (result instanceof ConfigError) problems.push(...result.problems);
    else files.set(name, result);
  }
  return { files, problems };
}

/** What a reload leaves in force: the new states, and the old ones of files that have become unusable. */
export function reloadedStates(
  before: ReadonlyMap<string, Entries>,
  after: StaticProjects,
): ReadonlyMap<string, Entries> {
  const broken = new Set(after.problems.map(({ origin }) => origin.kind === "file" ? origin.place.file : ""));
  const kept = [...before].filter(([name]) => [...broken].some((file) => file.endsWith(`/${name}`)));
  return new Map([...kept, ...after.files]);
}

function projectFiles(folder: string): string[] {
  try {
    return [...Deno.readDirSync(folder)]
      .filter(({ name }) => name.endsWith(".json") && !name.startsWith("."))
      .map(({ name }) => name)
      .sort();
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
}

function readProjectFile(path: string, projectId: string, sources: ConfigSources): Entries | ConfigError {
  let document: ConfigDocument | null;
  try {
    document = readDocument(path, sources);
  } catch (error) {
    if (error instanceof ConfigError) return error;
    throw error;
  }
  if (document === null) return [];
  if (!/^\d+$/.test(projectId)) {
    const origin = { kind: "file", place: document.locate([]) } as const;
    return new ConfigError([{
      origin,
      key: null,
      rule: "the file must be named after its project id: <number>.json",
    }]);
  }
  const result = projectDocument.safeParse(document.value);
  if (!result.success) return new ConfigError(documentProblems(result.error, document));
  const override = projectOverride(document.value, result.data, projectId);
  return projectStates(result.data, projectId).map(([key, state]) => [key, state, override]);
}
