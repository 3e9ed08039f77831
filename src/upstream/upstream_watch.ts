/**
 * The control plane's side of one upstream: its endpoints, and how each of them is.
 *
 * Endpoints come from `endpoint_discovery.ts`; their health from what all halves counted (`health_table.ts`, judged by
 * `outlier_ejection.ts`) and from probes (`endpoint_prober.ts`, while there is more than one endpoint to choose from).
 * What comes out is one number per endpoint, the share of its weight it counts with: 0 while it is out, growing over the
 * slow start after it returned, else 1.
 */
import { logger } from "../telemetry/log.ts";
import type { Clock } from "../core/clock.ts";
import type { Metrics } from "../telemetry/registry.ts";
import { denoDial, type Dial } from "./dial.ts";
import type { DnsResolver } from "./dns_resolver.ts";
import { EndpointDiscovery, type EndpointEntry } from "./endpoint_discovery.ts";
import { EndpointProber } from "./endpoint_prober.ts";
import type { HealthTable } from "./health_table.ts";
import { type EjectionOptions, OutlierEjection } from "./outlier_ejection.ts";
import type { ClientRequest } from "./request_head.ts";
import type { EndpointSpec, UpstreamSpec } from "./upstream_spec.ts";

const log = logger("upstream");

/** Share of its weight an endpoint starts with after it returned. */
const SHARE_MIN = 0.1;
const PROBE_TIMEOUT_MS = 3000;

/** An upstream as the configuration has it; times in milliseconds. */
export interface UpstreamDefinition extends Omit<UpstreamSpec, "endpoints"> {
  readonly entries: readonly EndpointEntry[];
  /** File that holds the list of entries instead. */
  readonly endpointsFile: string | null;
  readonly refreshMs: number;
  /** Null for no probes. */
  readonly probeMs: number | null;
  readonly slowStartMs: number;
  readonly ejection: EjectionOptions;
}

/** What a watch needs of the node. */
export interface WatchDeps {
  readonly clock: Clock;
  readonly metrics: Metrics;
  readonly resolver: DnsResolver;
  readonly table: HealthTable;
  readonly random?: () => number;
  /** How probes open streams; default: as the upstream's transport says. */
  readonly dial?: Dial;
  /** Reads a file of endpoints; throws when it cannot be used. */
  readEndpoints(file: string): readonly EndpointEntry[];
  /** The question a probe asks. */
  probe(): ClientRequest;
  /** Gives a new endpoint a row of the table, null when there is none left. */
  takeSlot(): number | null;
  freeSlot(slot: number): void;
  /** The upstream's endpoints changed. */
  onChange(): void;
}

/** An endpoint at a glance. */
export interface EndpointStatus {
  readonly upstream: string;
  readonly endpoint: string;
  readonly state: "in" | "slow_start" | "ejected" | "probe_failed";
  /** Share of its weight it counts with. */
  readonly share: number;
  readonly ejections: number;
  readonly answered: number;
  readonly failed: number;
  /** Time its answers took in all. */
  readonly answerMs: number;
  readonly retries: number;
  readonly inFlight: number;
  readonly connections: number;
  /** Lanes whose breaker is not closed. */
  readonly breakersOpen: number;
}

interface Watched {
  spec: EndpointSpec;
  prober: EndpointProber | null;
  /** Moment at which it returned from a failed probe. */
  upSinceMs: number;
  ejections: number;
  /** What was counted in its slot before it came, and what was looked at last. */
  readonly before: Counts;
  last: Counts;
}

interface Counts {
  readonly answered: number;
  readonly failed: number;
  readonly answerMs: number;
  readonly retries: number;
}

/** Watches one upstream. */
export class UpstreamWatch {
  readonly #d: UpstreamDefinition;
  readonly #deps: WatchDeps;
  readonly #discovery: EndpointDiscovery;
  readonly #ejection: OutlierEjection;
  readonly #watched = new Map<string, Watched>();

