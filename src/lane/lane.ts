/**
 * A lane as the control plane sees it: two halves around one spool partition, kept alive.
 *
 * Start: the forward half first, then the ingest half, so that nothing is accepted that nobody would read. A half that
 * dies is replaced after a growing pause; the other one goes on, because all they share is the partition's files and
 * the control block, and both recover from what is on disk. Its counters live in shared memory and outlive it.
 *
 * Stop: the ingest half first (bodies in flight finish, the spool is closed), then the forward half (requests in
 * flight finish, the checkpoint is written).
 */
import { Backoff } from "../core/backoff.ts";
import type { Clock, Timer } from "../core/clock.ts";
import type { RelayAnswer, RelayQuestion } from "../protocol/relay_question.ts";
import type { QuotaUsage } from "../projects/quotas/quota_counters.ts";
import type { OutcomeSum } from "../outcomes/outcome_ledger.ts";
import type { RuleBan } from "../guard/ban_table.ts";
import { METRICS } from "../telemetry/catalogue.ts";
import { logger } from "../telemetry/log.ts";
import type { Metrics } from "../telemetry/registry.ts";
import type { HalfHost, HalfSpawner } from "./half_host.ts";
import type { TappedMessage } from "./lane_tap.ts";
import type {
  ConfigMessage,
  ForwardOptions,
  ForwardSettings,
  FromHalf,
  HalfKind,
  IngestOptions,
  IngestSettings,
  LearnedLimits,
  Ports,
  ToHalf,
} from "./messages.ts";
import {
  PendingTasks,
  type SpoolTask,
  SpoolTaskError,
  type SpoolTaskResult,
  TASK_HALF,
} from "./spool_tasks.ts";

const log = logger("lane");

/** A half that has run this long starts over with the shortest pause. */
const STABLE_MS = 60_000;

/** A half could not start, and trying again would not help. */
export class LaneStartError extends Error {
  override readonly name = "LaneStartError";
}

/** Options of {@link Lane}. */
export interface LaneOptions {
  readonly clock: Clock;
  readonly spawn: HalfSpawner;
  /** Counters of the control plane. */
  readonly metrics: Metrics;
  /** Options of a half, asked for at each start of it, so that a replacement gets the current snapshots. */
  readonly options: { ingest(ports: Ports): IngestOptions; forward(): ForwardOptions };
  /** A forward half learned limits. */
  onLimits(limits: LearnedLimits): void;
  /** A relay downstream asked the ingest half; `answer` goes back to it. */
  onRelay?(question: RelayQuestion, answer: (answer: RelayAnswer) => void): void;
  /** A rule of the guard banned a client. */
  onBanned?(ban: RuleBan): void;
  /** What quotas admitted. */
  onUsage?(usage: readonly QuotaUsage[]): void;
  /** A forward half counted outcomes that are to be reported. */
  onOutcomes?(sums: readonly OutcomeSum[]): void;
  /** A half shows what a tap wants to see. */
  onTapped?(tapped: TappedMessage): void;
  /** A half needs the states of these keys. */
  onWanted?(keys: readonly string[]): void;
}

/** Settings for a lane that runs. */
export interface LaneSettings {
  readonly logging: ConfigMessage["logging"];
  ingest(ports: Ports): IngestSettings;
  forward(): ForwardSettings;
}

type HalfState =
  | { kind: "idle" }
  | { kind: "starting"; host: HalfHost; started: PromiseWithResolvers<Ports | null>; isFirst: boolean }
  | { kind: "running"; host: HalfHost; sinceMs: number }
  | { kind: "waiting"; timer: Timer }
  | { kind: "stopping"; host: HalfHost; stopped: PromiseWithResolvers<void> }
  | { kind: "stopped" };

