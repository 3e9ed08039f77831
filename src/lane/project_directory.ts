/**
 * The projects of a node, from its files, as the snapshot that the lanes get.
 *
 * At the start a wrong file is an error. Later, when files are read again, it is reported once and what it said before
 * stays in force: a slip of the editor must not open or close a project.
 */
import type { ConfigSources } from "../config/config_sources.ts";
import { ConfigError, describeProblem } from "../config/config_error.ts";
import type { LoadedConfig } from "../config/load_config.ts";
import type { ProjectSnapshot } from "../projects/project_table.ts";
import { readStaticProjects, reloadedStates, type StaticProjects } from "../projects/static_projects.ts";
import { logger } from "../telemetry/log.ts";

const log = logger("projects");

/** Keeper of the current snapshot. */
export class ProjectDirectory {
  readonly #folder: string;
  readonly #sources: ConfigSources;
  readonly #unknown: ProjectSnapshot["unknown"];
  readonly #overrideProjectIds: boolean;
  readonly #intervalMs: number;
  #files: StaticProjects["files"] = new Map();
  #fingerprint = "";
  #reported = "";
  #nextReadMs = 0;

  constructor({ config, configDir }: LoadedConfig, sources: ConfigSources) {
    this.#folder = `${configDir}/projects`;
    this.#sources = sources;
    this.#unknown = config.relay.mode === "static" ? "refuse" : "forward";
    this.#overrideProjectIds = config.relay.overrideProjectIds;
    this.#intervalMs = config.cache.fileInterval;
  }

  /** What the lanes are to know. */
  get snapshot(): ProjectSnapshot {
    return {
      unknown: this.#unknown,
      overrideProjectIds: this.#overrideProjectIds,
      states: [...this.#files.values()].flat(),
    };
  }

  /**
   * Reads the folder for the first time.
   *
   * @throws {ConfigError} a file is wrong
   */
  load(): void {
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
