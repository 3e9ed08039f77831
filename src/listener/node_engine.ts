/**
 * Engine for nodes that face the internet: `node:http`, which bounds how long clients may take.
 *
 * Limits: a head has `timeouts.headersMs`, a body what `body_pace.ts` says, a connection `timeouts.idleMs` between two
 * requests; late heads and bodies are answered with 408. Clients that do not read are `unread_answers.ts`'s. Connections beyond the bounds of `connection_gate.ts` are reset; those must be
 * below the limit of file descriptors, see `open_files.ts`. Heads of more than 16 KiB are answered with 431 or 414.
 *
 * Older runtimes enforce none of the connection timeouts (bodies are timed here all the same) and ignore `reusePort`:
 * {@link NODE_ENGINE_IS_COMPLETE}.
 */
import * as http from "node:http";
import { type AddressInfo, Server, type Socket } from "node:net";
import { Buffer } from "node:buffer";
import type { Clock } from "../core/clock.ts";
import { logger } from "../telemetry/log.ts";
import type { App } from "./app.ts";
import { BodyPace, type BodyPaces } from "./body_pace.ts";
import { type Engine, type EngineOptions, isHost } from "./engine.ts";
import {
  type AnswerBody,
  BodyError,
  type HeaderList,
  IncomingRequest,
  TARGET_CHARS_MAX,
} from "./incoming_request.ts";
import { peerOf, stageSockets } from "./socket_stages.ts";
import { TlsContexts } from "./tls_contexts.ts";
import { UnreadAnswers } from "./unread_answers.ts";
import type { TlsMaterial } from "./tls_material.ts";

const log = logger("listener");

const HEAD_BYTES_MAX = 16 * 1024;
const SWEEP_INTERVAL_MS = 1000;

/**
 * Whether the runtime's `node:http` is the one that stands on `node:net`. Only that one enforces connection timeouts and
 * lets several isolates share a port; with the other, a node can have one lane.
 */
export const NODE_ENGINE_IS_COMPLETE: boolean = http.Server.prototype instanceof Server;

const INCOMPLETE =
  "this runtime has neither TLS nor the PROXY protocol in exposure internet; Deno 2.9 has, and exposure load_balancer";

/** Starts listening; rejects with what binding fails with. */
export async function startNodeEngine(options: EngineOptions): Promise<Engine> {
  if (!NODE_ENGINE_IS_COMPLETE && (options.tls || options.proxies)) throw new Error(INCOMPLETE);
  const { app, clock, paces, gate, proxies, timeouts } = options;
  const tls = options.tls && new TlsContexts(options.tls);
  const server = http.createServer({
    maxHeaderSize: HEAD_BYTES_MAX,
    requestTimeout: 0,
    connectionsCheckingInterval: Math.min(SWEEP_INTERVAL_MS, timeouts.headersMs),
  }, (request, response) => {
    const incoming = new NodeRequest(request, response, paces);
    // An answer that cannot be written any more is nobody's fault.
    response.on("error", () => {});
    incoming.isSecure = tls !== null;
    void (isWellFormed(request) ? app.handle(incoming) : app.handleMalformed(incoming));
  });
  const unread = new UnreadAnswers({ clock, timeouts, metrics: options.metrics });
  // The server reads them at use, and they may change.
  Object.defineProperties(server, {
    headersTimeout: { get: () => timeouts.headersMs },
    keepAliveTimeout: { get: () => timeouts.idleMs },
  });
  if (NODE_ENGINE_IS_COMPLETE) {
    stageSockets(server, { gate, proxies, tls, clock, timeouts, unread });
  }
  // Left alone, the parser ends these without an answer.
  server.on("connect", (_, socket: Socket) => answerUnparsed(app, "405 Method Not Allowed", socket));
  server.on("clientError", (error: ParserError, socket: Socket) => refuse(app, error, socket));
  const { promise, resolve, reject } = Promise.withResolvers<Engine>();
  server.once("error", reject);
  const { hostname: host, port, reusePort, backlog } = options;
  server.listen({ host, port, reusePort, backlog } as Parameters<typeof server.listen>[0] & object, () => {
    server.off("error", reject);
    server.on("error", (error) => log.error("the listening socket failed: {error}", { error }));
    resolve(new NodeEngine(server, clock, tls, unread));
  });
  return await promise;
}

