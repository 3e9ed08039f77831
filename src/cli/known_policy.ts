/**
 * What a node knows of a project, asked by a command: the node itself while it runs, through its admin listener; otherwise
 * what it has left on disk. Whoever has the lock of the spool's folder tells which.
 */
import { loadConfig, type LoadedConfig } from "../config/load_config.ts";
import { cachePathOf, readCacheFile } from "../control/cache_file.ts";
import { NodeMemory } from "../lane/node_memory.ts";
import { policyFacts } from "../lane/node_policy.ts";
import { type FetchedProjects, ProjectDirectory } from "../lane/project_directory.ts";
import { DEFAULT_GLOBAL_CONFIG, readGlobalConfig } from "../projects/global_config.ts";
import type { PolicyFacts } from "../projects/policy_facts.ts";
import { ProjectCache } from "../projects/project_cache.ts";
import { QuotaCounters } from "../projects/quotas/quota_counters.ts";
import { type Storage, StorageError } from "../spool/storage.ts";
import { METRIC_LAYOUT } from "../telemetry/catalogue.ts";
import { Metrics } from "../telemetry/registry.ts";
import { getAdmin } from "./admin_request.ts";
import type { Invocation, System } from "./command.ts";

/**
 * What is known of `key`.
 *
 * @param rootKey key of the project whose rules sample its trace; null when it has none
 * @throws {ConfigError} the configuration, or the project files of a stopped node, are wrong
 * @throws {Error} the node runs and does not answer
 */
export async function knownPolicy(
  key: string,
  rootKey: string | null,
  { configDir }: Invocation,
  system: System,
): Promise<PolicyFacts> {
  const loaded = loadConfig({ dir: configDir, sources: system.sources });
  const { config } = loaded;
  const isRunning = await isInUse(system.storage, config.spool.envelopes.path);
  if (isRunning && config.admin.enabled) {
    const query = new URLSearchParams(rootKey === null ? { key } : { key, root: rootKey });
    return await getAdmin(config, `/policy?${query}`) as PolicyFacts;
  }
  const state = isRunning ? "runs with its admin listener off" : "is stopped";
  const notes = [`the node ${state}: this is what its disk says, with nothing counted by quotas`];
  return await policyOnDisk(key, rootKey, loaded, system, notes);
}

async function policyOnDisk(
  key: string,
  rootKey: string | null,
  loaded: LoadedConfig,
  { sources, storage, clock }: System,
  notes: readonly string[],
): Promise<PolicyFacts> {
  const projects = new ProjectDirectory(loaded, sources, new Metrics(METRIC_LAYOUT));
  projects.load();
  projects.fetched = await fetchedBefore([key, rootKey], loaded, { storage, clock });
  const memory = new NodeMemory(loaded.config.spool.envelopes.path);
  memory.recall(clock.now());
  const counters = new QuotaCounters();
  return policyFacts(key, rootKey, { clock, loaded, projects, memory, counters, managed: null, notes });
}

/** What a managed node has kept of these keys; null in other modes. */
async function fetchedBefore(
  keys: readonly (string | null)[],
  { config, credentials }: LoadedConfig,
  { storage, clock }: Pick<System, "storage" | "clock">,
): Promise<FetchedProjects | null> {
  if (config.relay.mode !== "managed" || credentials === null) return null;
  const owner = { upstream: config.relay.upstream, relayId: credentials.id };
  const kept = await readCacheFile(storage, cachePathOf(config.spool.envelopes.path), owner);
  const { cache: { projectExpiry, projectGracePeriod, projectsMax }, http } = config;
  const cache = new ProjectCache({
    expiryMs: projectExpiry,
    graceMs: projectGracePeriod,
    refreshMs: null,
    projectsMax,
    retryMsMax: http.maxRetryInterval,
  });
  const nowMs = clock.monotonic();
  cache.restore(kept.projects.filter((project) => keys.includes(project.key)), nowMs);
  cache.sweep(nowMs);
  return {
    states: cache.states,
    staleKeys: cache.staleKeys,
    global: readGlobalConfig(kept.global) ?? DEFAULT_GLOBAL_CONFIG,
    stateOf: (key) => cache.lookup(key)?.state ?? null,
    isStale: (key) => cache.isStale(key),
  };
}

/** Whether a node has the folder of a spool. */
async function isInUse(storage: Storage, path: string): Promise<boolean> {
  try {
    const lock = await storage.lock(`${path}/lock`);
    if (typeof lock === "string") return true;
    lock.release();
    return false;
  } catch (error) {
    if (StorageError.isNotFound(error)) return false;
    throw error;
  }
}
