/** The upstreams of a node, for the composition root: what lanes are told of them, and what operators see. */
import type { Config } from "../config/config.ts";
import type { LoadedConfig } from "../config/load_config.ts";
import type { ConfigSources } from "../config/config_sources.ts";
import type { Clock } from "../core/clock.ts";
import { METRICS } from "../telemetry/catalogue.ts";
import type { Metrics, MetricsReader } from "../telemetry/registry.ts";
import { denoResolver, type DnsResolver } from "../upstream/dns_resolver.ts";
import { type Drain, DrainProgress } from "../upstream/drain_progress.ts";
import { HealthWriter } from "../upstream/health_table.ts";
import { RequestSigner } from "../upstream/request_signer.ts";
import type { UpstreamClient } from "../upstream/upstream_client.ts";
import { UpstreamControl } from "../upstream/upstream_control.ts";
import { DEFAULT_UPSTREAM, type UpstreamSnapshot, type UpstreamSpec } from "../upstream/upstream_spec.ts";
import { probeRequest } from "../upstream/upstream_request.ts";
import type { EndpointStatus } from "../upstream/upstream_watch.ts";
import { collectEndpoints } from "./endpoint_metrics.ts";
import type { CommonOptions, HalfKind } from "./messages.ts";
import { queryUpstream } from "./query_upstream.ts";
import { defaultUpstreamUrl, readEndpoints, upstreamPlan } from "./upstream_plan.ts";

/** How long a start waits for names to be resolved. */
const START_MS_MAX = 3000;

/** What operators see of upstreams. */
export interface UpstreamsStatus {
  /** Where the default upstream is. */
  readonly upstream: string;
  readonly endpoints: readonly EndpointStatus[];
  /** Null without a backlog. */
  readonly drain: Drain | null;
}

/** Options of {@link NodeUpstreams}. */
export interface NodeUpstreamsOptions {
  readonly sources: ConfigSources;
  readonly clock: Clock;
  /** Counters of the control plane. */
  readonly metrics: Metrics;
  /** Gets the metrics of endpoints, too. */
  readonly reader: MetricsReader;
  readonly resolver?: DnsResolver;
  /** Lanes are to get this snapshot. */
  onSnapshot(snapshot: UpstreamSnapshot): void;
}

/** Upstreams of a node. */
export class NodeUpstreams {
  readonly #o: NodeUpstreamsOptions;
  readonly #control: UpstreamControl;
  readonly #lanes: number;
  #config: Config;
  readonly #progress = new DrainProgress();
  #queries: UpstreamClient | null = null;

  constructor({ config, credentials }: LoadedConfig, options: NodeUpstreamsOptions) {
    this.#o = options;
    this.#config = config;
    const { sources, clock, metrics, reader, resolver = denoResolver } = options;
    this.#lanes = config.lanes;
    const identity = new RequestSigner(credentials, clock);
    this.#control = new UpstreamControl(upstreamPlan(config, sources), {
      clock,
      metrics,
      resolver,
      writers: 2 * config.lanes + 1,
      readEndpoints: (file) => readEndpoints(file, sources),
      probe: () => probeRequest(identity.idHeaders()),
      onSnapshot: (snapshot) => {
        this.#queries?.update(defaultOf(snapshot));
        options.onSnapshot(snapshot);
      },
    });
    collectEndpoints(reader, this.#control);
  }

  /** What lanes need to know. */
  get snapshot(): UpstreamSnapshot {
    return this.#control.snapshot;
  }

  /** Where a half counts the health of endpoints. */
  healthOf(lane: number, kind: HalfKind): CommonOptions["health"] {
    const writer = kind === "forward" ? lane : this.#lanes + lane;
    return { buffer: this.#control.table.buffer, writer };
  }

  /** The client of the default upstream for the control plane's own questions; its user closes it. */
  queryClient(): UpstreamClient {
    const { clock, metrics } = this.#o;
    const health = new HealthWriter(this.#control.table.buffer, 2 * this.#lanes);
    this.#queries = queryUpstream(defaultOf(this.snapshot), () => this.#config, { clock, metrics, health });
    return this.#queries;
  }

  /** Looks for endpoints; resolves when they are known, or soon anyway. */
  async start(): Promise<void> {
    const { clock } = this.#o;
    const known = new AbortController();
    const looked = this.#control.start().then(() => known.abort());
    await Promise.race([looked, clock.sleep(START_MS_MAX, known.signal)]);
  }

  /** Takes over a changed configuration; true when the default upstream is another one now. */
  configure(config: Config): boolean {
    const isElsewhere = defaultUpstreamUrl(config) !== defaultUpstreamUrl(this.#config);
    this.#config = config;
    this.#control.configure(upstreamPlan(config, this.#o.sources));
    return isElsewhere;
  }

  /** Judges endpoints and looks at the backlog; called a few times a second. */
  tick(waiting: number): void {
    this.#control.tick();
    this.#progress.sample(waiting, this.#o.clock.monotonic());
    const { drain } = this.#progress;
    this.#o.metrics.set(METRICS.drainRate, drain?.perSecond ?? 0);
    this.#o.metrics.set(METRICS.drainSecondsLeft, drain === null ? 0 : drain.secondsLeft ?? -1);
  }

  status(): UpstreamsStatus {
    return {
      upstream: defaultUpstreamUrl(this.#config),
      endpoints: this.#control.status(),
      drain: this.#progress.drain,
    };
  }

  stop(): void {
    this.#control.stop();
  }
}

function defaultOf({ upstreams }: UpstreamSnapshot): UpstreamSpec {
  return upstreams.find(({ name }) => name === DEFAULT_UPSTREAM)!;
}