  constructor(readonly definition: UpstreamDefinition, deps: WatchDeps) {
    this.#d = definition;
    this.#deps = deps;
    this.#ejection = new OutlierEjection(definition.ejection);
    const { endpointsFile: file } = definition;
    this.#discovery = new EndpointDiscovery({
      ...deps,
      upstream: definition.name,
      entries: definition.entries,
      readEntries: file === null ? null : () => deps.readEndpoints(file),
      intervalMs: definition.refreshMs,
      onChange: () => {
        this.#update();
        deps.onChange();
      },
    });
    this.#update();
  }

  /** Resolves after the first look at DNS and files. */
  start(): Promise<void> {
    return this.#discovery.start();
  }

  stop(): void {
    this.#discovery.stop();
    for (const id of [...this.#watched.keys()]) this.#forget(id);
  }

  /** The upstream as lanes use it. */
  get spec(): UpstreamSpec {
    const { name, transport, encoding, retryShare, copyTo } = this.#d;
    const endpoints = [...this.#watched.values()].map(({ spec }) => spec);
    return { name, transport, encoding, retryShare, copyTo, endpoints };
  }

  /** Judges anew from what was counted; called a few times a second. */
  tick(): void {
    const { table, clock } = this.#deps;
    const nowMs = clock.monotonic();
    for (const [id, watched] of this.#watched) {
      const { slot } = watched.spec;
      const counts = countsOf(table, slot);
      this.#ejection.observe(id, {
        answered: counts.answered - watched.last.answered,
        failed: counts.failed - watched.last.failed,
        trailing: table.most(slot, "trailing"),
      });
      watched.last = counts;
    }
    for (const id of this.#ejection.evaluate(nowMs)) this.#tell(id, nowMs);
    for (const [id, watched] of this.#watched) {
      table.publish(watched.spec.slot, this.#share(id, watched, nowMs));
    }
  }

  /** All endpoints, in order. */
  status(): EndpointStatus[] {
    const nowMs = this.#deps.clock.monotonic();
    return [...this.#watched].map(([id, watched]) => {
      const share = this.#share(id, watched, nowMs);
      const state = share === 1
        ? "in"
        : share > 0
        ? "slow_start"
        : this.#ejection.stateOf(id)!.kind === "out"
        ? "ejected"
        : "probe_failed";
      return { upstream: this.#d.name, endpoint: id, state, share, ...this.#counted(watched) };
    });
  }

  #counted({ spec: { slot }, ejections, before }: Watched) {
    const { table } = this.#deps;
    const { answered, failed, answerMs, retries } = countsOf(table, slot);
    return {
      ejections,
      answered: answered - before.answered,
      failed: failed - before.failed,
      answerMs: answerMs - before.answerMs,
      retries: retries - before.retries,
      inFlight: table.total(slot, "inFlight"),
      connections: table.total(slot, "connections"),
      breakersOpen: table.total(slot, "breakerOpen"),
    };
  }

  #share(id: string, { prober, upSinceMs }: Watched, nowMs: number): number {
    const state = this.#ejection.stateOf(id)!;
    if (state.kind === "out" || prober?.isUp === false) return 0;
    const warmMs = nowMs - Math.max(state.sinceMs, upSinceMs);
    const { slowStartMs } = this.#d;
    return warmMs >= slowStartMs ? 1 : Math.max(SHARE_MIN, warmMs / slowStartMs);
  }

  #update(): void {
    const found = this.#discovery.endpoints;
    for (const id of [...this.#watched.keys()]) if (!found.some((f) => f.id === id)) this.#forget(id);
    for (const endpoint of found) {
      const known = this.#watched.get(endpoint.id);
      const slot = known?.spec.slot ?? this.#deps.takeSlot();
      if (slot === null) {
        log.error("an endpoint is left out, there are too many", { endpoint: endpoint.id });
        continue;
      }
      if (known) known.spec = { ...endpoint, slot };
      else this.#watched.set(endpoint.id, this.#newcomer({ ...endpoint, slot }));
    }
    this.#ejection.setMembers([...this.#watched.keys()]);
    for (const watched of this.#watched.values()) this.#probe(watched);
    this.tick();
  }

  #newcomer(spec: EndpointSpec): Watched {
    const before = countsOf(this.#deps.table, spec.slot);
    return { spec, prober: null, upSinceMs: -Infinity, ejections: 0, before, last: before };
  }

  #probe(watched: Watched): void {
    const { probeMs, transport, name } = this.#d;
    if (probeMs === null || this.#watched.size < 2) {
      watched.prober?.stop();
      watched.prober = null;
      return;
    }
    const { spec: endpoint } = watched;
    watched.prober ??= new EndpointProber({
      ...this.#deps,
      dial: this.#deps.dial ?? denoDial(transport),
      endpoint,
      transport,
      intervalMs: probeMs,
      timeoutMs: PROBE_TIMEOUT_MS,
      request: () => this.#deps.probe(),
      onChange: (isUp) => {
        watched.upSinceMs = this.#deps.clock.monotonic();
        const about = { upstream: name, endpoint: endpoint.id };
        if (isUp) log.info("an endpoint answers probes again", about);
        else log.warn("an endpoint does not answer probes", about);
        this.tick();
      },
    });
  }

  #forget(id: string): void {
    const watched = this.#watched.get(id)!;
    this.#watched.delete(id);
    watched.prober?.stop();
    this.#deps.table.publish(watched.spec.slot, 0);
    this.#deps.freeSlot(watched.spec.slot);
  }

  #tell(id: string, nowMs: number): void {
    const state = this.#ejection.stateOf(id)!;
    const about = { upstream: this.#d.name, endpoint: id };
    if (state.kind === "in") return log.info("an endpoint is tried again", about);
    this.#watched.get(id)!.ejections++;
    const seconds = Math.round((state.untilMs - nowMs) / 1000);
    log.warn("an endpoint is ejected for {seconds} s", { ...about, seconds });
  }
}

function countsOf(table: HealthTable, slot: number): Counts {
  return {
    answered: table.total(slot, "answered"),
    failed: table.total(slot, "failed"),
    answerMs: table.total(slot, "answerMs"),
    retries: table.total(slot, "retries"),
  };
}
