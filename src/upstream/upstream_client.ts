/**
 * Sends requests to an upstream that is a set of endpoints.
 *
 * Each endpoint has a client with connections of its own (`http_client.ts`). A request goes to the endpoint the balancer
 * picks; one that does not reach it goes to another at once, as long as the retry budget allows and there is one that was
 * not tried. It never goes to two at a time. So a request may arrive twice; delivery is at least once anyway.
 *
 * Endpoints come and go while requests are under way: those that stay keep their connections, those that go finish what
 * they have and are closed.
 */
import type { Clock } from "../core/clock.ts";
import type { Metrics } from "../telemetry/registry.ts";
import { pickEndpoint } from "./balancer.ts";
import { isGatewayStatus } from "./classify.ts";
import { denoDial, type Dial, type UpstreamTarget } from "./dial.ts";
import { Endpoint, type EndpointOutcome } from "./endpoint.ts";
import type { HealthWriter } from "./health_table.ts";
import {
  type ClientRequest,
  type ClientResponse,
  HttpClient,
  type HttpClientOptions,
} from "./http_client.ts";
import { RetryBudget } from "./retry_budget.ts";
import { StreamClient, type StreamRequest, type StreamResponse } from "./stream_client.ts";
import { UpstreamError } from "./upstream_error.ts";
import type { EndpointSpec, TransportSpec, UpstreamSpec } from "./upstream_spec.ts";

/** What every client of an upstream needs. */
export interface UpstreamClientOptions extends
  Pick<
    HttpClientOptions,
    | "connectTimeoutMs"
    | "totalTimeoutMs"
    | "idleTimeoutMs"
    | "connectionsMax"
    | "headBytesMax"
    | "bodyBytesMax"
  > {
  readonly clock: Clock;
  readonly metrics: Metrics;
  /** For the reader of a streamed answer to take the next piece; default: the total timeout. */
  readonly readerTimeoutMs?: number;
  readonly health: HealthWriter;
  readonly random?: () => number;
  /** How streams are opened; default: as the transport says. */
  readonly dial?: Dial;
}

interface Member {
  readonly client: HttpClient;
  readonly streams: StreamClient;
}

/** The target that `HttpClient` and `StreamClient` are made with. */
export function endpointTarget(transport: TransportSpec, { hostname, port }: EndpointSpec): UpstreamTarget {
  const { scheme, host, serverName, authorization } = transport;
  return { scheme, hostname, port, serverName, hostHeader: host, authorization };
}

/** Client of one upstream. */
export class UpstreamClient {
  readonly #o: UpstreamClientOptions;
  readonly #members = new Map<Endpoint, Member>();
  /** Also those of endpoints that are gone, while answers are on their way. */
  readonly #streams = new Set<StreamClient>();
  /** Endpoints requests go to now. */
  #endpoints: readonly Endpoint[] = [];
  #transport = "";
  #budget: RetryBudget;
  #closed = false;

  constructor(spec: UpstreamSpec, options: UpstreamClientOptions) {
    this.#o = options;
    this.#budget = new RetryBudget(spec.retryShare);
    this.update(spec);
  }

  /** Connections that are open, and how many of them have nothing to do. */
  get connections(): { readonly open: number; readonly idle: number } {
    let [open, idle] = [0, 0];
    for (const { client } of this.#members.values()) {
      open += client.connections.open;
      idle += client.connections.idle;
    }
    return { open, idle };
  }

