/**
 * The projects a lane knows: an immutable snapshot, made by the control plane and posted to every lane.
 *
 * A lane only ever asks for one key, so the answer is a state, or what to make of a key without one: modes that
 * fetch nothing forward unknown projects (`proxy`) or refuse them (`static`); where states are fetched, records wait.
 */
import type { ProjectState } from "./project_state.ts";

/** Plain data form of a {@link ProjectTable}, for `postMessage`. */
export interface ProjectSnapshot {
  /** What becomes of keys that are not listed. */
  readonly unknown: "forward" | "refuse" | "wait";
  /** Whether a project id in the request that differs from the state's is corrected instead of refused. */
  readonly overrideProjectIds: boolean;
  readonly states: readonly (readonly [key: string, state: ProjectState])[];
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
  readonly #states: ReadonlyMap<string, ProjectLookup>;
  readonly #unknown: ProjectLookup;

  constructor({ unknown, overrideProjectIds, states }: ProjectSnapshot) {
    this.overrideProjectIds = overrideProjectIds;
    this.#states = new Map(states.map(([key, state]) => [key, { kind: "known", state }]));
    this.#unknown = unknown === "wait"
      ? { kind: "pending" }
      : { kind: "unknown", forward: unknown === "forward" };
  }

  /** Number of keys with a state. */
  get size(): number {
    return this.#states.size;
  }

  lookup(key: string): ProjectLookup {
    return this.#states.get(key) ?? this.#unknown;
  }
}
