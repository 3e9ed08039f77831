/**
 * Sends records upstream until each has reached its end.
 *
 * Records are pulled from a {@link ForwardSource} while fewer than `maxConcurrent` requests are under way, so nothing queues
 * here: what cannot be sent stays where it is safe. What becomes of a record is decided by `classify.ts`:
 *
 * | result | consequence |
 * |---|---|
 * | delivered, rate_limited | settled |
 * | rejected | dead letter; 415 first makes the encoder avoid the encoding, and the record is sent again at once |
 * | server_error | sent again, {@link SERVER_ERRORS_MAX} times in total, then dead letter |
 * | network_error | sent again, for ever |
 *
 * While the upstream cannot be reached nothing is pulled (`reachability.ts`).
 *
 * Stop: pulling ends, requests under way have the grace time to finish, then they are given up. Their records are not
 * settled, so they are sent again after the next start.
 */
import type { Clock } from "../core/clock.ts";
import type { SharedPermits } from "../core/shared_permits.ts";
import { METRICS } from "../telemetry/catalogue.ts";
import { logger } from "../telemetry/log.ts";
import type { Metrics } from "../telemetry/registry.ts";
import type { BodyEncoder, EncodedBody } from "./body_encoding.ts";
import { classifyError, classifyResponse, type ForwardResult } from "./classify.ts";
import { BodyLostError, type ForwardJob, type ForwardSource, type StreamedBody } from "./forward_source.ts";
import type { LargeSender } from "./large_sender.ts";
import type { HttpClient } from "./http_client.ts";
import type { OutageState } from "./outage.ts";
import { Reachability, retryBackoff } from "./reachability.ts";
import type { ClientRequest } from "./request_head.ts";
import type { RequestSigner } from "./request_signer.ts";
import { UpstreamError } from "./upstream_error.ts";
import { prepareBody, probeRequest, recordRequest } from "./upstream_request.ts";

export type { ForwardJob, ForwardResult, ForwardSource };

const log = logger("upstream");

const SERVER_ERRORS_MAX = 3;
const WARNING_INTERVAL_MS = 60_000;

/** Options of {@link Forwarder}; times in milliseconds. Numbers are read at use, and may change. */
export interface ForwarderOptions<Job extends ForwardJob = ForwardJob> {
  /** Closed by {@link Forwarder.stop}. Should allow one connection more than `maxConcurrent`, for probes. */
  readonly client: Pick<HttpClient, "send" | "close" | "connections">;
  /** For records that are too large to be held; closed as well. */
  readonly large: Pick<LargeSender, "send" | "close">;
  readonly source: ForwardSource<Job>;
  readonly encoder: BodyEncoder;
  readonly clock: Clock;
  readonly metrics: Metrics;
  readonly signer: RequestSigner;
  /** Whether nothing is sent until {@link Forwarder.hold} says otherwise. */
  readonly isHeld?: boolean;
  readonly maxConcurrent: number;
  /** Shared with the other lanes; each request under way takes one. */
  readonly permits?: Pick<SharedPermits, "tryTake" | "give">;
  /** First delay before a record is sent again. */
  readonly retryDelayMs: number;
  /** Ceiling of all delays. */
  readonly retryIntervalMsMax: number;
  readonly outageGraceMs: number;
  readonly random?: () => number;
}

/** What the status page shows. */
export interface ForwarderState {
  readonly outage: OutageState;
  readonly inFlight: number;
  readonly connections: { readonly open: number; readonly idle: number };
  /** Last result that was no delivery; `atMs` is wall clock. */
  readonly lastError: { readonly atMs: number; readonly message: string } | null;
}

/** Forwards records; made once per upstream and lane. */
export class Forwarder<Job extends ForwardJob = ForwardJob> {
  readonly #o: ForwarderOptions<Job>;
  readonly #reach: Reachability;
  readonly #stop = new AbortController();
  readonly #failed = Promise.withResolvers<never>();
  #inFlight = 0;
  #isHeld: boolean;
  #changed: PromiseWithResolvers<void> | null = null;
  #lastError: ForwarderState["lastError"] = null;
  #warnedMs = -Infinity;
  #finished: Promise<void> = Promise.resolve();

