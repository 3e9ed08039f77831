/**
 * HTTP/1.1 client for requests that only pass through: bodies are streamed both ways, and nothing is held whole.
 *
 * Why not {@link HttpClient}: that one is for small requests it may send twice. A request whose body is gone once it was
 * sent cannot be repeated, so it must not meet a connection the upstream is about to close: each has one of its own.
 *
 * Why not `fetch`: it decodes answers, so that they could not be passed on byte by byte; it sends streamed bodies without
 * their length; and it follows neither the configured `Host` header nor the rule for answers below.
 *
 * Time: the upstream has `timeoutMs` for each piece it has to take or to send, and for its answer from the end of the
 * request. How long a sender takes for its pieces is its own matter; a reader that takes none for `readerTimeoutMs` is
 * given up.
 *
 * An answer that comes before the request was sent ends the request: the rest of it is not read.
 */
import type { Clock } from "../core/clock.ts";
import { METRICS } from "../telemetry/catalogue.ts";
import type { Metrics } from "../telemetry/registry.ts";
import { aborted, denoDial, type Dial, dialWithin, hostOf, type UpstreamTarget, type Wire } from "./dial.ts";
import { constantHead } from "./request_head.ts";
import { StreamExchange, type StreamRequest, type StreamResponse } from "./stream_exchange.ts";

export type { StreamRequest, StreamResponse };

/** Options of {@link StreamClient}; times in milliseconds, sizes in bytes. */
export interface StreamClientOptions {
  readonly target: UpstreamTarget;
  readonly clock: Clock;
  readonly metrics: Metrics;
  /** For the connection and its TLS. */
  readonly connectTimeoutMs: number;
  /** For whatever the upstream has to do next. */
  readonly timeoutMs: number;
  /** For the reader of an answer to take the next piece. */
  readonly readerTimeoutMs: number;
  readonly headBytesMax: number;
  /** Further trusted roots, PEM. */
  readonly caCerts?: readonly string[];
  /** How streams are opened; default: {@link denoDial}. */
  readonly dial?: Dial;
}

/** Client of one upstream. */
export class StreamClient {
  readonly #o: StreamClientOptions;
  readonly #dial: Dial;
  readonly #constantHead: string;
  readonly #open = new Set<AbortController>();

  constructor(options: StreamClientOptions) {
    this.#o = options;
    this.#dial = options.dial ?? denoDial({ caCerts: options.caCerts ?? [] });
    this.#constantHead = `${
      constantHead(hostOf(options.target), options.target.authorization)
    }Connection: close\r\n`;
  }

  /** Requests whose answers have not ended. */
  get inFlight(): number {
    return this.#open.size;
  }

  /**
   * Sends a request and resolves with the head of its answer, whatever the status.
   *
   * @param signal ends the request, and its answer, too, while that is being read
   * @throws {UpstreamError} and whatever reading the request's body throws
   */
  async send(request: StreamRequest, signal: AbortSignal): Promise<StreamResponse> {
    if (signal.aborted) throw aborted();
    const abort = new AbortController();
    const onAbort = (): void => abort.abort();
    const release = (): void => {
      signal.removeEventListener("abort", onAbort);
      this.#open.delete(abort);
    };
    signal.addEventListener("abort", onAbort);
    this.#open.add(abort);
    const wire = await this.#connect(abort.signal).catch((error) => {
      release();
      throw error;
    });
    const exchange = new StreamExchange(wire, this.#o, () => {
      this.#o.metrics.add(METRICS.upstreamConnections, -1);
      release();
    });
    abort.signal.addEventListener("abort", () => exchange.fail(aborted()));
    return await exchange.run(request, this.#constantHead);
  }

  /** Ends all requests under way with `aborted`. */
  close(): void {
    for (const abort of [...this.#open]) abort.abort();
  }

  async #connect(signal: AbortSignal): Promise<Wire> {
    const { target, clock, metrics, connectTimeoutMs: timeoutMs } = this.#o;
    let result: "ok" | "error" = "error";
    try {
      const wire = await dialWithin({ dial: this.#dial, target, clock, timeoutMs }, signal);
      result = "ok";
      metrics.add(METRICS.upstreamConnections, 1);
      return wire;
    } finally {
      metrics.add(METRICS.upstreamConnects, 1, result);
    }
  }
}
