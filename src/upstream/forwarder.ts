/**
 * Sends records upstream until each has reached its end.
 *
 * Records are pulled from a {@link ForwardSource} while fewer than `maxConcurrent` requests are under way and an upstream is
 * ready for more, so nothing queues here: what cannot be sent stays where it is safe. What becomes of a record is decided
 * by `classify.ts`:
 *
 * | result | consequence |
 * |---|---|
 * | delivered, rate_limited | settled |
 * | rejected | dead letter; 415 first makes the encoder avoid the encoding, and the record is sent again at once |
 * | server_error | sent again, {@link SERVER_ERRORS_MAX} times in total, then dead letter |
 * | network_error | tried at another endpoint (`upstream_client.ts`), then sent again later, for ever |
 *
 * Where a record goes, and whether it may go now:
 *
 * | question | answered by |
 * |---|---|
 * | which upstream? | the key, its project or organisation, or shares by key (`upstream_route.ts`) |
 * | may one more be sent there? | outage, ramp after it, adaptive concurrency (`forward_target.ts`) |
 * | to which endpoint? | priority, health, weight, load (`balancer.ts`, `endpoint.ts`, `breaker.ts`) |
 * | another one after a failure? | the retry budget (`retry_budget.ts`) |
 * | which endpoints are there, and how are they? | the control plane (`upstream_control.ts`) |
 *
 * While no upstream is ready nothing is pulled. While one of several is not, a few of its records wait here, and then the
 * projects whose records would be next are passed over ({@link ForwardSource.postpone}), so that it holds nobody else up.
 * Records with bodies of their own files do not wait here for an upstream that cannot be reached: they have taken turns
 * that such records for other upstreams need.
 *
 * Stop: pulling ends, requests under way have the grace time to finish, then they are given up. Their records are not
 * settled, so they are sent again after the next start.
 */
import type { Clock } from "../core/clock.ts";
import type { SharedPermits } from "../core/shared_permits.ts";
import type { RequestMeta } from "../protocol/request_meta.ts";
import { METRICS } from "../telemetry/catalogue.ts";
import { logger } from "../telemetry/log.ts";
import type { Metrics } from "../telemetry/registry.ts";
import type { ForwardResult } from "./classify.ts";
import { BodyLostError, type ForwardJob, type ForwardSource } from "./forward_source.ts";
import type { ForwardTarget } from "./forward_target.ts";
import type { OutageState } from "./outage.ts";
import { retryBackoff, type RetryTiming } from "./reachability.ts";

export type { ForwardJob, ForwardResult, ForwardSource };

const log = logger("upstream");

const SERVER_ERRORS_MAX = 3;
/** Records in memory for an upstream that is not ready. */
const WAITING_MAX = 16;

/** The upstreams of a forwarder; they may change. */
export interface ForwardTargets {
  readonly all: readonly ForwardTarget[];
  /** The upstream a record goes to. */
  of(meta: RequestMeta): ForwardTarget;
  /** A record was delivered by `target`; whoever wants a copy takes it. */
  delivered(job: ForwardJob, target: ForwardTarget): void;
  /** Gives up what is under way. */
  close(): void;
}

/** Options of {@link Forwarder}; times in milliseconds. Numbers are read at use, and may change. */
export interface ForwarderOptions<Job extends ForwardJob = ForwardJob> {
  /** Closed by {@link Forwarder.stop}. */
  readonly targets: ForwardTargets;
  readonly source: ForwardSource<Job>;
  readonly clock: Clock;
  readonly metrics: Metrics;
  /** Whether nothing is sent until {@link Forwarder.hold} says otherwise. */
  readonly isHeld?: boolean;
  /** Read at use, and may change. */
  readonly timing: Pick<RetryTiming, "retryDelayMs" | "retryIntervalMsMax"> & {
    readonly maxConcurrent: number;
  };
  /** Shared with the other lanes; each request under way takes one. */
  readonly permits?: Pick<SharedPermits, "tryTake" | "give">;
  readonly random?: () => number;
}

/** What the status page shows. */
export interface ForwarderState {
  /** Of the upstream that is worst off. */
  readonly outage: OutageState;
  readonly inFlight: number;
  readonly connections: { readonly open: number; readonly idle: number };
  /** Last result that was no delivery; `atMs` is wall clock. */
  readonly lastError: { readonly atMs: number; readonly message: string } | null;
}

const REACHABLE: OutageState = { kind: "reachable" };

/** Forwards records; made once per lane. */
export class Forwarder<Job extends ForwardJob = ForwardJob> {
  readonly #o: ForwarderOptions<Job>;
  readonly #stop = new AbortController();
  readonly #failed = Promise.withResolvers<never>();
  /** Records for upstreams that are not ready. */
  readonly #waiting = new Map<ForwardTarget, Job[]>();
  /** Upstreams for which projects are passed over. */
  readonly #postponed = new Set<string>();
  #inFlight = 0;
  #isHeld: boolean;
  #changed: PromiseWithResolvers<void> | null = null;
  #lastError: ForwarderState["lastError"] = null;
  #finished: Promise<void> = Promise.resolve();

