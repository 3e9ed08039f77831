/**
 * What differs between two loads of a configuration, and what of it can come into force without a restart.
 *
 * Values are compared as code reads them, so that `5` and `5s` are the same timeout.
 */
import type { Config } from "./config.ts";
import type { Origin } from "./config_error.ts";
import { camelName, type ConfigKey, type Effect } from "./config_field.ts";
import type { EffectiveValue, LoadedConfig } from "./load_config.ts";
import { redact, REDACTED } from "./redact.ts";
import { putAt, type Tree, valueAt } from "./tree.ts";

/** A key that differs. */
export interface KeyChange {
  /** Dotted; `credentials` for those of the node. */
  readonly key: string;
  /** As they would be written in the file, without secrets. */
  readonly from: unknown;
  readonly to: unknown;
  /** When the new value counts. */
  readonly effect: Exclude<Effect, "none">;
  /** Where the new value stands. */
  readonly origin: Origin;
}

/** A configuration for a node that runs already. */
export interface MergedConfig {
  /** The new values, and the old ones of keys that need a restart. */
  readonly loaded: LoadedConfig;
  /** Keys with another value in `loaded` than before. */
  readonly changed: readonly KeyChange[];
  /** Keys whose new value waits for a restart. */
  readonly restart: readonly KeyChange[];
}

/** Keys that differ, in the order of their declaration. Those without effect are left out. */
export function changedKeys(before: LoadedConfig, after: LoadedConfig): KeyChange[] {
  const changes: KeyChange[] = [];
  for (const [index, { key, value, origin }] of after.effective.entries()) {
    if (key.effect === "none" || isSame(typedValue(before, key), typedValue(after, key))) continue;
    const from = shown(before.effective[index]!);
    changes.push({ key: key.key, from, to: shown({ key, value, origin }), effect: key.effect, origin });
  }
  if (!isSame(before.credentials, after.credentials)) {
    const [from, to] = [before, after].map(({ credentials }) => credentials && REDACTED);
    changes.push({ key: "credentials", from, to, effect: "restart", origin: { kind: "default" } });
  }
  return changes;
}

/** What a running node makes of a configuration that was loaded again. */
export function mergeConfig(running: LoadedConfig, next: LoadedConfig): MergedConfig {
  const changes = changedKeys(running, next);
  const restart = changes.filter(({ effect }) => effect === "restart");
  const kept = new Set(restart.map(({ key }) => key));
  const config = structuredClone(next.config) as Config;
  const effective = next.effective.map((entry, index) => {
    if (!kept.has(entry.key.key)) return entry;
    putAt(config as unknown as Tree, typedPath(entry.key), typedValue(running, entry.key));
    return running.effective[index]!;
  });
  return {
    loaded: { ...next, config, effective, credentials: running.credentials },
    changed: changes.filter(({ effect }) => effect === "reload"),
    restart,
  };
}

/** A value as it may be shown; another system's sections may hold any secret under any name. */
export function shown({ key, value }: EffectiveValue): unknown {
  return redact(value, key.secret || key.form === "any");
}

function typedPath(key: ConfigKey): string[] {
  return key.path.map(camelName);
}

function typedValue({ config }: LoadedConfig, key: ConfigKey): unknown {
  return valueAt(config, typedPath(key));
}

function isSame(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}
