/**
 * All lanes of a node: what they share, what each is told when one of its halves starts, and what they tell back.
 *
 * A half is started with the snapshots of that moment, be it the first of its kind or a replacement; from then on it
 * gets what changes by {@link Lanes.broadcast}. Memory shared by the lanes lives here and outlives each of them.
 *
 * Uneven lanes: connections stay with the lane the kernel gave them to, and so does what came over them. What is bounded
 * for the node goes to the lane that needs it (requests to the upstream, disk, dead letters), less a small part that is
 * each lane's own. Connections are not closed to be spread anew: measured, it gains nothing (`bench:uneven`), and a
 * handshake and a lost race with the next request are what it costs.
 */
import type { Clock } from "../core/clock.ts";
import { createPermits, resizePermits } from "../core/shared_permits.ts";
import { VERSION } from "../core/version.ts";
import { logOptions } from "../config/config_secrets.ts";
import type { LoadedConfig } from "../config/load_config.ts";
import type { ManagedMode } from "../control/managed_mode.ts";
import type { QuotaExchange } from "../control/quota_exchange.ts";
import { type ConnectionCounts, createConnectionCounts } from "../listener/connection_gate.ts";
import type { OutcomeSum } from "../outcomes/outcome_ledger.ts";
import { ControlBlock } from "../spool/control_block.ts";
import { DeadLetterShare } from "../spool/dead_letter_share.ts";
import type { DiskBudget } from "../spool/disk_budget.ts";
import { ProjectBytes } from "../spool/project_bytes.ts";
import type { SpoolFolder } from "../spool/spool_folder.ts";
import { METRIC_LAYOUT } from "../telemetry/catalogue.ts";
import type { Metrics, MetricsReader } from "../telemetry/registry.ts";
import { type ProjectRate, TopProjects } from "../telemetry/top_projects.ts";
import type { GuardControl } from "./guard_control.ts";
import type { HalfSpawner } from "./half_host.ts";
import * as options from "./half_options.ts";
import { Lane, type LaneOptions, type LaneSettings } from "./lane.ts";
import type { CommonOptions, HalfKind, Ports, ToHalf } from "./messages.ts";
import type { NodeLogs } from "./node_logs.ts";
import type { NodeMemory } from "./node_memory.ts";
import type { NodeState } from "./node_state.ts";
import type { NodeUpstreams } from "./node_upstreams.ts";
import type { ProjectDirectory } from "./project_directory.ts";
import type { TapControl } from "./tap_control.ts";
import type { TlsFiles } from "./tls_files.ts";

/** The owners that lanes are wired to. */
export interface LanesOptions {
  readonly clock: Clock;
  readonly spawn: HalfSpawner;
  /** Counters of the control plane. */
  readonly metrics: Metrics;
  /** Reads the counters of each half, which this adds to it. */
  readonly reader: MetricsReader;
  readonly logs: NodeLogs;
  readonly state: NodeState;
  readonly memory: NodeMemory;
  readonly guard: GuardControl;
  readonly tls: TlsFiles;
  readonly projects: ProjectDirectory;
  readonly upstreams: NodeUpstreams;
  readonly quotas: QuotaExchange;
  readonly taps: TapControl;
  /** Null in modes that ask nobody. */
  readonly managed: ManagedMode | null;
  /** The configuration in force. */
  loaded(): LoadedConfig;
}

/** The lanes of a node. */
export class Lanes {
  readonly #o: LanesOptions;
  readonly #lanes: Lane[] = [];
  readonly #controls: ControlBlock[] = [];
  readonly #topProjects: TopProjects[] = [];
  readonly #connectionCounts: ConnectionCounts;
  /** For requests to the upstream: ingest halves pass on, forward halves send records. */
  readonly #permits: Readonly<Record<HalfKind, SharedArrayBuffer>>;
  readonly #deadLetters: SharedArrayBuffer;
  #permitsTotal: number;
  /** Null when no project is held to a share. */
  readonly #projectBytes: ProjectBytes | null;

