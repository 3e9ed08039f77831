/**
 * The configuration of a running node: which one is in force, and how another one comes into force.
 *
 * A reload reads the same files and settings again, validates all of it, and only then changes anything: keys that can
 * change while the node runs take their new values in every lane, the others keep their old ones and are named. A
 * configuration that is wrong changes nothing. Reloads come one after the other.
 *
 * Triggers: SIGHUP, a request to the admin listener, and, with `relay.config_reload_interval`, files that have changed.
 * Files are taken as changed once they have stood still for {@link SETTLE_MS}: editors empty a file before they fill it,
 * and an empty file is a valid configuration.
 */
import type { Clock } from "../core/clock.ts";
import { checkRunnable } from "../config/check_runnable.ts";
import { type KeyChange, mergeConfig } from "../config/config_change.ts";
import { ConfigError, type Problem } from "../config/config_error.ts";
import type { LoadedConfig } from "../config/load_config.ts";
import { METRICS } from "../telemetry/catalogue.ts";
import { logger } from "../telemetry/log.ts";
import type { Metrics } from "../telemetry/registry.ts";

const log = logger("config");

const SETTLE_MS = 100;
/** Relay's reading of an interval of 0 (control reference, section 2). */
const WATCH_MS_MIN = 50;

/** What asked for a reload. */
export type ReloadTrigger = "signal" | "request" | "watch";

/** How a reload ended. `restart` names all keys whose values in the files differ from those in force. */
export type ReloadResult =
  | {
    readonly result: "applied" | "unchanged";
    readonly changed: readonly KeyChange[];
    readonly restart: readonly KeyChange[];
  }
  | { readonly result: "invalid"; readonly problems: readonly Problem[] };

/** Options of {@link ConfigControl}. */
export interface ConfigControlOptions {
  /** What the node was started with. */
  readonly loaded: LoadedConfig;
  readonly clock: Clock;
  readonly metrics: Metrics;
  /** What this machine makes of a configuration, e.g. fewer lanes. */
  readonly adapt: (loaded: LoadedConfig) => LoadedConfig;
  /** Brings a configuration into force; resolves when it is. */
  readonly apply: (loaded: LoadedConfig, changed: readonly KeyChange[]) => Promise<void>;
}

/** Keeper of the configuration in force. */
export class ConfigControl {
  readonly #o: ConfigControlOptions;
  #loaded: LoadedConfig;
  #last: Promise<unknown> = Promise.resolve();
  /** What the files held at the last load, good or bad. */
  #seen: string;
  #rewatch = new AbortController();

  constructor(options: ConfigControlOptions) {
    this.#o = options;
    this.#loaded = options.adapt(options.loaded);
    this.#seen = options.loaded.fingerprint();
    this.#succeeded();
  }

  /** The configuration in force. */
  get loaded(): LoadedConfig {
    return this.#loaded;
  }

  /** As {@link ConfigControl.loaded}. */
  current(): LoadedConfig {
    return this.#loaded;
  }

  /** Loads the configuration again and brings it into force as far as that can be done without a restart. */
  reload(trigger: ReloadTrigger = "request"): Promise<ReloadResult> {
    const result = this.#last.then(() => this.#reload(trigger));
    this.#last = result.catch(() => {});
    return result;
  }

  /** Looks after the files for as long as `signal` allows. */
  async watch(signal: AbortSignal): Promise<void> {
    const { clock } = this.#o;
    signal.addEventListener("abort", () => this.#rewatch.abort());
    while (!signal.aborted) {
      const { configReloadInterval } = this.#loaded.config.relay;
      const intervalMs = configReloadInterval === null ? FOR_EVER_MS : configReloadInterval;
      this.#rewatch = new AbortController();
      await clock.sleep(Math.max(WATCH_MS_MIN, intervalMs), this.#rewatch.signal);
      if (signal.aborted || configReloadInterval === null) continue;
      if (await this.#haveSettled(signal)) await this.reload("watch");
    }
  }

  /** Whether the files differ from what was loaded, and are not being written. */
  async #haveSettled(signal: AbortSignal): Promise<boolean> {
    let text = this.#loaded.fingerprint();
    while (text !== this.#seen && !signal.aborted) {
      await this.#o.clock.sleep(SETTLE_MS, signal);
      const before = text;
      text = this.#loaded.fingerprint();
      if (text === before) return true;
    }
    return false;
  }

  async #reload(trigger: ReloadTrigger): Promise<ReloadResult> {
    const { metrics } = this.#o;
    try {
      const result = await this.#take(this.#load(), trigger);
      metrics.add(METRICS.configReloads, 1, result.result);
      this.#succeeded();
      return result;
    } catch (error) {
      metrics.add(METRICS.configReloads, 1, error instanceof ConfigError ? "invalid" : "failed");
      const message = error instanceof Error ? error.message : String(error);
      log.error("the configuration was not taken over, the old one stays in force", {
        trigger,
        message,
      });
      if (!(error instanceof ConfigError)) throw error;
      return { result: "invalid", problems: error.problems };
    }
  }

  /** What a reload would do now. */
  preview(): ReloadResult {
    try {
      const { changed, restart } = mergeConfig(this.#loaded, this.#checked());
      return { result: changed.length > 0 ? "applied" : "unchanged", changed, restart };
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      return { result: "invalid", problems: error.problems };
    }
  }

  #checked(): LoadedConfig {
    const next = this.#o.adapt(this.#loaded.reload());
    const problems = checkRunnable(next);
    if (problems.length > 0) throw new ConfigError(problems);
    return next;
  }

  #load(): LoadedConfig {
    try {
      return this.#checked();
    } finally {
      this.#seen = this.#loaded.fingerprint();
    }
  }

  async #take(next: LoadedConfig, trigger: ReloadTrigger): Promise<ReloadResult> {
    const { loaded, changed, restart } = mergeConfig(this.#loaded, next);
    this.#loaded = loaded;
    this.#rewatch.abort();
    await this.#o.apply(loaded, changed);
    const result = changed.length > 0 ? "applied" : "unchanged";
    log.info("configuration loaded again", { trigger, result, changed: names(changed) });
    for (const warning of next.warnings) log.warn(warning);
    if (restart.length > 0) log.warn("keys need a restart", { keys: names(restart) });
    return { result, changed, restart };
  }

  #succeeded(): void {
    this.#o.metrics.set(METRICS.configReloadedAt, this.#o.clock.now() / 1000);
  }
}

/** Longest time a timer can wait. */
const FOR_EVER_MS = 2 ** 31 - 1;

function names(changes: readonly KeyChange[]): string {
  return changes.map(({ key }) => key).join(", ");
}
