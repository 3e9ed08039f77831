/**
 * The projects a lane knows: a snapshot made by the control plane, and changes to it, posted to every lane.
 *
 * A lane only ever asks for one key, so the answer is a state, or what to make of a key without one: modes that
 * fetch nothing forward unknown projects (`proxy`) or refuse them (`static`); where states are fetched, records wait.
 */
import { DEFAULT_GLOBAL_CONFIG, type GlobalConfig } from "./global_config.ts";
import type { ProjectState } from "./project_state.ts";

/** What has changed since a snapshot, or since the changes before. Plain data. */
export interface ProjectChanges {
  /** New states. */
  readonly states: readonly (readonly [key: string, state: ProjectState])[];
  /** Keys that are not known any more. */
  readonly removed: readonly string[];
  /** Keys whose states are used on, but have to be asked for again when they are. */
  readonly stale: readonly string[];
}

/** Plain data form of a {@link ProjectTable}, for `postMessage`. */
export interface ProjectSnapshot {
  /** What becomes of keys that are not listed. */
  readonly unknown: "forward" | "refuse" | "wait";
  /** Whether a project id in the request that differs from the state's is corrected instead of refused. */
  readonly overrideProjectIds: boolean;
  readonly states: readonly (readonly [key: string, state: ProjectState])[];
  /** As in {@link ProjectChanges}. */
  readonly stale?: readonly string[];
  /** What holds for all projects; the default when absent. */
  readonly global?: GlobalConfig;
}

/** Answer of {@link ProjectTable.lookup}. */
export type ProjectLookup =
  | { readonly kind: "known"; readonly state: ProjectState }
  | { readonly kind: "unknown"; readonly forward: boolean }
  /** Its state is not known yet. */
  | { readonly kind: "pending" };

/** Lookup of project states by public key. */
export class ProjectTable {
  readonly overrideProjectIds: boolean;
  /** What holds for all projects. */
  global: GlobalConfig;
  /** Called when a stale state is used, once for each time it became stale. */
  onStale: (key: string) => void = () => {};
  readonly #states: Map<string, ProjectLookup>;
  readonly #stale: Set<string>;
  readonly #unknown: ProjectLookup;

  constructor({ unknown, overrideProjectIds, states, stale = [], global }: ProjectSnapshot) {
    this.overrideProjectIds = overrideProjectIds;
    this.#states = new Map(states.map(([key, state]) => [key, { kind: "known", state }]));
    this.global = global ?? DEFAULT_GLOBAL_CONFIG;
    this.#stale = new Set(stale);
    this.#unknown = unknown === "wait"
      ? { kind: "pending" }
      : { kind: "unknown", forward: unknown === "forward" };
  }

  /** Number of keys with a state. */
  get size(): number {
    return this.#states.size;
  }

  /** Brings the table up to date. */
  apply({ states, removed, stale }: ProjectChanges): void {
    for (const key of removed) {
      this.#states.delete(key);
      this.#stale.delete(key);
    }
    for (const [key, state] of states) {
      this.#states.set(key, { kind: "known", state });
      this.#stale.delete(key);
    }
    for (const key of stale) this.#stale.add(key);
  }

  lookup(key: string): ProjectLookup {
    if (this.#stale.size > 0 && this.#stale.delete(key)) this.onStale(key);
    return this.#states.get(key) ?? this.#unknown;
  }
}
