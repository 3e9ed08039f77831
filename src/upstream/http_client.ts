/**
 * Keep-alive HTTP/1.1 client for one upstream.
 *
 * Why an own one: forwarding is most of what a node does per record, and `fetch` costs about five times as much CPU. What
 * is needed is little: small requests with known lengths, one write each, to one place.
 *
 * - `dial.ts` opens streams, `connection.ts` runs one request after the other on one, `response_parser.ts` reads answers.
 * - What only passes through, with bodies of any size, is `stream_client.ts`.
 * - This file keeps the pool: the connection used last is used first, so that what is not needed falls idle and is closed
 *   after `idleTimeoutMs` or earlier when the upstream announces so. A connection is used again only after a complete
 *   answer that allows it, with nothing behind it.
 * - A request that meets a connection the upstream has just given up (no byte of an answer) is sent once more, on a fresh
 *   one. So a request may arrive twice; delivery is at least once anyway.
 *
 * Limits: `connectionsMax` connections, further requests wait for one; a connect timeout (TLS included); a total timeout
 * from the call to the last byte of the answer, which grows by 1 ms for each {@link BODY_BYTES_PER_MS} of body, since a
 * large attachment on a thin line would otherwise fail for ever; timeouts are noticed within {@link SWEEP_MS}.
 */
import type { Clock, Timer } from "../core/clock.ts";
import { METRICS } from "../telemetry/catalogue.ts";
import type { Metrics } from "../telemetry/registry.ts";
import {
  type ClientResponse,
  Connection,
  type ConnectionLimits,
  type ConnectionOwner,
} from "./connection.ts";
import { aborted, denoDial, type Dial, dialWithin, hostOf, type UpstreamTarget, type Wire } from "./dial.ts";
import { IdleLimit } from "./idle_limit.ts";
import { type ClientRequest, constantHead } from "./request_head.ts";
import { UpstreamError } from "./upstream_error.ts";

export type { ClientRequest, ClientResponse, Dial, UpstreamTarget };
export { UpstreamError };

const SWEEP_MS = 100;
/** Slowest line a large body is given time for: 64 kB/s. */
export const BODY_BYTES_PER_MS = 64;

/** Options of {@link HttpClient}; times in milliseconds, sizes in bytes. Numbers are read at use, and may change. */
export interface HttpClientOptions {
  readonly target: UpstreamTarget;
  readonly clock: Clock;
  readonly metrics: Metrics;
  /** For the connection and its TLS. */
  readonly connectTimeoutMs: number;
  /** From the call of `send` to the end of the answer. */
  readonly totalTimeoutMs: number;
  /** For each piece of a body; default: the total timeout. */
  readonly writeTimeoutMs?: number;
  /** From the end of the request to the first byte of its answer; default: the total timeout alone. */
  readonly firstByteTimeoutMs?: number;
  readonly idleTimeoutMs: number;
  /** What was learned of the endpoint's own idle timeout; default: it is learned anew. */
  readonly idle?: IdleLimit;
  readonly connectionsMax: number;
  readonly headBytesMax: number;
  readonly bodyBytesMax: number;
  /** Further trusted roots, PEM. */
  readonly caCerts?: readonly string[];
  /** How streams are opened; default: {@link denoDial}. */
  readonly dial?: Dial;
}

/** Client of one upstream. */
export class HttpClient {
  readonly #o: HttpClientOptions;
  readonly #dial: Dial;
  readonly #owner: ConnectionOwner;
  readonly #open = new Set<Connection>();
  readonly #dials = new Set<AbortController>();
  readonly #idle: Connection[] = [];
  readonly #waiters: (() => void)[] = [];
  #sweeper: Timer | null = null;
  #closed = false;

