/**
 * Engine for nodes behind a load balancer: `Deno.serve`, the cheapest there is, with HTTP/2.
 *
 * Limits: bodies are timed here (`body_pace.ts`); it has no timeout for heads or idle connections; the balancer has. It
 * closes no idle connection of its own accord, so the balancer's idle timeout is always the shorter one.
 *
 * Recovery: when the process runs out of file descriptors, accepting fails and the server ends, while its connections
 * live on. A new server is then started on the same port.
 *
 * Drain: the server cannot refuse connections without failing the bodies it is reading, so until it is closed it goes
 * on answering, and asks clients to close.
 */
import { concatBytes } from "../core/bytes.ts";
import type { Clock } from "../core/clock.ts";
import { Backoff } from "../core/backoff.ts";
import { logger } from "../telemetry/log.ts";
import type { App } from "./app.ts";
import { BodyPace, type BodyPaces } from "./body_pace.ts";
import { announcedLength } from "./body_reader.ts";
import { type Engine, type EngineOptions, isHost } from "./engine.ts";
import { UpstreamError } from "../upstream/upstream_error.ts";
import { NODE_ENGINE_IS_COMPLETE } from "./node_engine.ts";
import { type AnswerBody, BodyError, type HeaderList, IncomingRequest } from "./incoming_request.ts";

const log = logger("listener");

/** Bodies up to this size are taken whole, which shows nothing of their progress. */
const WHOLE_BYTES_MAX = 16 * 1024;
const ENCODING = "content-encoding";
/** Older runtimes compress streamed answers, unless these say how they are encoded. */
const LEAVES_ANSWERS_ALONE = NODE_ENGINE_IS_COMPLETE;

type ServeInfo = Deno.ServeHandlerInfo<Deno.NetAddr>;

/** Starts listening; throws what binding throws. */
export function startServeEngine(options: EngineOptions): Engine {
  return new ServeEngine(options);
}

class ServeEngine implements Engine {
  readonly address: Engine["address"];
  readonly #app: App;
  readonly #clock: Clock;
  readonly #options: EngineOptions;
  readonly #abort = new AbortController();
  readonly #backoff = new Backoff({ baseMs: 50, factor: 2, maxMs: 1000 });
  #server: Deno.HttpServer<Deno.NetAddr>;
  #isClosed = false;