  constructor(parts: LanesOptions) {
    this.#o = parts;
    const { config } = parts.loaded();
    this.#connectionCounts = createConnectionCounts(config.lanes * options.connectionsPerLane(config));
    this.#permitsTotal = config.limits.maxConcurrentRequests;
    const permits = (): SharedArrayBuffer => createPermits(this.#permitsTotal, config.lanes);
    this.#permits = { ingest: permits(), forward: permits() };
    this.#deadLetters = DeadLetterShare.createBuffer(config.lanes);
    this.#projectBytes = config.spool.projectShare < 1 ? ProjectBytes.create(config.lanes) : null;
  }

  /** Every lane that was started. */
  get all(): readonly Lane[] {
    return this.#lanes;
  }

  /** The projects that send most. @param nowMs wall clock */
  busiestProjects(count: number, nowMs: number): ProjectRate[] {
    return TopProjects.busiest(this.#topProjects, count, nowMs);
  }

  /** Whether both halves of every lane run. */
  get areUp(): boolean {
    return this.#lanes.every((lane) => lane.isUp);
  }

  /** Whether the disk of a partition refuses to be written. */
  get diskRefuses(): boolean {
    return this.#controls.some((control) => control.unhealthy);
  }

  /** Records on disk that wait to be sent. */
  get waitingRecords(): number {
    return this.#controls.reduce((sum, control) => sum + control.waitingRecords, 0);
  }

  /**
   * Starts a lane for each partition, one after the other: the first one finds the ports.
   *
   * @returns where they listen
   * @throws {LaneStartError} when a half cannot start
   */
  async start(folder: SpoolFolder, budget: DiskBudget, ports: Ports): Promise<Ports> {
    for (const index of folder.partitions.keys()) {
      const lane = this.#createLane(index, folder, budget);
      this.#lanes.push(lane);
      ports = await lane.start(ports);
    }
    return ports;
  }

  /** Passes a snapshot on to all halves that run. */
  broadcast(message: ToHalf): void {
    for (const lane of this.#lanes) lane.broadcast(message);
  }

  /** Puts the settings in force into all halves; resolves when they act by them. */
  async configure(loaded: LoadedConfig): Promise<void> {
    const settings = this.#settings(loaded);
    const { limits, lanes } = loaded.config;
    for (const permits of Object.values(this.#permits)) {
      resizePermits(permits, this.#permitsTotal, limits.maxConcurrentRequests, lanes);
    }
    this.#permitsTotal = limits.maxConcurrentRequests;
    await Promise.all(this.#lanes.map((lane) => lane.configure(settings)));
  }

  /** Stops all halves of a kind; each finishes what is in flight within what `graceLeft` (milliseconds) says. */
  async stop(kind: HalfKind, graceLeft: () => number): Promise<void> {
    await Promise.all(this.#lanes.map((lane) => lane.stop(kind, graceLeft())));
  }

  /** Has a lane report outcomes; false when it cannot. */
  report(sums: readonly OutcomeSum[], index = 0): boolean {
    return this.#lanes[index]?.report(sums) ?? false;
  }

  /** Ends all halves at once. */
  terminate(): void {
    for (const lane of this.#lanes) lane.terminate();
  }

  #settings(loaded: LoadedConfig): LaneSettings {
    const { guard, tls, managed } = this.#o;
    const edge = { connectionCounts: this.#connectionCounts, tls: tls.material, guard: guard.buffers };
    return {
      logging: logOptions(loaded),
      ingest: (ports) => options.ingestSettings(loaded, ports, edge),
      forward: () => options.forwardSettings(loaded, managed?.isHeld ?? false),
    };
  }

  #createLane(index: number, folder: SpoolFolder, budget: DiskBudget): Lane {
    const control = new ControlBlock();
    this.#controls.push(control);
    const topProjects = new TopProjects();
    this.#topProjects.push(topProjects);
    const metrics = { ingest: METRIC_LAYOUT.createBuffer(), forward: METRIC_LAYOUT.createBuffer() };
    for (const buffer of Object.values(metrics)) this.#o.reader.include(buffer);
    const common = (kind: HalfKind): CommonOptions => ({
      ...this.#commonOptions(kind, index),
      partitionDir: folder.partitions[index]!,
      control: control.buffer,
      budget: budget.buffer,
      metrics: metrics[kind],
      topProjects: topProjects.buffer,
    });
    const settings = (): LaneSettings => this.#settings(this.#o.loaded());
    return new Lane(index, {
      clock: this.#o.clock,
      spawn: this.#o.spawn,
      metrics: this.#o.metrics,
      options: {
        ingest: (ports) => ({ ...common("ingest"), ...settings().ingest(ports) }),
        forward: () => ({
          ...common("forward"),
          ...settings().forward(),
          deadLetters: this.#deadLetters,
          leftovers: folder.leftovers[index]!,
        }),
      },
      ...this.#listeners(index),
    });
  }

  /** What every half is told at its start, whatever its partition. */
  #commonOptions(
    kind: HalfKind,
    index: number,
  ): Omit<CommonOptions, "partitionDir" | "control" | "budget" | "metrics" | "topProjects"> {
    const { clock, logs, memory, projects, quotas, state, upstreams, taps } = this.#o;
    const loaded = this.#o.loaded();
    return {
      lane: index,
      version: VERSION,
      logging: logOptions(loaded),
      logRing: logs.ringOf(kind, index),
      accessRing: logs.accessRingOf(index),
      projects: projects.snapshot,
      limits: [...memory.limits.all(clock.now())],
      permits: this.#permits[kind],
      projectBytes: this.#projectBytes?.buffer ?? null,
      nodeState: state.buffer,
      taps: taps.filters,
      upstreams: upstreams.snapshot,
      health: upstreams.healthOf(index, kind),
      quotas: quotas.buffer,
      ...options.policyOptions(loaded),
    };
  }

  /** What becomes of what a lane tells. */
  #listeners(index: number): Omit<LaneOptions, "clock" | "spawn" | "metrics" | "options"> {
    const { clock, guard, managed, memory, quotas } = this.#o;
    return {
      onWanted: (keys) => managed?.want(keys),
      onRelay: (question, answer) => void managed?.answer(question).then(answer),
      onLimits: (learned) => {
        memory.learn(learned, clock.now());
        this.broadcast({ type: "limits", ...learned });
      },
      onOutcomes: (sums) => memory.report(sums, (sums) => this.report(sums, index)),
      onUsage: (usage) => quotas.include(usage),
      onBanned: (ban) => guard.takeOver(ban),
      onTapped: (tapped) => this.#o.taps.tapped(tapped),
    };
  }
}