  constructor(options: HttpClientOptions) {
    this.#o = options;
    this.#dial = options.dial ?? denoDial({ caCerts: options.caCerts ?? [] });
    const limits: ConnectionLimits = {
      get writeTimeoutMs() {
        return options.writeTimeoutMs ?? options.totalTimeoutMs;
      },
      firstByteTimeoutMs: options.firstByteTimeoutMs ?? Infinity,
      headBytesMax: options.headBytesMax,
      get bodyBytesMax() {
        return options.bodyBytesMax;
      },
    };
    this.#owner = {
      clock: options.clock,
      limits,
      idle: options.idle ?? new IdleLimit(options.idleTimeoutMs),
      constantHead: constantHead(hostOf(options.target), options.target.authorization),
      onIdle: (connection) => this.#onIdle(connection),
      onClosed: (connection) => this.#onClosed(connection),
    };
  }

  /** Connections that are open, and how many of them have nothing to do. */
  get connections(): { readonly open: number; readonly idle: number } {
    return { open: this.#open.size, idle: this.#idle.length };
  }

  /**
   * Sends a request and resolves with its complete answer, whatever the status.
   *
   * @throws {UpstreamError}
   */
  async send(request: ClientRequest, signal?: AbortSignal): Promise<ClientResponse> {
    const bodyMs = Math.floor((request.body?.length ?? 0) / BODY_BYTES_PER_MS);
    const deadlineMs = this.#o.clock.monotonic() + this.#o.totalTimeoutMs + bodyMs;
    for (let fresh = false;; fresh = true) {
      const connection = (fresh ? null : this.#takeIdle()) ?? await this.#acquire(fresh, deadlineMs, signal);
      const isReused = connection.isReused;
      try {
        const response = await this.#exchange(connection, request, deadlineMs, signal);
        // Some proxies say 408 when they give up an idle connection; it may have crossed the request.
        if (response.status !== 408 || !isReused) return response;
      } catch (error) {
        if (!connection.isStale(error)) throw error;
        connection.wasStale();
      }
    }
  }

  /** Closes all connections; requests under way fail with `aborted`. */
  close(): void {
    this.#closed = true;
    for (const abort of this.#dials) abort.abort();
    for (const connection of [...this.#open]) connection.close();
    for (const wake of this.#waiters.splice(0)) wake();
  }

  #exchange(
    connection: Connection,
    request: ClientRequest,
    deadlineMs: number,
    signal: AbortSignal | undefined,
  ): Promise<ClientResponse> {
    const answer = connection.exchange(request, deadlineMs);
    if (!signal) return answer;
    const abort = (): void => connection.fail(aborted());
    signal.addEventListener("abort", abort);
    return answer.finally(() => signal.removeEventListener("abort", abort));
  }

  #takeIdle(): Connection | null {
    const nowMs = this.#o.clock.monotonic();
    for (let connection = this.#idle.pop(); connection; connection = this.#idle.pop()) {
      if (connection.isUsable(nowMs)) return connection;
      connection.close();
    }
    return null;
  }

  /** An idle connection, unless a fresh one is asked for, or a new one as soon as there is room. */
  async #acquire(fresh: boolean, deadlineMs: number, signal?: AbortSignal): Promise<Connection> {
    for (;;) {
      if (this.#closed || signal?.aborted) throw aborted();
      const idle = fresh ? null : this.#takeIdle();
      if (idle) return idle;
      if (this.#open.size + this.#dials.size < this.#o.connectionsMax) {
        return await this.#connect(deadlineMs, signal);
      }
      if (this.#idle.length > 0) this.#idle[0]!.close();
      else await this.#waitForRoom(deadlineMs, signal);
    }
  }

  /** Resolves when a connection became idle or was closed. */
  async #waitForRoom(deadlineMs: number, signal?: AbortSignal): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#waiters.push(resolve);
    const timer = this.#o.clock.after(deadlineMs - this.#o.clock.monotonic(), () => {
      reject(new UpstreamError("timeout", "Timed out waiting for a free connection"));
    });
    signal?.addEventListener("abort", () => resolve(), { once: true });
    try {
      await promise;
    } finally {
      timer.cancel();
      const index = this.#waiters.indexOf(resolve);
      if (index >= 0) this.#waiters.splice(index, 1);
    }
  }

  async #connect(deadlineMs: number, signal?: AbortSignal): Promise<Connection> {
    const { clock, metrics, target, connectTimeoutMs } = this.#o;
    const abort = new AbortController();
    const onAbort = (): void => abort.abort();
    signal?.addEventListener("abort", onAbort);
    this.#dials.add(abort);
    try {
      const timeoutMs = Math.min(connectTimeoutMs, deadlineMs - clock.monotonic());
      return this.#adopt(await dialWithin({ dial: this.#dial, target, clock, timeoutMs }, abort.signal));
    } catch (error) {
      metrics.add(METRICS.upstreamConnects, 1, "error");
      this.#waiters.shift()?.();
      throw error;
    } finally {
      signal?.removeEventListener("abort", onAbort);
      this.#dials.delete(abort);
    }
  }

  #adopt(wire: Wire): Connection {
    const connection = new Connection(wire, this.#owner);
    this.#open.add(connection);
    this.#o.metrics.add(METRICS.upstreamConnects, 1, "ok");
    this.#o.metrics.add(METRICS.upstreamConnections, 1);
    this.#sweepLater();
    return connection;
  }

  #onIdle(connection: Connection): void {
    this.#idle.push(connection);
    this.#waiters.shift()?.();
  }

  #onClosed(connection: Connection): void {
    if (!this.#open.delete(connection)) return;
    const index = this.#idle.indexOf(connection);
    if (index >= 0) this.#idle.splice(index, 1);
    this.#o.metrics.add(METRICS.upstreamConnections, -1);
    if (this.#open.size === 0) {
      this.#sweeper?.cancel();
      this.#sweeper = null;
    }
    this.#waiters.shift()?.();
  }

  /** One timer for all connections, while there are any. */
  #sweepLater(): void {
    this.#sweeper ??= this.#o.clock.after(SWEEP_MS, () => {
      this.#sweeper = null;
      const nowMs = this.#o.clock.monotonic();
      for (const connection of [...this.#open]) connection.sweep(nowMs);
      if (this.#open.size > 0) this.#sweepLater();
    });
  }
}
