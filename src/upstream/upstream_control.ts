/**
 * All upstreams, as the control plane runs them: it makes the snapshot that lanes get, watches endpoints, and keeps the
 * table of their health. It is never on the path of an envelope.
 *
 * New definitions replace old ones by name; an upstream whose definition did not change keeps its state.
 */
import { HealthTable } from "./health_table.ts";
import { ENDPOINTS_MAX } from "./health_table.ts";
import type { RouteRule, UpstreamShares } from "./upstream_route.ts";
import type { UpstreamSnapshot } from "./upstream_spec.ts";
import {
  type EndpointStatus,
  type UpstreamDefinition,
  UpstreamWatch,
  type WatchDeps,
} from "./upstream_watch.ts";

/** What the configuration says of upstreams. */
export interface UpstreamPlan {
  readonly definitions: readonly UpstreamDefinition[];
  readonly routes: readonly RouteRule[];
  readonly shares: UpstreamShares;
}

/** Options of {@link UpstreamControl}. */
export interface UpstreamControlOptions
  extends Omit<WatchDeps, "table" | "takeSlot" | "freeSlot" | "onChange"> {
  /** Halves and others that count; see {@link HealthTable}. */
  readonly writers: number;
  /** Lanes are to get this snapshot. */
  onSnapshot(snapshot: UpstreamSnapshot): void;
}

/** Runs the upstreams of a node. */
export class UpstreamControl {
  readonly table: HealthTable;
  readonly #o: UpstreamControlOptions;
  readonly #watches = new Map<string, UpstreamWatch>();
  readonly #freeSlots = Array.from({ length: ENDPOINTS_MAX }, (_, index) => ENDPOINTS_MAX - 1 - index);
  #plan: UpstreamPlan;

  constructor(plan: UpstreamPlan, options: UpstreamControlOptions) {
    this.#o = options;
    this.table = new HealthTable(options.writers);
    this.#plan = plan;
    for (const definition of plan.definitions) this.#watch(definition);
  }

  /** Resolves after the first look at DNS and files. */
  async start(): Promise<void> {
    await Promise.all([...this.#watches.values()].map((watch) => watch.start()));
  }

  /** Takes over what a changed configuration says. */
  configure(plan: UpstreamPlan): void {
    const names = new Set(plan.definitions.map(({ name }) => name));
    for (const [name, watch] of this.#watches) {
      if (names.has(name)) continue;
      watch.stop();
      this.#watches.delete(name);
    }
    for (const definition of plan.definitions) {
      const present = this.#watches.get(definition.name);
      if (present && JSON.stringify(present.definition) === JSON.stringify(definition)) continue;
      present?.stop();
      void this.#watch(definition).start();
    }
    this.#plan = plan;
    this.#o.onSnapshot(this.snapshot);
  }

  /** What lanes need to know. */
  get snapshot(): UpstreamSnapshot {
    const { definitions, routes, shares } = this.#plan;
    const upstreams = definitions.map(({ name }) => this.#watches.get(name)!.spec);
    return { upstreams, routes, shares };
  }

  /** Judges all endpoints; to be called a few times a second. */
  tick(): void {
    for (const watch of this.#watches.values()) watch.tick();
  }

  /** All endpoints of all upstreams. */
  status(): EndpointStatus[] {
    return [...this.#watches.values()].flatMap((watch) => watch.status());
  }

  stop(): void {
    for (const watch of this.#watches.values()) watch.stop();
  }

  #watch(definition: UpstreamDefinition): UpstreamWatch {
    const watch = new UpstreamWatch(definition, {
      ...this.#o,
      table: this.table,
      takeSlot: () => this.#freeSlots.pop() ?? null,
      // The next endpoint to come takes the slot that was free longest, when nobody counts on it any more.
      freeSlot: (slot) => this.#freeSlots.unshift(slot),
      onChange: () => this.#o.onSnapshot(this.snapshot),
    });
    this.#watches.set(definition.name, watch);
    return watch;
  }
}
