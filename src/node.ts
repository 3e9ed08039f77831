/**
 * A node: the composition root, and the only file that knows every room.
 *
 * Start order: projects, spool folder (lock, adoption), lanes one after the other (the first one finds the port), admin
 * and internal listener, readiness. Drain order: not ready, `listener.drain_delay`, ingest halves, forward halves,
 * admin listener, spool folder. What is not sent when the time is over stays on disk and goes out at the next start.
 *
 * The control plane is this isolate. It is never on the path of an envelope: it hands out snapshots, passes learned
 * limits on, replaces halves that died, and answers questions about the node.
 */
import { VERSION } from "./core/version.ts";
import type { Clock } from "./core/clock.ts";
import type { LoadedConfig } from "./config/load_config.ts";
import type { ConfigSources } from "./config/config_sources.ts";
import type { KeyChange } from "./config/config_change.ts";
import { ConfigControl, type ReloadResult, type ReloadTrigger } from "./control/config_control.ts";
import { adminApp } from "./admin/admin_app.ts";
import { type Probe, readinessProbes } from "./admin/readiness.ts";
import { type NodeFacts, type NodeStatus, nodeStatus } from "./admin/node_status.ts";
import * as options from "./lane/half_options.ts";
import type { HalfSpawner } from "./lane/half_host.ts";
import { DeadLetterControl } from "./lane/dead_letter_control.ts";
import { GuardControl } from "./lane/guard_control.ts";
import { type QuotaExchange, sharedQuotas } from "./control/quota_exchange.ts";
import { cachePathOf } from "./control/cache_file.ts";
import { ManagedMode } from "./control/managed_mode.ts";
import { Lanes } from "./lane/lanes.ts";
import type { Ports } from "./lane/messages.ts";
import { NodeInsight } from "./lane/node_insight.ts";
import { NodeLogs } from "./lane/node_logs.ts";
import { NodeMemory } from "./lane/node_memory.ts";
import { policyFacts } from "./lane/node_policy.ts";
import { setNodeGauges, spoolNotes } from "./lane/node_gauges.ts";
import { NodeState } from "./lane/node_state.ts";
import { NodeUpstreams, type NodeUpstreamsOptions } from "./lane/node_upstreams.ts";
import { TapControl } from "./lane/tap_control.ts";
import { TlsFiles } from "./lane/tls_files.ts";
import { affectsUpstreams } from "./lane/upstream_plan.ts";
import { ProjectDirectory } from "./lane/project_directory.ts";
import type { PolicyFacts } from "./projects/policy_facts.ts";
import { DiskBudget } from "./spool/disk_budget.ts";
import { openSpoolFolder, type SpoolFolder } from "./spool/spool_folder.ts";
import { SpaceWatch } from "./spool/space_watch.ts";
import type { Storage } from "./spool/storage.ts";
import { METRIC_LAYOUT, METRICS } from "./telemetry/catalogue.ts";
import { logger } from "./telemetry/log.ts";
import { Metrics, MetricsReader } from "./telemetry/registry.ts";
import { type NodeServer, serveAdmin, serveInternal } from "./lane/node_servers.ts";

const log = logger("node");

/** How often readiness and gauges are looked at. */
const TICK_MS = 250;
const TOP_PROJECTS = 10;

/** What a node needs of the machine; tests hand in their own. */
export interface NodeDeps extends Pick<NodeUpstreamsOptions, "resolver"> {
  readonly clock: Clock;
  readonly storage: Storage;
  readonly spawn: HalfSpawner;
  readonly sources: ConfigSources;
}

/** A running node. */
export class Node {
  /** Bans and shared memory of the guard. */
  readonly guard: GuardControl;
  readonly metrics: MetricsReader = new MetricsReader(METRIC_LAYOUT);
  readonly #config: ConfigControl;
  readonly #deps: NodeDeps;
  readonly #own = new Metrics(METRIC_LAYOUT);
  readonly #state = new NodeState();
  readonly #logs: NodeLogs;
  readonly #memory: NodeMemory;
  readonly #quotas: QuotaExchange;
  readonly #projects: ProjectDirectory;
  readonly #upstreams: NodeUpstreams;
  /** Null in modes that ask nobody. */
  readonly #managed: ManagedMode | null;
  readonly #tls: TlsFiles;
  readonly #lanes: Lanes;
  readonly #insight: NodeInsight;
  readonly #taps: TapControl;
  readonly #servers: NodeServer[] = [];
  readonly #stopTicking = new AbortController();
  readonly #startedMs: number;
  #folder: SpoolFolder | null = null;
  #budget: DiskBudget;
  #space: SpaceWatch | null = null;
  #phase: "starting" | "running" | "draining" | "stopped" = "starting";
  #ports: Ports;