  constructor(options: ForwarderOptions<Job>) {
    this.#o = options;
    this.#isHeld = options.isHeld ?? false;
    this.targetsChanged();
  }

  get state(): ForwarderState {
    const { all } = this.#o.targets;
    const outages = all.map(({ outage }) => outage);
    const worst = outages.find(({ kind }) => kind === "outage") ??
      outages.find(({ kind }) => kind === "grace");
    let [open, idle] = [0, 0];
    for (const { connections } of all) {
      open += connections.open;
      idle += connections.idle;
    }
    return {
      outage: worst ?? REACHABLE,
      inFlight: this.#inFlight,
      connections: { open, idle },
      lastError: this.#lastError,
    };
  }

  /** Settles when forwarding has ended; rejects when the source failed, since nothing can be forwarded then. */
  get finished(): Promise<void> {
    return this.#finished;
  }

  start(): void {
    this.#finished = Promise.race([this.#pull(), this.#failed.promise]);
  }

  /** Keeps all records back, or no longer; those under way go on. */
  hold(isHeld: boolean): void {
    this.#isHeld = isHeld;
    this.#wake();
  }

  /** There are other upstreams, or other ways to them. */
  targetsChanged(): void {
    const { targets } = this.#o;
    const { all } = targets;
    for (const target of all) target.listeners.add(this.#targetChanged);
    const moved: Job[] = [];
    for (const [target, jobs] of this.#waiting) {
      moved.push(...jobs.filter((job) => targets.of(job.meta) !== target));
      this.#waiting.set(target, jobs.filter((job) => !moved.includes(job)));
      if (!all.includes(target)) this.#waiting.delete(target);
    }
    for (const job of moved) this.#wait(job, targets.of(job.meta));
    // Whoever waits for an upstream that is gone, or is to go elsewhere, is looked at again.
    for (const name of this.#postponed) while (this.#o.source.resume(name));
    this.#postponed.clear();
    this.#targetChanged();
  }

  /** Finishes what is under way within `graceMs`, gives up the rest, and closes the upstreams. */
  async stop(graceMs: number): Promise<void> {
    const { targets, clock } = this.#o;
    this.#stop.abort();
    for (const target of targets.all) target.stop();
    this.#wake();
    const inTime = new AbortController();
    const graceEnds = clock.sleep(graceMs, inTime.signal);
    await Promise.race([this.#drained(), graceEnds]);
    inTime.abort();
    targets.close();
    await this.#drained();
    await this.#finished.catch(() => {});
  }

  async #pull(): Promise<void> {
    const { source, clock, permits } = this.#o;
    while (!this.#stop.signal.aborted) {
      const nowMs = clock.monotonic();
      this.#sendWaiting(nowMs);
      const readyAtMs = this.#readyAtMs(nowMs);
      if (readyAtMs > nowMs) {
        await this.#changeBy(readyAtMs);
        continue;
      }
      if (permits?.tryTake() === false) {
        await this.#change();
        continue;
      }
      const next = source.next();
      const job = next instanceof Promise ? await next : next;
      // Who is sent at once has the permit; whoever else needs one takes it when it is sent.
      if (!job || !this.#dispatch(job)) permits?.give();
      if (!job) await this.#waitForRecord();
    }
  }

  /** Resolves when there may be a record to pull, or one that waits here may be sent. */
  async #waitForRecord(): Promise<void> {
    const { source, clock } = this.#o;
    if (this.#waiting.size === 0) return await source.wait(this.#stop.signal);
    const nowMs = clock.monotonic();
    const readyAtMs = Math.min(
      ...[...this.#waiting].filter(([, jobs]) => jobs.length > 0).map(([target]) => target.readyAtMs(nowMs)),
    );
    const changed = new AbortController();
    void this.#changeBy(readyAtMs).then(() => changed.abort());
    await source.wait(changed.signal);
    // Ends the other wait, if it was the source that had something.
    this.#wake();
  }

  /** When the next record may be pulled. */
  #readyAtMs(nowMs: number): number {
    if (this.#isHeld || this.#inFlight >= this.#o.timing.maxConcurrent) return Infinity;
    let earliest = Infinity;
    for (const target of this.#o.targets.all) earliest = Math.min(earliest, target.readyAtMs(nowMs));
    return earliest;
  }

  /** Sends a record, or has it wait; false when it was not sent. */
  #dispatch(job: Job): boolean {
    const target = this.#o.targets.of(job.meta);
    const waiting = this.#waiting.get(target);
    const isNext = waiting === undefined || waiting.length === 0;
    if (isNext && target.readyAtMs(this.#o.clock.monotonic()) <= this.#o.clock.monotonic()) {
      void this.#forward(job, target);
      return true;
    }
    this.#wait(job, target);
    return false;
  }

  #wait(job: Job, target: ForwardTarget): void {
    const waiting = this.#waiting.get(target) ?? [];
    this.#waiting.set(target, waiting);
    const mayWait = waiting.length < WAITING_MAX && !(job.stream && target.isHeld);
    if (mayWait) waiting.push(job);
    else this.#postpone(job, target);
  }

  #postpone(job: Job, target: ForwardTarget): void {
    this.#postponed.add(target.name);
    this.#o.source.postpone(job, target.name);
  }

  /** Gives the large records back that wait for an upstream that cannot be reached any more. */
  #postponeLarge(waiting: Job[], target: ForwardTarget): void {
    for (const job of waiting.filter(({ stream }) => stream)) {
      waiting.splice(waiting.indexOf(job), 1);
      this.#postpone(job, target);
    }
  }

  #sendWaiting(nowMs: number): void {
    const { timing, permits, source } = this.#o;
    for (const [target, waiting] of this.#waiting) {
      if (target.isHeld) this.#postponeLarge(waiting, target);
      while (waiting.length > 0 && !this.#isHeld && target.readyAtMs(nowMs) <= nowMs) {
        if (this.#inFlight >= timing.maxConcurrent || permits?.tryTake() === false) return;
        void this.#forward(waiting.shift()!, target);
      }
      if (waiting.length > 0 || target.readyAtMs(nowMs) > nowMs) continue;
      if (this.#postponed.has(target.name) && !source.resume(target.name)) {
        this.#postponed.delete(target.name);
      }
    }
  }

  async #forward(job: Job, target: ForwardTarget): Promise<void> {
    this.#inFlight++;
    if (job.attempts === 0) this.#o.metrics.observe(METRICS.spoolWait, this.#ageSeconds(job));
    try {
      const result = await target.deliver(job);
      if (result) await this.#conclude(job, target, result);
    } catch (error) {
      if (error instanceof BodyLostError) this.#lose(job, error);
      else this.#failed.reject(error);
    } finally {
      this.#inFlight--;
      this.#o.permits?.give();
      this.#wake();
    }
  }

  #lose(job: Job, error: BodyLostError): void {
    log.error("the body of a record is lost: {error}", { error: error.message });
    this.#o.source.lost(job);
  }

  async #conclude(job: Job, target: ForwardTarget, result: ForwardResult): Promise<void> {
    const { source, metrics, clock, targets } = this.#o;
    if (result.kind === "delivered") {
      metrics.observe(METRICS.forwardAge, this.#ageSeconds(job));
      targets.delivered(job, target);
      return source.settle(job, result);
    }
    if (result.kind === "rate_limited") return source.settle(job, result);
    this.#lastError = { atMs: clock.now(), message: result.message };
    const isFinal = result.kind === "rejected" ||
      (result.kind === "server_error" && job.serverErrors + 1 >= SERVER_ERRORS_MAX);
    if (isFinal) {
      log.warn("the upstream refused a record: {reason}", { reason: result.message });
      return await source.deadLetter(job, result);
    }
    metrics.add(METRICS.forwardRetries, 1);
    source.retryLater(job, this.#retryDelayMs(job.attempts), result);
  }

  #ageSeconds({ receivedMs }: Job): number {
    return Math.max(0, this.#o.clock.monotonic() - receivedMs) / 1000;
  }

  #retryDelayMs(attempts: number): number {
    const backoff = retryBackoff(this.#o.timing, this.#o.random);
    backoff.attempts = attempts;
    return backoff.next();
  }

  readonly #targetChanged = (): void => {
    let [down, failing, concurrency] = [0, 0, 0];
    for (const target of this.#o.targets.all) {
      if (target.outage.kind === "outage") down++;
      if (target.outage.kind === "grace") failing++;
      concurrency += target.concurrency;
    }
    this.#o.metrics.set(METRICS.upstreamOutage, down);
    this.#o.metrics.set(METRICS.upstreamFailing, failing);
    this.#o.metrics.set(METRICS.forwardConcurrency, concurrency);
    this.#wake();
  };

  async #drained(): Promise<void> {
    while (this.#inFlight > 0) await this.#change();
  }

  /** Resolves at a moment, or when something changed. */
  async #changeBy(atMs: number): Promise<void> {
    if (atMs === Infinity) return await this.#change();
    const { clock } = this.#o;
    const timer = clock.after(Math.max(0, atMs - clock.monotonic()), () => this.#wake());
    await this.#change();
    timer.cancel();
  }

  #change(): Promise<void> {
    this.#changed ??= Promise.withResolvers();
    return this.#changed.promise;
  }

  #wake(): void {
    this.#changed?.resolve();
    this.#changed = null;
  }
}