/** Supervisor of both halves. */
export class Lane {
  readonly #o: LaneOptions;
  readonly #states: Record<HalfKind, HalfState> = { ingest: { kind: "idle" }, forward: { kind: "idle" } };
  readonly #backoffs: Record<HalfKind, Backoff>;
  readonly #tasks = new PendingTasks();
  #ports: Ports = { plain: 0, tls: null };
  /** Halves that have not said yet that the latest settings are in force. */
  readonly #unconfigured = new Map<HalfKind, PromiseWithResolvers<void>>();

  constructor(readonly index: number, options: LaneOptions) {
    this.#o = options;
    const backoff = (): Backoff => new Backoff({ baseMs: 100, factor: 2, maxMs: 10_000 });
    this.#backoffs = { ingest: backoff(), forward: backoff() };
  }

  /**
   * Starts both halves.
   *
   * @param ports where to listen; 0 for any free port
   * @returns where the lane listens
   * @throws {LaneStartError} when a half cannot start, e.g. because the port is taken
   */
  async start(ports: Ports): Promise<Ports> {
    this.#ports = ports;
    await this.#launch("forward", true);
    this.#ports = await this.#launch("ingest", true) ?? ports;
    return this.#ports;
  }

  /** Whether both halves run. */
  get isUp(): boolean {
    return this.isHalfUp("ingest") && this.isHalfUp("forward");
  }

  /** Whether a half runs. */
  isHalfUp(kind: HalfKind): boolean {
    return this.#states[kind].kind === "running";
  }

  /** Passes a snapshot or limits on to the halves that run; others get the current ones when they start. */
  broadcast(message: ToHalf): void {
    for (const state of Object.values(this.#states)) {
      if (state.kind === "running" || state.kind === "starting") state.host.post(message);
    }
  }

  /** Has the ingest half report outcomes; false when it does not run. */
  report(sums: readonly OutcomeSum[]): boolean {
    const state = this.#states.ingest;
    if (state.kind !== "running") return false;
    state.host.post({ type: "outcomes", sums });
    return true;
  }

  /**
   * Hands new settings to both halves; resolves once they are in force, or the half is gone: its replacement starts
   * with them. One call at a time.
   */
  async configure({ logging, ingest, forward }: LaneSettings): Promise<void> {
    await Promise.all([
      this.#configure({ type: "config", kind: "ingest", logging, settings: ingest(this.#ports) }),
      this.#configure({ type: "config", kind: "forward", logging, settings: forward() }),
    ]);
  }

  /**
   * Has one of the halves do something to the dead letter.
   *
   * @throws {SpoolTaskError} the half does not run, fails to do it, or ends before it answered
   */
  ask<T extends SpoolTask>(task: T): Promise<SpoolTaskResult[T["kind"]]> {
    const kind = TASK_HALF[task.kind];
    const state = this.#states[kind];
    if (state.kind === "running") return this.#tasks.ask(task, (message) => state.host.post(message));
    return Promise.reject(new SpoolTaskError(`the ${kind} half of lane ${this.index} does not run`));
  }

  /** Finishes what is in flight within `graceMs` and stops one half; resolves when it has stopped. */
  async stop(kind: HalfKind, graceMs: number): Promise<void> {
    const state = this.#states[kind];
    if (state.kind === "waiting") state.timer.cancel();
    if (state.kind !== "running" && state.kind !== "starting") {
      this.#states[kind] = { kind: "stopped" };
      return;
    }
    const stopped = Promise.withResolvers<void>();
    this.#states[kind] = { kind: "stopping", host: state.host, stopped };
    state.host.post({ type: "stop", graceMs });
    await stopped.promise;
    state.host.terminate();
    this.#tasks.fail(kind, "the node stops");
  }

  /** Ends both halves at once. */
  terminate(): void {
    for (const kind of ["ingest", "forward"] as const) {
      const state = this.#states[kind];
      if (state.kind === "waiting") state.timer.cancel();
      else if ("host" in state) state.host.terminate();
      this.#tasks.fail(kind, "the node stops");
      this.#configured(kind);
      this.#states[kind] = { kind: "stopped" };
    }
  }

  #configure(message: ConfigMessage): Promise<void> | void {
    const state = this.#states[message.kind];
    if (state.kind !== "running" && state.kind !== "starting") return;
    const configured = Promise.withResolvers<void>();
    this.#unconfigured.set(message.kind, configured);
    state.host.post(message);
    return configured.promise;
  }