  private constructor(loaded: LoadedConfig, deps: NodeDeps) {
    const { lanes } = options.runnableHere(loaded).config;
    if (lanes < loaded.config.lanes) {
      log.warn("this runtime cannot share a port: one lane", { asked: loaded.config.lanes });
    }
    this.#deps = deps;
    this.#config = new ConfigControl({
      loaded,
      clock: deps.clock,
      metrics: this.#own,
      adapt: options.runnableHere,
      apply: (next, changed) => this.#reconfigure(next, changed),
    });
    this.#startedMs = deps.clock.monotonic();
    this.#logs = new NodeLogs({ ...deps, loaded, metrics: this.#own, reader: this.metrics });
    this.#quotas = sharedQuotas(loaded, deps.clock, this.#own);
    this.#projects = new ProjectDirectory(loaded, deps.sources, this.#own);
    this.#upstreams = new NodeUpstreams(this.#loaded, {
      ...deps,
      metrics: this.#own,
      reader: this.metrics,
      onSnapshot: (snapshot) => this.#lanes.broadcast({ type: "upstreams", snapshot }),
    });
    this.#managed = this.#projects.fetched = this.#createManaged();
    this.guard = new GuardControl(this.#loaded.config, deps.clock, this.metrics);
    this.#budget = DiskBudget.create(loaded.config.spool.envelopes.maxDiskSize);
    this.#tls = new TlsFiles(loaded, this.#own);
    this.#ports = { plain: loaded.config.relay.port, tls: loaded.config.relay.tlsPort };
    this.metrics.include(this.#own.buffer);
    this.#memory = new NodeMemory(loaded.config.spool.envelopes.path);
    this.#taps = new TapControl(deps.clock, () => this.#lanes);
    this.#lanes = new Lanes({
      taps: this.#taps,
      clock: deps.clock,
      spawn: deps.spawn,
      metrics: this.#own,
      reader: this.metrics,
      logs: this.#logs,
      state: this.#state,
      memory: this.#memory,
      guard: this.guard,
      tls: this.#tls,
      projects: this.#projects,
      upstreams: this.#upstreams,
      quotas: this.#quotas,
      managed: this.#managed,
      loaded: () => this.#loaded,
    });
    this.#insight = new NodeInsight({
      ...deps,
      metrics: this.#own,
      reader: this.metrics,
      lanes: this.#lanes,
      status: () => this.status(),
      statsd: () => this.#loaded.config.metrics,
    });
  }

  /**
   * Starts a node; resolves when it takes traffic.
   *
   * @throws {ConfigError} a project file is wrong
   * @throws {Error} the spool folder or a port cannot be used; nothing is left running
   */
  static async start(loaded: LoadedConfig, deps: NodeDeps): Promise<Node> {
    const node = new Node(loaded, deps);
    try {
      await node.#start();
      return node;
    } catch (error) {
      await node.#abandon();
      throw error;
    }
  }

  /** Port of the ingestion listener. */
  get port(): number {
    return this.#ports.plain;
  }

  /** Port of the ingestion listener with TLS, or `null`. */
  get tlsPort(): number | null {
    return this.#ports.tls;
  }

  /** The configuration in force. */
  get #loaded(): LoadedConfig {
    return this.#config.loaded;
  }

  /** Address of the admin listener, or `null`. */
  get adminPort(): number | null {
    return this.#servers.find(({ name }) => name === "admin")?.port ?? null;
  }

  /** The node at a glance. */
  status(): NodeStatus {
    this.#observe();
    const { relay } = this.#loaded.config;
    const problems = this.#probes().flatMap(({ problem }) => problem ?? []);
    const running = problems.length === 0 ? "ready" : "unready";
    const phases = { starting: "starting", running, draining: "draining", stopped: "draining" } as const;
    const facts: NodeFacts = {
      version: VERSION,
      mode: relay.mode,
      ...this.#upstreams.status(),
      lanes: this.#lanes.all.length,
      phase: phases[this.#phase],
      problems,
      notes: [...spoolNotes(this.metrics), ...this.#quotas.notes],
      topProjects: this.#lanes.busiestProjects(TOP_PROJECTS, this.#deps.clock.now()),
      errors: this.#insight.errors.newest,
      registration: this.#managed?.registration.kind ?? null,
      uptimeSeconds: (this.#deps.clock.monotonic() - this.#startedMs) / 1000,
    };
    return nodeStatus(facts, this.metrics);
  }

  /** Loads the configuration again; resolves when what can change without a restart is in force in all lanes. */
  reload(trigger: ReloadTrigger): Promise<ReloadResult> {
    if (trigger === "signal") this.#logs.reopen();
    return this.#config.reload(trigger);
  }

  /**
   * Stops without losing anything. The whole takes at most `listener.drain_delay` + `limits.shutdown_timeout`, and a
   * second for reports of errors.
   */
  async drain(): Promise<void> {
    if (this.#phase !== "running") return;
    const { clock } = this.#deps;
    const { listener, limits } = this.#loaded.config;
    this.#phase = "draining";
    this.#observe();
    log.info("draining", { delayMs: listener.drainDelay, timeoutMs: limits.shutdownTimeout });
    await clock.sleep(listener.drainDelay);
    const end = clock.monotonic() + limits.shutdownTimeout;
    const left = (): number => Math.max(0, end - clock.monotonic());
    await this.#lanes.stop("ingest", left);
    await this.#lanes.stop("forward", left);
    await this.#managed?.stop();
    this.#memory.close(clock.now());
    await this.#close();
    log.info("stopped", { waiting: this.#lanes.waitingRecords });
    await this.#logs.close();
  }

  async #start(): Promise<void> {
    const { config } = this.#loaded;
    const { storage } = this.#deps;
    this.#projects.load();
    this.#tls.load(this.#deps.clock.now());
    this.#folder = await openSpoolFolder(storage, config.spool.envelopes.path, config.lanes);
    await this.#logs.start();
    this.#memory.recall(this.#deps.clock.now());
    this.#budget = DiskBudget.create(config.spool.envelopes.maxDiskSize, this.#folder.bytes);
    const { partitions } = this.#folder;
    const freeBytesMin = config.spool.freeSpace;
    this.#space = new SpaceWatch({ storage, partitions, budget: this.#budget, freeBytesMin });
    await this.#space.look();
    await this.guard.start(storage);
    await this.#upstreams.start();
    await this.#managed?.load();
    this.#managed?.start();
    this.#ports = await this.#lanes.start(this.#folder, this.#budget, this.#ports);
    const health = {
      isLive: () => true,
      isReady: () => this.#state.ready,
      autoscaling: () => this.#state.autoscaling,
    };
    const internal = serveInternal(config, health, VERSION, this.#own, this.#deps.clock);
    if (internal) this.#servers.push(await internal);
    if (config.admin.enabled) {
      const deadLetters = new DeadLetterControl(this.#lanes.all);
      const parts = { metrics: this.metrics, deadLetters, bans: this.guard, config: this.#config };
      const token = (): string | null => this.#loaded.config.admin.token;
      const source = {
        ...parts,
        feed: this.#insight.feed,
        taps: this.#taps,
        clock: this.#deps.clock,
        token,
        status: () => this.status(),
        probes: () => this.#probes(),
        policy: { facts: (key: string, root: string | null) => this.#policyFacts(key, root) },
      };
      this.#servers.push(serveAdmin(config, adminApp(source), this.#deps.clock));
    }
    this.#phase = "running";
    this.#observe();
    this.#insight.start(partitions);
    void this.#tick();
    void this.#space.run(this.#deps.clock, this.#stopTicking.signal);
    void this.#config.watch(this.#stopTicking.signal);
    const { plain: port, tls: tlsPort } = this.#ports;
    const { mode, host } = config.relay;
    log.info("ready", { mode, host, port, ...tlsPort !== null && { tlsPort }, lanes: config.lanes });
  }

  async #reconfigure(loaded: LoadedConfig, changed: readonly KeyChange[]): Promise<void> {
    const { config } = loaded;
    this.#logs.configure(loaded, changed);
    this.#budget.bytesMax = config.spool.envelopes.maxDiskSize;
    if (this.#projects.configure(config)) {
      this.#lanes.broadcast({ type: "projects", snapshot: this.#projects.snapshot });
    }
    const isElsewhere = changed.some(({ key }) => affectsUpstreams(key)) && this.#upstreams.configure(config);
    this.#managed?.configure(config, isElsewhere);
    this.guard.configure(config);
    await this.#lanes.configure(loaded);
  }

  #createManaged(): ManagedMode | null {
    const { config, credentials } = this.#loaded;
    if (config.relay.mode !== "managed" || credentials === null) return null;
    const { clock, storage } = this.#deps;
    return new ManagedMode({
      config,
      credentials,
      clock,
      storage,
      metrics: this.#own,
      client: this.#upstreams.queryClient(),
      cachePath: cachePathOf(config.spool.envelopes.path),
      onChanges: (changes) =>
        this.#lanes.broadcast({ type: "project_changes", changes: this.#projects.overlaid(changes) }),
      onGlobal: (global) => this.#lanes.broadcast({ type: "global", config: global }),
      onHeld: (isHeld) => this.#lanes.broadcast({ type: "hold", isHeld }),
    });
  }

  #policyFacts(key: string, rootKey: string | null): PolicyFacts {
    return policyFacts(key, rootKey, {
      clock: this.#deps.clock,
      loaded: this.#loaded,
      projects: this.#projects,
      memory: this.#memory,
      counters: this.#quotas.counters,
      managed: this.#managed,
      notes: this.#quotas.notes,
    });
  }

  #probes(): Probe[] {
    const mustBeRegistered = this.#loaded.config.auth.ready === "authenticated";
    return readinessProbes({
      lanesUp: this.#lanes.areUp,
      registrationProblem: mustBeRegistered ? this.#managed?.problem ?? null : null,
      diskRefuses: this.#lanes.diskRefuses,
      spoolFull: this.#budget.isFull,
      spaceLow: this.#space?.isLow ?? false,
      memoryUsedUp: this.guard.isOutOfMemory,
      draining: this.#phase === "draining",
    });
  }

  #observe(): void {
    this.guard.observe(this.#own, this.#budget.bytesUsed / this.#budget.bytesMax);
    const ready = this.#state.ready = this.#phase === "running" && this.#probes().every(({ ok }) => ok);
    this.#state.draining = this.#phase === "draining";
    this.#state.figures = {
      memoryUsage: this.#own.read(METRICS.pressure, "memory"),
      utilization: this.#own.read(METRICS.pressure, "event_loop"),
      spoolItems: this.#lanes.waitingRecords,
      spoolBytes: this.#budget.bytesUsed,
    };
    this.#tls.observe(this.#deps.clock.now());
    const freeBytes = this.#space?.freeBytes ?? 0;
    setNodeGauges(this.#own, this.#budget, { ready, freeBytes, waiting: this.#lanes.waitingRecords });
  }

  async #tick(): Promise<void> {
    const { signal } = this.#stopTicking;
    while (!signal.aborted) {
      await this.#deps.clock.sleep(TICK_MS, signal);
      this.#observe();
      this.#insight.tick();
      this.#logs.tick();
      this.#upstreams.tick(this.#lanes.waitingRecords);
      this.#managed?.tick();
      const material = this.#tls.reloadIfDue(this.#deps.clock.monotonic());
      if (material) this.#lanes.broadcast({ type: "certificates", material });
      this.#memory.tick(this.#deps.clock.now(), (sums) => this.#lanes.report(sums));
      const snapshot = this.#projects.reloadIfDue(this.#deps.clock.monotonic());
      if (snapshot) this.#lanes.broadcast({ type: "projects", snapshot });
    }
  }

  async #close(): Promise<void> {
    this.#phase = "stopped";
    this.#insight.close();
    this.#taps.close();
    this.#upstreams.stop();
    this.#stopTicking.abort();
    await Promise.all(this.#servers.map((server) => server.close()));
    await Promise.all([this.#quotas.stop(), this.guard.close()]);
    this.#folder?.release();
  }

  async #abandon(): Promise<void> {
    this.#lanes.terminate();
    await this.#managed?.stop();
    await this.#close();
    await this.#logs.close();
  }
}
