/**
 * The projects of a node, from its files, as the snapshot that the lanes get.
 *
 * At the start a wrong file is an error. Later, when files are read again, it is reported once and what it said before
 * stays in force: a slip of the editor must not open or close a project.
 */
import type { Config } from "../config/config.ts";
import { readDocument } from "../config/config_document.ts";
import type { ConfigSources } from "../config/config_sources.ts";
import { ConfigError, describeProblem } from "../config/config_error.ts";
import type { LoadedConfig } from "../config/load_config.ts";
import { DEFAULT_GLOBAL_CONFIG, type GlobalConfig, readGlobalConfig } from "../projects/global_config.ts";
import type { ProjectChanges, ProjectSnapshot } from "../projects/project_table.ts";
import { overridden } from "../projects/project_override.ts";
import type { ProjectState } from "../projects/project_state.ts";
import {
  type FileEntry,
  readStaticProjects,
  reloadedStates,
  type StaticProjects,
} from "../projects/static_projects.ts";
import { METRICS } from "../telemetry/catalogue.ts";
import type { Metrics } from "../telemetry/registry.ts";
import { logger } from "../telemetry/log.ts";

const log = logger("projects");

/** What becomes of keys without a state. */
const UNKNOWN = { proxy: "forward", static: "refuse", managed: "wait" } as const;

/** States from elsewhere, over which those of files stand. */
export interface FetchedProjects {
  readonly states: ProjectSnapshot["states"];
  readonly staleKeys: readonly string[];
  readonly global: GlobalConfig;
  /** State of one key; null when it is not known. */
  stateOf(key: string): ProjectState | null;
  /** Whether it has to be asked for again when it is used. */
  isStale(key: string): boolean;
}

/** Keeper of the current snapshot. */
export class ProjectDirectory {
  readonly #metrics: Metrics;
  readonly #folder: string;
  readonly #sources: ConfigSources;
  readonly #unknown: ProjectSnapshot["unknown"];
  #overrideProjectIds = false;
  #intervalMs = 0;
  readonly #globalPath: string | null;
  #files: StaticProjects["files"] = new Map();
  #global: GlobalConfig = DEFAULT_GLOBAL_CONFIG;
  /** Of all files, by key. Of two files the later one counts. */
  #entries: ReadonlyMap<string, FileEntry> = new Map();
  #fingerprint = "";
  #reported = "";
  #nextReadMs = 0;

  /** Set in mode `managed`. */
  fetched: FetchedProjects | null = null;

  constructor({ config, configDir }: LoadedConfig, sources: ConfigSources, metrics: Metrics) {
    this.#metrics = metrics;
    this.#folder = `${configDir}/projects`;
    this.#globalPath = config.relay.mode === "managed" ? null : `${configDir}/global_config.json`;
    this.#sources = sources;
    this.#unknown = UNKNOWN[config.relay.mode];
    this.configure(config);
  }

  /** Takes over what may change; true when the snapshot is another one by that. The files are read again soon. */
  configure({ relay, cache }: Config): boolean {
    const isChanged = this.#overrideProjectIds !== relay.overrideProjectIds;
    this.#overrideProjectIds = relay.overrideProjectIds;
    this.#intervalMs = cache.fileInterval;
    this.#nextReadMs = 0;
    return isChanged;
  }

  /** What the lanes are to know. */
  get snapshot(): ProjectSnapshot {
    return this.#snapshotWith(this.#states, this.fetched?.staleKeys ?? []);
  }

  /** The same of some keys alone. */
  snapshotOf(keys: readonly string[]): ProjectSnapshot {
    const { fetched } = this;
    const stale = keys.filter((key) => fetched?.isStale(key));
    if (fetched) {
      return this.#snapshotWith(keys.flatMap((key) => this.#overlaid(key, fetched.stateOf(key))), stale);
    }
    const states = keys.flatMap((key): ProjectSnapshot["states"] => {
      const entry = this.#entries.get(key);
      return entry ? [[key, entry[1]]] : [];
    });
    return this.#snapshotWith(states, stale);
  }