  constructor(options: ForwarderOptions<Job>) {
    this.#o = options;
    this.#isHeld = options.isHeld ?? false;
    this.#reach = new Reachability({
      ...options,
      timing: options,
      probe: (signal) => this.#send(probeRequest(options.signer.idHeaders()), signal),
      onChange: () => this.#wake(),
    });
  }

  get state(): ForwarderState {
    return {
      outage: this.#reach.outage,
      inFlight: this.#inFlight,
      connections: this.#o.client.connections,
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

  /** Finishes what is under way within `graceMs`, gives up the rest, and closes the client. */
  async stop(graceMs: number): Promise<void> {
    this.#stop.abort();
    this.#reach.stop();
    this.#wake();
    const inTime = new AbortController();
    const graceEnds = this.#o.clock.sleep(graceMs, inTime.signal);
    await Promise.race([this.#drained(), graceEnds]);
    inTime.abort();
    this.#o.client.close();
    this.#o.large.close();
    await this.#drained();
    await this.#finished.catch(() => {});
  }

  async #pull(): Promise<void> {
    const { source, permits } = this.#o;
    while (!this.#stop.signal.aborted) {
      if (
        this.#inFlight >= this.#o.maxConcurrent || this.#reach.isHeld || this.#isHeld ||
        permits?.tryTake() === false
      ) {
        await this.#change();
        continue;
      }
      const next = source.next();
      const job = next instanceof Promise ? await next : next;
      if (job) {
        void this.#forward(job);
        continue;
      }
      permits?.give();
      await source.wait(this.#stop.signal);
    }
  }

  async #forward(job: Job): Promise<void> {
    const { metrics } = this.#o;
    this.#inFlight++;
    metrics.add(METRICS.forwardInFlight, 1);
    try {
      const result = await (job.stream ? this.#deliverLarge(job, job.stream) : this.#deliver(job));
      if (result) await this.#conclude(job, result);
    } catch (error) {
      if (error instanceof BodyLostError) this.#lose(job, error);
      else this.#failed.reject(error);
    } finally {
      this.#inFlight--;
      this.#o.permits?.give();
      metrics.add(METRICS.forwardInFlight, -1);
      this.#wake();
    }
  }

  /** Sends a record, in another encoding if the upstream refuses the first; null when it was given up. */
  async #deliver(job: Job): Promise<ForwardResult | null> {
    const { clock, encoder, signer } = this.#o;
    const stored: EncodedBody = { bytes: job.body, encoding: job.meta.contentEncoding };
    const prepared = prepareBody(job.meta, stored, clock.now() - job.receivedAtMs, encoder);
    let body = prepared instanceof Promise ? await prepared : prepared;
    for (;;) {
      const startedMs = clock.monotonic();
      const result = await this.#send(recordRequest(job.meta, body, signer.envelopeHeaders()));
      if (!result) return null;
      this.#o.metrics.observe(METRICS.forwardTime, (clock.monotonic() - startedMs) / 1000);
      this.#count(body.encoding, body.bytes.length, result);
      // A 415 to a body that is no envelope may as well be about its type.
      const mayRecode = body.encoding !== "" && !job.meta.passthrough;
      if (result.kind !== "rejected" || result.status !== 415 || !mayRecode) return result;
      const { encoding } = body;
      this.#avoid(encoding);
      const other = await encoder.encode(body);
      if (other.encoding === encoding) return result;
      body = other;
    }
  }

  /** The same as {@link Forwarder.#deliver}, with a body that is read while it is sent. */
  async #deliverLarge(job: Job, stream: StreamedBody): Promise<ForwardResult | null> {
    const { clock, encoder, signer, large, metrics } = this.#o;
    const { meta } = job;
    for (;;) {
      const startedMs = clock.monotonic();
      const heldMs = clock.now() - job.receivedAtMs;
      const identity = signer.envelopeHeaders();
      const { result, encoding, bytes } = await large.send({ meta, body: stream, heldMs, identity });
      if (!result) return null;
      metrics.observe(METRICS.forwardTime, (clock.monotonic() - startedMs) / 1000);
      this.#count(encoding, bytes, result);
      const mayRecode = encoding !== "" && !meta.passthrough;
      if (result.kind !== "rejected" || result.status !== 415 || !mayRecode) return result;
      this.#avoid(encoding);
      if (encoder.target(meta.contentEncoding, stream.bytes) === encoding) return result;
    }
  }

  #lose(job: Job, error: BodyLostError): void {
    log.error("the body of a record is lost: {error}", { error: error.message });
    this.#o.source.lost(job);
  }

  #avoid(encoding: string & EncodedBody["encoding"]): void {
    if (this.#o.encoder.refuse(encoding)) {
      log.warn("the upstream does not take {encoding}, using another", { encoding });
    }
  }

  async #send(request: ClientRequest, signal?: AbortSignal): Promise<ForwardResult | null> {
    const { client, clock } = this.#o;
    try {
      return classifyResponse(await client.send(request, signal), clock.now());
    } catch (error) {
      if (error instanceof UpstreamError) return classifyError(error, clock.now());
      throw error;
    }
  }

  #count(encoding: EncodedBody["encoding"], bytes: number, result: ForwardResult): void {
    const { metrics } = this.#o;
    metrics.add(METRICS.forwarded, 1, result.kind);
    metrics.add(METRICS.forwardBytes, bytes, encoding || "identity");
    if (result.kind === "network_error") this.#reach.failed(result.message);
    else if (result.status !== null) this.#reach.received();
  }

  async #conclude(job: Job, result: ForwardResult): Promise<void> {
    const { source, metrics, clock } = this.#o;
    if (result.kind === "delivered") {
      metrics.observe(METRICS.forwardAge, Math.max(0, clock.now() - job.receivedAtMs) / 1000);
      return source.settle(job, result);
    }
    if (result.kind === "rate_limited") return source.settle(job, result);
    this.#lastError = { atMs: clock.now(), message: result.message };
    const isFinal = result.kind === "rejected" ||
      (result.kind === "server_error" && job.serverErrors + 1 >= SERVER_ERRORS_MAX);
    if (isFinal) {
      this.#warnRefused(result.message);
      return await source.deadLetter(job, result);
    }
    metrics.add(METRICS.forwardRetries, 1);
    source.retryLater(job, this.#retryDelayMs(job.attempts), result);
  }

  #retryDelayMs(attempts: number): number {
    const backoff = retryBackoff(this.#o, this.#o.random);
    backoff.attempts = attempts;
    return backoff.next();
  }

  #warnRefused(reason: string): void {
    const nowMs = this.#o.clock.monotonic();
    if (nowMs - this.#warnedMs < WARNING_INTERVAL_MS) return;
    this.#warnedMs = nowMs;
    log.warn("the upstream refused a record: {reason}", { reason });
  }

  async #drained(): Promise<void> {
    while (this.#inFlight > 0) await this.#change();
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
