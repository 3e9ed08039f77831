/**
 * One upstream as a lane's forwarder sees it: how records are sent there, and how many at once.
 *
 * | keeps records back | while | file |
 * |---|---|---|
 * | reachability | requests fail, or an outage lasts | `reachability.ts`, `outage.ts` |
 * | ramp | the first seconds after an outage | `recovery_ramp.ts` |
 * | concurrency | as many are under way as the upstream takes without slowing down | `adaptive_concurrency.ts` |
 *
 * Which endpoint a request goes to, and whether it is tried at another, is the client's matter (`upstream_client.ts`).
 */
import type { Clock } from "../core/clock.ts";
import { METRICS } from "../telemetry/catalogue.ts";
import { logger } from "../telemetry/log.ts";
import type { Metrics } from "../telemetry/registry.ts";
import { AdaptiveConcurrency } from "./adaptive_concurrency.ts";
import type { BodyEncoder, EncodedBody } from "./body_encoding.ts";
import { classifyError, classifyResponse, type ForwardResult } from "./classify.ts";
import type { ForwardJob, StreamedBody } from "./forward_source.ts";
import type { HttpClient } from "./http_client.ts";
import type { LargeSender } from "./large_sender.ts";
import type { OutageState } from "./outage.ts";
import { Reachability, type RetryTiming } from "./reachability.ts";
import { RecoveryRamp } from "./recovery_ramp.ts";
import type { ClientRequest } from "./request_head.ts";
import type { RequestSigner } from "./request_signer.ts";
import { UpstreamError } from "./upstream_error.ts";
import { prepareBody, probeRequest, recordRequest } from "./upstream_request.ts";

const log = logger("upstream");

/** Fewer requests than this at once are never allowed, unless the ceiling is lower. */
export const CONCURRENCY_MIN = 4;

/** Options of {@link ForwardTarget}; times in milliseconds. */
export interface ForwardTargetOptions {
  /** Name of the upstream. */
  readonly name: string;
  /** Closed by {@link ForwardTarget.close}. Should allow one connection more than `maxConcurrent`, for probes. */
  readonly client: Pick<HttpClient, "send" | "close" | "connections">;
  /** For records that are too large to be held; closed as well. */
  readonly large: Pick<LargeSender, "send" | "close">;
  readonly encoder: BodyEncoder;
  readonly clock: Clock;
  readonly metrics: Metrics;
  readonly signer: RequestSigner;
  /** Read at use, and may change; `maxConcurrent` is the ceiling of the requests under way. */
  readonly timing: RetryTiming & { readonly maxConcurrent: number };
  readonly random?: () => number;
}

/** An upstream that records are sent to; made once per upstream and lane. */
export class ForwardTarget {
  /** Called when {@link ForwardTarget.readyAtMs} may have become earlier. */
  readonly listeners: Set<() => void> = new Set();
  readonly #o: ForwardTargetOptions;
  readonly #reach: Reachability;
  readonly #ramp = new RecoveryRamp();
  readonly #concurrency: AdaptiveConcurrency;
  #inFlight = 0;
  #isRetired = false;

  constructor(options: ForwardTargetOptions) {
    this.#o = options;
    const { timing, clock } = options;
    this.#concurrency = new AdaptiveConcurrency(CONCURRENCY_MIN, () => timing.maxConcurrent);
    this.#reach = new Reachability({
      ...options,
      probe: (signal) => this.#send(probeRequest(options.signer.idHeaders()), signal),
      onChange: () => this.#changed(),
      onRecovery: () => {
        this.#ramp.start(clock.monotonic());
        this.#concurrency.restart();
      },
    });
  }

  get name(): string {
    return this.#o.name;
  }

  get outage(): OutageState {
    return this.#reach.outage;
  }

  /** Whether it is left alone because it could not be reached. */
  get isHeld(): boolean {
    return this.#reach.isHeld;
  }

  get inFlight(): number {
    return this.#inFlight;
  }

  /** Requests it is given at once at present. */
  get concurrency(): number {
    return this.#concurrency.limit;
  }

  get connections(): { readonly open: number; readonly idle: number } {
    return this.#o.client.connections;
  }

  /** Monotonic moment from which a record may be sent; `Infinity` while that depends on what happens. */
  readyAtMs(nowMs: number): number {
    if (this.#reach.isHeld || this.#inFlight >= this.#concurrency.limit) return Infinity;
    return this.#ramp.nextMs(nowMs);
  }

  /**
   * Sends a record, in another encoding if the upstream refuses the first; null when it was given up.
   *
   * @throws {BodyLostError} a stored body cannot be had any more
   */
  async deliver(job: ForwardJob): Promise<ForwardResult | null> {
    const { metrics, clock } = this.#o;
    this.#ramp.sent(clock.monotonic());
    this.#inFlight++;
    metrics.add(METRICS.forwardInFlight, 1);
    try {
      return await (job.stream ? this.#deliverLarge(job, job.stream) : this.#deliver(job));
    } finally {
      this.#inFlight--;
      metrics.add(METRICS.forwardInFlight, -1);
      if (this.#isRetired && this.#inFlight === 0) this.close();
    }
  }

  /** Ends timers and probes; requests under way go on. */
  stop(): void {
    this.#reach.stop();
  }

  /** Nothing is sent there any more; what is under way may finish. */
  retire(): void {
    this.stop();
    this.#isRetired = true;
    if (this.#inFlight === 0) this.close();
  }

  /** Gives up what is under way. */
  close(): void {
    this.stop();
    this.#o.client.close();
    this.#o.large.close();
  }

  #changed(): void {
    for (const listener of this.listeners) listener();
  }

  async #deliver(job: ForwardJob): Promise<ForwardResult | null> {
    const { clock, encoder, signer, metrics } = this.#o;
    const stored: EncodedBody = { bytes: job.body, encoding: job.meta.contentEncoding };
    const prepared = prepareBody(job.meta, stored, clock.monotonic() - job.receivedMs, encoder);
    let body = prepared instanceof Promise ? await prepared : prepared;
    for (;;) {
      const startedMs = clock.monotonic();
      const result = await this.#send(recordRequest(job.meta, body, signer.envelopeHeaders()));
      if (!result) return null;
      const endedMs = clock.monotonic();
      metrics.observe(METRICS.forwardTime, (endedMs - startedMs) / 1000);
      const tookMs = endedMs - startedMs;
      if (this.#concurrency.ended(isOverload(result), tookMs, this.#inFlight, endedMs)) this.#changed();
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

  /** The same as {@link ForwardTarget.#deliver}, with a body that is read while it is sent. */
  async #deliverLarge(job: ForwardJob, stream: StreamedBody): Promise<ForwardResult | null> {
    const { clock, encoder, signer, large, metrics } = this.#o;
    const { meta } = job;
    for (;;) {
      const startedMs = clock.monotonic();
      const heldMs = startedMs - job.receivedMs;
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
}

/** Whether fewer requests at once may be what the upstream needs. */
function isOverload({ kind }: ForwardResult): boolean {
  return kind === "network_error" || kind === "server_error";
}