class NodeEngine implements Engine {
  readonly address: Engine["address"];
  #closed: Promise<void> | null = null;

  constructor(
    readonly server: http.Server,
    readonly clock: Clock,
    readonly tls: TlsContexts | null,
    readonly unread: UnreadAnswers,
  ) {
    const { address, port } = server.address() as AddressInfo;
    this.address = { hostname: address, port };
  }

  stopAccepting(): void {
    this.#closed ??= new Promise((resolve) => this.server.close(() => resolve()));
    this.server.closeIdleConnections?.();
  }

  replaceCertificates(material: TlsMaterial): void {
    this.tls?.replace(material);
  }

  async close(graceMs: number): Promise<void> {
    this.stopAccepting();
    const waited = new AbortController();
    const closed = this.#closed!.then(() => waited.abort());
    await Promise.race([closed, this.clock.sleep(graceMs, waited.signal)]);
    waited.abort();
    this.server.closeAllConnections?.();
    this.unread.close();
  }
}

const REFUSALS: Readonly<Record<string, string>> = {
  ERR_HTTP_REQUEST_TIMEOUT: "408 Request Timeout",
  HPE_HEADER_OVERFLOW: "431 Request Header Fields Too Large",
};

/** What the parser of heads says of one it cannot read. */
type ParserError = NodeJS.ErrnoException & { readonly rawPacket?: Uint8Array };

/** Answers what never became a request. */
function refuse(app: App, error: ParserError, socket: Socket): void {
  if (!socket.writable) return void socket.destroy();
  const status = isTargetTooLong(error)
    ? "414 URI Too Long"
    : REFUSALS[error.code ?? ""] ?? "400 Bad Request";
  answerUnparsed(app, status, socket);
}

/**
 * What the parser lets pass and proxies read differently: two hosts, of which it drops one; chunks before HTTP/1.1; versions
 * there are not.
 */
function isWellFormed({ headers, rawHeaders, httpVersion }: http.IncomingMessage): boolean {
  if (!isHost(headers.host)) return false;
  if (httpVersion !== "1.1" && (httpVersion !== "1.0" || "transfer-encoding" in headers)) return false;
  let hosts = 0;
  for (let at = 0; at < rawHeaders.length; at += 2) {
    if (rawHeaders[at]!.length === 4 && rawHeaders[at]!.toLowerCase() === "host") hosts++;
  }
  return hosts <= 1;
}

function answerUnparsed(app: App, status: string, socket: Socket): void {
  app.countUnparsed(Number(status.slice(0, 3)), peerOf(socket));
  const headers = app.plainHeaders.map(([name, value]) => `${name}: ${value}\r\n`).join("");
  socket.end(`HTTP/1.1 ${status}\r\n${headers}content-length: 0\r\nconnection: close\r\n\r\n`);
  socket.destroySoon();
}

const LINE_FEED = 0x0a;

/** Whether a head is too large because of its first line, as far as can be told: when it came in one piece. */
function isTargetTooLong({ code, rawPacket }: ParserError): boolean {
  if (code !== "HPE_HEADER_OVERFLOW" || !rawPacket) return false;
  const end = rawPacket.indexOf(LINE_FEED);
  return end < 0 || end > TARGET_CHARS_MAX;
}

/** Stands for an answer that has been written to the socket. */
const SENT = new Response(null);

class NodeRequest extends IncomingRequest {
  #ended = false;
  #failure: BodyError | null = null;
  #gone: AbortController | null = null;
  #pace: BodyPace | null = null;
  /** Ends the reading of a body that is waited for. */
  #giveUp: (() => void) | null = null;

  constructor(
    readonly request: http.IncomingMessage,
    readonly response: http.ServerResponse,
    readonly paces: BodyPaces,
  ) {
    super(request.method ?? "", request.url ?? "/");
    // Told to whoever reads the body; with nobody reading it concerns nobody.
    request.on("error", () => {});
  }

  override get peer(): string {
    return peerOf(this.request.socket);
  }

