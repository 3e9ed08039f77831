/**
 * Engine for nodes behind a load balancer: `Deno.serve`, the cheapest there is, with HTTP/2.
 *
 * Limits: bodies are timed here (`body_pace.ts`); it has no timeout for heads or idle connections; the balancer has. It
 * closes no idle connection of its own accord, so the balancer's idle timeout is always the shorter one.
 *
 * Recovery: when the process runs out of file descriptors, accepting fails and the server ends, while its connections
 * live on. A new server is then started on the same port.
 *
 * Certificates: a server has one for its life. For a renewed one another server is opened on the same port; until the first
 * has had `timeouts.idleMs` to ask its connections to close, new ones get to either. Clients that name other hosts get the same
 * certificate: there is no choice by name.
 *
 * Drain: the server cannot refuse connections without failing the bodies it is reading, so until it is closed it goes
 * on answering, and asks clients to close.
 */
import { concatBytes } from "../core/bytes.ts";
import { Backoff } from "../core/backoff.ts";
import { reopen } from "../core/reopen.ts";
import { METRICS } from "../telemetry/catalogue.ts";
import { logger } from "../telemetry/log.ts";
import { BodyPace, type BodyPaces } from "./body_pace.ts";
import { announcedLength } from "./body_reader.ts";
import { type Engine, type EngineOptions, isHost } from "./engine.ts";
import { UpstreamError } from "../upstream/upstream_error.ts";
import { NODE_ENGINE_IS_COMPLETE } from "./node_engine.ts";
import { type AnswerBody, BodyError, type HeaderList, IncomingRequest } from "./incoming_request.ts";
import { readCertificate, type TlsMaterial } from "./tls_material.ts";

const log = logger("listener");

/** Bodies up to this size are taken whole, which shows nothing of their progress. */
const WHOLE_BYTES_MAX = 16 * 1024;
const RETIRE_CHECK_MS = 50;
const ENCODING = "content-encoding";
/** Older runtimes compress streamed answers, unless these say how they are encoded. */
const LEAVES_ANSWERS_ALONE = NODE_ENGINE_IS_COMPLETE;

type ServeInfo = Deno.ServeHandlerInfo<Deno.NetAddr>;

/** Starts listening; throws what binding throws. */
export function startServeEngine(options: EngineOptions): Engine {
  return new ServeEngine(options);
}

/** A server on the port; usually the only one. */
interface Generation {
  readonly server: Deno.HttpServer<Deno.NetAddr>;
  inFlight: number;
  /** Its certificate was replaced. */
  isRetired: boolean;
}

class ServeEngine implements Engine {
  readonly address: Engine["address"];
  readonly #options: EngineOptions;
  readonly #abort = new AbortController();
  readonly #closing = new AbortController();
  readonly #generations = new Set<Generation>();
  readonly #backoff = new Backoff({ baseMs: 50, factor: 2, maxMs: 1000 });
  #tls: TlsMaterial | null;
  #current: Generation;

  constructor(options: EngineOptions) {
    this.#options = options;
    this.#tls = options.tls;
    this.#current = this.#listen(options.port);
    const { hostname, port } = this.#current.server.addr;
    this.address = { hostname, port };
  }

  stopAccepting(): void {}

  replaceCertificates(material: TlsMaterial): void {
    if (this.#tls === null) return;
    for (const one of material) readCertificate(one);
    this.#tls = material;
    const retired = this.#current;
    this.#current = this.#listen(this.address.port);
    retired.isRetired = true;
    void this.#retire(retired);
  }

  /** Once a server shuts down it cannot be aborted any more: what is left then ends with what it waits for, or the process. */
  async close(graceMs: number): Promise<void> {
    this.#closing.abort();
    if (graceMs === 0) return this.#abort.abort();
    const waited = new AbortController();
    const shutdowns = [...this.#generations].map(({ server }) => server.shutdown().catch(() => {}));
    const shutdown = Promise.all(shutdowns);
    await Promise.race([shutdown, this.#options.clock.sleep(graceMs, waited.signal)]);
    waited.abort();
  }

  #listen(port: number): Generation {
    const { hostname, reusePort, backlog, app } = this.#options;
    const first = this.#tls?.[0];
    const server = Deno.serve({
      hostname,
      port,
      // A server with a renewed certificate takes its place beside the one before.
      reusePort: reusePort || first !== undefined,
      tcpBacklog: backlog,
      ...first && { cert: first.certificate, key: first.key },
      signal: this.#abort.signal,
      onListen: () => {},
      // An answer whose rest the upstream did not send; its head is out, and its connection is cut.
      onError: (error) => error instanceof UpstreamError ? new Response(null) : app.fault(error),
    }, (request, info) => this.#handle(request, info, generation));
    const generation: Generation = { server, inFlight: 0, isRetired: false };
    this.#generations.add(generation);
    server.finished.then(
      () => this.#generations.delete(generation),
      (error) => this.#restart(generation, error),
    );
    return generation;
  }

  async #restart(failed: Generation, error: unknown): Promise<void> {
    this.#generations.delete(failed);
    if (failed.isRetired) return;
    log.error("accepting connections failed, listening again: {error}", { error });
    this.#options.metrics.add(METRICS.listenerRestarts);
    const { clock } = this.#options;
    await reopen({ clock, backoff: this.#backoff, signal: this.#closing.signal }, () => {
      this.#current = this.#listen(this.address.port);
    });
  }

  /** Ends a server whose connections have been asked to close, at a moment at which it answers nothing. */
  async #retire(generation: Generation): Promise<void> {
    const { clock, timeouts } = this.#options;
    const { signal } = this.#closing;
    await clock.sleep(timeouts.idleMs, signal);
    while (generation.inFlight > 0 && !signal.aborted) await clock.sleep(RETIRE_CHECK_MS, signal);
    if (!signal.aborted) await generation.server.shutdown().catch(() => {});
  }

  #handle(request: Request, info: ServeInfo, generation: Generation): Response | Promise<Response> {
    const { app, paces } = this.#options;
    const incoming = new ServeRequest(request, info, paces);
    incoming.isSecure = this.#tls !== null;
    incoming.isLast = generation.isRetired;
    const answer = isHost(incoming.header("host")) ? app.handle(incoming) : app.handleMalformed(incoming);
    // Only servers with certificates are ever retired.
    return this.#tls === null ? answer : counted(answer, generation);
  }
}

async function counted(answer: Response | Promise<Response>, generation: Generation): Promise<Response> {
  generation.inFlight++;
  try {
    return await answer;
  } finally {
    generation.inFlight--;
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
      throw this.#failure ??= this.cutOff(error);
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
      throw this.#failure ??= this.cutOff(error);
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
