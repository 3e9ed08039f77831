/**
 * Defaults that depend on the machine or on other keys. They are filled in before validation, so that what validation
 * returns has no holes and every reader of the configuration sees the same value.
 */
import type { ConfigSources } from "./config_sources.ts";
import { LANES_MAX } from "./schema/listener_section.ts";
import { type Tree, valueAt } from "./tree.ts";

/** Values for keys that were left open, by dotted key. */
export function derivedDefaults(
  tree: Tree,
  dir: string,
  sources: ConfigSources,
): ReadonlyMap<string, unknown> {
  const derived = new Map<string, unknown>();
  const open = (key: string): boolean => {
    const value = valueAt(tree, key.split("."));
    return value === undefined || value === null || value === "auto";
  };
  const fill = (key: string, value: unknown): void => {
    if (open(key)) derived.set(key, value);
  };
  fill("relay.host", sources.isContainer ? "0.0.0.0" : "127.0.0.1");
  fill("spool.envelopes.path", `${dir}/spool`);
  fill("logging.format", sources.isTerminal ? "pretty" : "simplified");
  fill("lanes", Math.min(LANES_MAX, Math.max(1, Math.floor(sources.cores / 2))));
  if (!open("relay.internal_port")) {
    fill("relay.internal_host", valueAt(tree, ["relay", "host"]) ?? derived.get("relay.host"));
  } else if (!open("relay.internal_host")) {
    fill("relay.internal_port", valueAt(tree, ["relay", "port"]) ?? 3000);
  }
  return derived;
}