  /** Id of the project whose file says something of the key; null when none does. */
  fileOf(key: string): string | null {
    return this.#entries.get(key)?.[2].projectId ?? null;
  }

  #snapshotWith(states: ProjectSnapshot["states"], stale: readonly string[]): ProjectSnapshot {
    return {
      unknown: this.#unknown,
      overrideProjectIds: this.#overrideProjectIds,
      states,
      stale,
      global: this.fetched?.global ?? this.#global,
    };
  }

  /** Changes to fetched states, as the lanes are to know them: with what files say over it. */
  overlaid({ states, removed, stale }: ProjectChanges): ProjectChanges {
    const closed = removed.flatMap((key) => this.#overlaid(key, null));
    const isClosed = new Set(closed.map(([key]) => key));
    return {
      states: [...states.flatMap(([key, state]) => this.#overlaid(key, state)), ...closed],
      removed: removed.filter((key) => !isClosed.has(key)),
      stale,
    };
  }

  get #states(): ProjectSnapshot["states"] {
    if (this.fetched === null) return [...this.#entries.values()].map(([key, state]) => [key, state]);
    const { states } = this.fetched;
    const known = new Set(states.map(([key]) => key));
    const unfetched = [...this.#entries.keys()].filter((key) => !known.has(key));
    return [
      ...states.flatMap(([key, state]) => this.#overlaid(key, state)),
      ...unfetched.flatMap((key) => this.#overlaid(key, null)),
    ];
  }

  /** The state the lanes are to know, none or one. */
  #overlaid(key: string, fetched: ProjectState | null): ProjectSnapshot["states"] {
    const override = this.#entries.get(key)?.[2];
    const state = override ? overridden(key, fetched, override) : fetched;
    return state ? [[key, state]] : [];
  }

  /**
   * Reads the folder for the first time, and `global_config.json` where the upstream is not asked for one.
   *
   * @throws {ConfigError} a file is wrong
   */
  load(): void {
    if (this.#globalPath !== null) this.#global = readGlobalFile(this.#globalPath, this.#sources);
    const read = readStaticProjects(this.#folder, this.#sources);
    if (read.problems.length > 0) throw new ConfigError(read.problems);
    this.#take(read.files);
  }

  /** The new snapshot when the interval is over and something changed; otherwise `null`. */
  reloadIfDue(nowMs: number): ProjectSnapshot | null {
    if (nowMs < this.#nextReadMs) return null;
    this.#nextReadMs = nowMs + this.#intervalMs;
    const read = this.#read();
    if (read === null) return null;
    this.#metrics.set(METRICS.projectFilesWrong, read.problems.length);
    this.#report(read.problems.map(describeProblem).join("\n"));
    return this.#take(reloadedStates(this.#files, read)) ? this.snapshot : null;
  }

  #read(): StaticProjects | null {
    try {
      return readStaticProjects(this.#folder, this.#sources);
    } catch (error) {
      this.#report(error instanceof Error ? error.message : String(error));
      return null;
    }
  }

  #take(files: StaticProjects["files"]): boolean {
    const fingerprint = JSON.stringify([...files]);
    if (fingerprint === this.#fingerprint) return false;
    this.#files = files;
    this.#entries = new Map([...files.values()].flat().map((entry) => [entry[0], entry]));
    this.#fingerprint = fingerprint;
    return true;
  }

  #report(problems: string): void {
    if (problems !== "" && problems !== this.#reported) {
      log.error("project files are wrong, what they said before stays in force: {problems}", { problems });
    }
    this.#reported = problems;
  }
}

function readGlobalFile(path: string, sources: ConfigSources): GlobalConfig {
  const document = readDocument(path, sources);
  if (document === null) return DEFAULT_GLOBAL_CONFIG;
  const config = readGlobalConfig(document.value);
  if (config !== null) return config;
  const origin = { kind: "file", place: document.locate([]) } as const;
  throw new ConfigError([{ origin, key: null, rule: "must be a mapping, as Sentry hands it to relays" }]);
}