  override header(name: string): string | null {
    const value = this.request.headers[name];
    if (value === undefined) return null;
    return typeof value === "string" ? value : value.join(", ");
  }

  override headerList(): HeaderList {
    return Object.entries(this.request.headers).flatMap(([name, value]): [string, string][] =>
      value === undefined ? [] : typeof value === "string" ? [[name, value]] : value.map((one) => [name, one])
    );
  }

  override get signal(): AbortSignal {
    if (this.#gone === null) {
      const { response } = this;
      const gone = this.#gone = new AbortController();
      if (response.destroyed) gone.abort();
      response.once("close", () => response.writableFinished || gone.abort());
    }
    return this.#gone.signal;
  }

  override get unreadSignal(): AbortSignal {
    return this.signal;
  }

  override async bytes(): Promise<Uint8Array> {
    const chunks: Uint8Array[] = [];
    await this.chunks((chunk) => chunks.push(chunk) > 0);
    return chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks);
  }

  override chunks(take: (chunk: Uint8Array) => boolean): Promise<boolean> {
    if (this.#failure) return Promise.reject(this.#failure);
    if (this.#ended) return Promise.resolve(true);
    // Nobody was listening when the body ended, or the client went away, between two calls.
    if (this.request.readableEnded) {
      this.#ended = true;
      return Promise.resolve(true);
    }
    if (this.request.destroyed) return Promise.reject(this.#failure = this.cutOff());
    const { promise, resolve, reject } = Promise.withResolvers<boolean>();
    const { request, paces } = this;
    const pace = this.#pace ??= new BodyPace();
    const fail = (failure: BodyError) => {
      this.#failure = failure;
      stop();
      reject(this.#failure);
    };
    paces.wait(pace, () => fail(new BodyError("timeout")));
    const onData = (chunk: Uint8Array) => {
      paces.received(pace, chunk.length);
      if (!take(chunk)) stop(), resolve(false);
    };
    const onEnd = () => {
      this.#ended = true;
      stop();
      resolve(true);
    };
    const onClose = () => fail(this.cutOff());
    const onError = (error: unknown) => fail(this.cutOff(error));
    const stop = () => {
      paces.stop(pace);
      request.off("data", onData).off("end", onEnd).off("close", onClose).off("error", onError);
      this.#giveUp = null;
      if (!this.#ended) request.pause();
    };
    this.#giveUp = onClose;
    request.on("data", onData).on("end", onEnd).on("close", onClose).on("error", onError);
    request.resume();
    return promise;
  }

  override respond(status: number, headers: HeaderList, body: AnswerBody): Response {
    const { response } = this;
    // Nobody reads on after the answer.
    this.#giveUp?.();
    response.statusCode = status;
    for (const [name, value] of headers) {
      if (name === "set-cookie") response.appendHeader(name, value);
      else response.setHeader(name, value);
    }
    // Older runtimes compress answers of any size, which some clients cannot read: section 4.1.
    if (!NODE_ENGINE_IS_COMPLETE && !response.hasHeader("content-encoding")) {
      response.setHeader("content-encoding", "identity");
    }
    if (body instanceof ReadableStream) void sendStream(response, body);
    else response.end(body ?? undefined);
    return SENT;
  }
}

/** Sends a body as fast as the client takes it. Never rejects. */
async function sendStream(response: http.ServerResponse, body: ReadableStream<Uint8Array>): Promise<void> {
  const reader = body.getReader();
  const { promise: gone, resolve: onClose } = Promise.withResolvers<void>();
  response.once("close", onClose);
  void gone.then(() => reader.cancel()).catch(() => {});
  try {
    for (let next = await reader.read(); !next.done; next = await reader.read()) {
      if (response.write(next.value)) continue;
      const { promise: drained, resolve: onDrain } = Promise.withResolvers<void>();
      response.once("drain", onDrain);
      await Promise.race([drained, gone]);
      response.off("drain", onDrain);
    }
    response.end();
  } catch (error) {
    // A proper end would pass a part off as the whole. Older runtimes cut the connection only if there is an error.
    response.destroy(error instanceof Error ? error : new Error(String(error)));
  }
}