  /** Takes over new endpoints and settings. */
  update(spec: UpstreamSpec): void {
    const transport = JSON.stringify(spec.transport);
    const isSame = transport === this.#transport;
    const present = new Map(this.#endpoints.map((endpoint) => [endpoint.spec.id, endpoint]));
    const dial = this.#o.dial ?? denoDial(spec.transport);
    const endpoints = spec.endpoints.map((wanted) => {
      const endpoint = present.get(wanted.id);
      if (!isSame || endpoint?.spec.slot !== wanted.slot) return this.#join(spec.transport, wanted, dial);
      endpoint.spec = wanted;
      return endpoint;
    });
    const gone = this.#endpoints.filter((endpoint) => !endpoints.includes(endpoint));
    this.#endpoints = endpoints;
    this.#transport = transport;
    if (spec.retryShare !== this.#budget.share) this.#budget = new RetryBudget(spec.retryShare);
    for (const endpoint of gone) this.#leaveWhenIdle(endpoint);
  }

  /**
   * Sends a request and resolves with the answer of the endpoint that was reached in the end, whatever the status.
   *
   * @throws {UpstreamError} of the last endpoint that was tried
   */
  async send(request: ClientRequest, signal?: AbortSignal): Promise<ClientResponse> {
    return await this.#try(({ client }) => client.send(request, signal), isUnreached, signal);
  }

  /**
   * As {@link UpstreamClient.send} for a request that is streamed, on a connection of its own: it goes to another endpoint
   * only as long as nothing of it was sent.
   *
   * @throws {UpstreamError} and whatever reading the request's body throws
   */
  async stream(request: StreamRequest, signal: AbortSignal): Promise<StreamResponse> {
    let isTouched = false;
    const touched = async function* (chunks: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array> {
      isTouched = true;
      yield* chunks;
    };
    const body = request.body && { ...request.body, chunks: touched(request.body.chunks) };
    const isUnsent = (error: unknown): boolean =>
      !isTouched && error instanceof UpstreamError && (error.kind === "connect" || error.kind === "tls");
    return await this.#try(
      ({ streams }) => streams.send({ ...request, body }, signal),
      (sent) => "error" in sent && isUnsent(sent.error),
      signal,
    );
  }

  /** Streamed requests whose answers have not ended. */
  get streaming(): number {
    let streaming = 0;
    for (const streams of this.#streams) streaming += streams.inFlight;
    return streaming;
  }

  /** Closes all connections; requests under way fail with `aborted`. */
  close(): void {
    this.#closed = true;
    for (const streams of this.#streams) streams.close();
    for (const endpoint of [...this.#members.keys()]) this.#leave(endpoint);
    this.#endpoints = [];
  }

  async #try<R extends { readonly status: number }>(
    send: (member: Member) => Promise<R>,
    mayGoElsewhere: (sent: Sent<R>) => boolean,
    signal?: AbortSignal,
  ): Promise<R> {
    const { clock, random = Math.random } = this.#o;
    this.#budget.earn(clock.monotonic());
    const tried: Endpoint[] = [];
    const pick = (): Endpoint | null => pickEndpoint(this.#endpoints, tried, clock.monotonic(), random);
    for (let endpoint = pick(); endpoint !== null;) {
      const sent: Sent<R> = await this.#sendTo(endpoint, send, tried.length > 0);
      tried.push(endpoint);
      const isOver = signal?.aborted || this.#closed || !mayGoElsewhere(sent);
      const next = isOver ? null : pick();
      if (next !== null && this.#budget.spend(clock.monotonic())) endpoint = next;
      else if ("error" in sent) throw sent.error;
      else return sent.response;
    }
    throw new UpstreamError("connect", "The upstream has no endpoint");
  }

  async #sendTo<R extends { readonly status: number }>(
    endpoint: Endpoint,
    send: (member: Member) => Promise<R>,
    isRetry: boolean,
  ): Promise<Sent<R>> {
    const { clock } = this.#o;
    const member = this.#members.get(endpoint)!;
    const startedMs = clock.monotonic();
    endpoint.begin(isRetry, startedMs);
    let outcome: EndpointOutcome = "aborted";
    try {
      const response = await send(member);
      outcome = outcomeOf(response.status);
      return { response, outcome };
    } catch (error) {
      if (error instanceof UpstreamError) outcome = outcomeOfError(error);
      return { error, outcome };
    } finally {
      const endedMs = clock.monotonic();
      endpoint.end(outcome, endedMs, endedMs - startedMs);
      endpoint.connections = member.client.connections.open + member.streams.inFlight;
      if (endpoint.inFlight === 0 && !this.#endpoints.includes(endpoint)) this.#leave(endpoint);
    }
  }

  #join(transport: TransportSpec, spec: EndpointSpec, dial: Dial): Endpoint {
    const endpoint = new Endpoint(spec, this.#o.health, this.#o.idleTimeoutMs);
    const o = this.#o;
    // Read at use, because they may change.
    const shared = {
      clock: o.clock,
      metrics: o.metrics,
      target: endpointTarget(transport, spec),
      dial,
      headBytesMax: o.headBytesMax,
    };
    const client = new HttpClient({
      ...shared,
      idle: endpoint.idle,
      idleTimeoutMs: o.idleTimeoutMs,
      get connectTimeoutMs() {
        return o.connectTimeoutMs;
      },
      get totalTimeoutMs() {
        return o.totalTimeoutMs;
      },
      get connectionsMax() {
        return o.connectionsMax;
      },
      get bodyBytesMax() {
        return o.bodyBytesMax;
      },
    });
    const streams = new StreamClient({
      ...shared,
      get connectTimeoutMs() {
        return o.connectTimeoutMs;
      },
      get timeoutMs() {
        return o.totalTimeoutMs;
      },
      get readerTimeoutMs() {
        return o.readerTimeoutMs ?? o.totalTimeoutMs;
      },
    });
    this.#members.set(endpoint, { client, streams });
    this.#streams.add(streams);
    return endpoint;
  }

  #leaveWhenIdle(endpoint: Endpoint): void {
    if (endpoint.inFlight === 0) this.#leave(endpoint);
  }

  /** Answers that are still being streamed end by themselves. */
  #leave(endpoint: Endpoint): void {
    const member = this.#members.get(endpoint);
    if (!member) return;
    this.#members.delete(endpoint);
    endpoint.retire();
    member.client.close();
    for (const streams of this.#streams) {
      const isUsed = [...this.#members.values()].some((other) => other.streams === streams);
      if (!isUsed && streams.inFlight === 0) this.#streams.delete(streams);
    }
  }
}

type Sent<R> = ({ readonly response: R } | { readonly error: unknown }) & {
  readonly outcome: EndpointOutcome;
};

function isUnreached({ outcome }: Sent<unknown>): boolean {
  return outcome === "unreachable";
}

function outcomeOf(status: number): EndpointOutcome {
  return status < 500 ? "answered" : isGatewayStatus(status) ? "unreachable" : "failed";
}

function outcomeOfError(error: UpstreamError): EndpointOutcome {
  if (error.response) return outcomeOf(error.response.status);
  return error.kind === "aborted" ? "aborted" : error.isNetworkError ? "unreachable" : "answered";
}