  constructor(options: EngineOptions) {
    this.#app = options.app;
    this.#clock = options.clock;
    this.#options = options;
    this.#server = this.#listen(options.port);
    this.address = { hostname: this.#server.addr.hostname, port: this.#server.addr.port };
  }

  stopAccepting(): void {}

  async close(graceMs: number): Promise<void> {
    this.#isClosed = true;
    if (graceMs > 0) {
      const waited = new AbortController();
      const shutdown = this.#server.shutdown().catch(() => {}).then(() => waited.abort());
      await Promise.race([shutdown, this.#clock.sleep(graceMs, waited.signal)]);
      if (waited.signal.aborted) return;
      waited.abort();
    }
    try {
      this.#abort.abort();
    } catch {
      // A server that is shutting down may not take an abort on top; its connections end with the process.
    }
  }

  #listen(port: number): Deno.HttpServer<Deno.NetAddr> {
    const { hostname, reusePort } = this.#options;
    const server = Deno.serve({
      hostname,
      port,
      reusePort,
      signal: this.#abort.signal,
      onListen: () => {},
      // An answer whose rest the upstream did not send; its head is out, and its connection is cut.
      onError: (error) => error instanceof UpstreamError ? new Response(null) : this.#app.fault(error),
    }, (request, info) => this.#handle(request, info));
    server.finished.catch((error) => this.#restart(error));
    return server;
  }

  async #restart(error: unknown): Promise<void> {
    log.error("accepting connections failed, listening again: {error}", { error });
    for (;;) {
      await this.#clock.sleep(this.#backoff.next());
      if (this.#isClosed) return;
      try {
        this.#server = this.#listen(this.address.port);
        return this.#backoff.reset();
      } catch {
        // Still no descriptor to listen with.
      }
    }
  }

  #handle(request: Request, info: ServeInfo): Response | Promise<Response> {
    const incoming = new ServeRequest(request, info, this.#options.paces);
    return isHost(incoming.header("host")) ? this.#app.handle(incoming) : this.#app.handleMalformed(incoming);
  }
}

class ServeRequest extends IncomingRequest {
  readonly #request: Request;
  readonly #info: ServeInfo;
  readonly #paces: BodyPaces;
  #pace: BodyPace | null = null;
  #failure: BodyError | null = null;
  #reader: ReadableStreamDefaultReader<Uint8Array> | null = null;
  #isDone = false;

  constructor(request: Request, info: ServeInfo, paces: BodyPaces) {
    super(request.method, request.url);
    this.#paces = paces;
    this.#request = request;
    this.#info = info;
  }

  override get peer(): string {
    return this.#info.remoteAddr.hostname;
  }

  override header(name: string): string | null {
    return this.#request.headers.get(name);
  }

  override headerList(): HeaderList {
    return [...this.#request.headers];
  }

  override get signal(): AbortSignal {
    return this.#request.signal;
  }

  override async bytes(): Promise<Uint8Array> {
    // Nothing is known of a body that is taken whole until it is there, so only small ones can be timed.
    const announced = announcedLength(this);
    if (announced > WHOLE_BYTES_MAX) return await this.#collect();
    const late = Promise.withResolvers<never>();
    const pace = new BodyPace();
    this.#paces.wait(pace, () => late.reject(this.#failure = new BodyError("timeout")), announced);
    try {
      return await Promise.race([this.#request.bytes(), late.promise]);
    } catch (error) {
      throw this.#failure ??= new BodyError("broken", error);
    } finally {
      this.#paces.stop(pace);
    }
  }

  async #collect(): Promise<Uint8Array> {
    const chunks: Uint8Array[] = [];
    await this.chunks((chunk) => chunks.push(chunk) > 0);
    return concatBytes(chunks);
  }

  override async chunks(take: (chunk: Uint8Array) => boolean): Promise<boolean> {
    if (this.#failure) throw this.#failure;
    if (this.#reader === null) {
      if (this.#request.bodyUsed || this.#request.body === null) return true;
      this.#reader = this.#request.body.getReader();
    }
    const reader = this.#reader;
    const pace = this.#pace ??= new BodyPace();
    this.#paces.wait(pace, () => {
      this.#failure = new BodyError("timeout");
      // Ends the read that waits.
      void reader.cancel().catch(() => {});
    });
    try {
      for (;;) {
        const { done, value } = await reader.read();
        if (this.#failure) throw this.#failure;
        if (done) {
          this.#isDone = true;
          return true;
        }
        this.#paces.received(pace, value.length);
        if (!take(value)) return false;
      }
    } catch (error) {
      throw this.#failure ??= new BodyError("broken", error);
    } finally {
      this.#paces.stop(pace);
    }
  }

  override respond(status: number, headers: HeaderList, body: AnswerBody): Response {
    // What is left of a body nobody reads on would be held until the client goes away.
    if (this.#reader && !this.#isDone) void this.#reader.cancel().catch(() => {});
    const response = new Response(body as BodyInit | null, { status });
    setHeaders(response.headers, headers);
    if (body instanceof ReadableStream && !LEAVES_ANSWERS_ALONE && !response.headers.has(ENCODING)) {
      response.headers.set(ENCODING, "identity");
    }
    return response;
  }
}

/** One by one, because a list handed to the constructor costs seven times as much to convert. */
function setHeaders(to: Headers, headers: HeaderList): void {
  for (const [name, value] of headers) {
    if (name === "set-cookie") to.append(name, value);
    else to.set(name, value);
  }
}