  #configured(kind: HalfKind): void {
    this.#unconfigured.get(kind)?.resolve();
    this.#unconfigured.delete(kind);
  }

  async #launch(kind: HalfKind, isFirst: boolean): Promise<Ports | null> {
    const started = Promise.withResolvers<Ports | null>();
    const host = this.#o.spawn(kind, {
      onMessage: (message) => this.#onMessage(kind, host, message),
      onDeath: (reason) => this.#onDeath(kind, host, reason),
    });
    this.#states[kind] = { kind: "starting", host, started, isFirst };
    host.post(
      kind === "ingest"
        ? { type: "start", kind, options: this.#o.options.ingest(this.#ports) }
        : { type: "start", kind, options: this.#o.options.forward() },
    );
    return await started.promise;
  }

  #onMessage(kind: HalfKind, host: HalfHost, message: FromHalf): void {
    const state = this.#states[kind];
    if (!("host" in state) || state.host !== host) return;
    switch (message.type) {
      case "started":
        if (state.kind !== "starting") return;
        this.#states[kind] = { kind: "running", host, sinceMs: this.#o.clock.monotonic() };
        return state.started.resolve(message.ports);
      case "failed":
        return this.#onDeath(kind, host, message.message);
      case "limits":
        return this.#o.onLimits(message);
      case "usage":
        return this.#o.onUsage?.(message.usage);
      case "outcomes":
        return this.#o.onOutcomes?.(message.sums);
      case "banned":
        return this.#o.onBanned?.(message.ban);
      case "wanted":
        return this.#o.onWanted?.(message.keys);
      case "relay": {
        const { id, question } = message;
        return this.#o.onRelay?.(question, (answer) => host.post({ type: "relay", id, answer }));
      }
      case "tapped":
        return this.#o.onTapped?.(message);
      case "spool":
        return this.#tasks.answered(message);
      case "configured":
        return this.#configured(kind);
      case "stopped":
        this.#configured(kind);
        if (state.kind === "stopping") state.stopped.resolve();
        this.#states[kind] = { kind: "stopped" };
    }
  }

  #onDeath(kind: HalfKind, host: HalfHost, reason: string): void {
    const state = this.#states[kind];
    if (!("host" in state) || state.host !== host) return;
    host.terminate();
    this.#tasks.fail(kind, reason);
    this.#configured(kind);
    if (state.kind === "stopping") {
      log.error("the {kind} half died while stopping: {reason}", { lane: this.index, kind, reason });
      this.#states[kind] = { kind: "stopped" };
      return state.stopped.resolve();
    }
    if (state.kind === "starting" && state.isFirst) {
      this.#states[kind] = { kind: "stopped" };
      return state.started.reject(new LaneStartError(reason));
    }
    this.#replace(kind, state.kind === "running" ? state.sinceMs : Infinity, reason);
  }

  #replace(kind: HalfKind, sinceMs: number, reason: string): void {
    const { clock, metrics } = this.#o;
    const backoff = this.#backoffs[kind];
    if (clock.monotonic() - sinceMs > STABLE_MS) backoff.reset();
    const pauseMs = backoff.next();
    metrics.add(METRICS.workerRestarts, 1, kind);
    log.error("the {kind} half died: {reason}", { lane: this.index, kind, reason, restartMs: pauseMs });
    const timer = clock.after(pauseMs, () => void this.#launch(kind, false).catch(() => {}));
    this.#states[kind] = { kind: "waiting", timer };
  }
}
