/**
 * Sources that remember which files were asked for, so that somebody can tell when a load would find something else.
 *
 * Why by what was asked for: a configuration is more than `config.yml`. Credentials, `${file:...}` and files that do
 * not exist yet belong to it, and only the load itself knows which.
 */
import type { ConfigSources } from "./config_sources.ts";

/** {@link ConfigSources} that are watched. */
export class WatchedSources implements ConfigSources {
  readonly #sources: ConfigSources;
  readonly #paths = new Set<string>();

  private constructor(sources: ConfigSources) {
    this.#sources = sources;
  }

  /** The same sources, with nothing asked for. */
  static anew(sources: ConfigSources): WatchedSources {
    if (!(sources instanceof WatchedSources)) return new WatchedSources(sources);
    sources.#paths.clear();
    return sources;
  }

  get cores(): number {
    return this.#sources.cores;
  }

  get isTerminal(): boolean {
    return this.#sources.isTerminal;
  }

  get isContainer(): boolean {
    return this.#sources.isContainer;
  }

  env(name: string): string | undefined {
    return this.#sources.env(name);
  }

  readText(path: string): string {
    this.#paths.add(path);
    return this.#sources.readText(path);
  }

  /** What the files that were asked for hold now; what cannot be read is part of it, too. */
  fingerprint(): string {
    return JSON.stringify([...this.#paths].map((path) => [path, this.#textOf(path)]));
  }

  #textOf(path: string): string | null {
    try {
      return this.#sources.readText(path);
    } catch {
      return null;
    }
  }
}
