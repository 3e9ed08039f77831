/**
 * The application that every engine carries: routing, and the one place where an answer leaves.
 *
 * Why a handler per path rather than per method: methods a path does not know are answered with 405, which a router
 * left to itself answers with 404; and a path with one handler is what the router dispatches cheapest.
 *
 * Before anything else stands the guard (`request_gate.ts`): what it refuses costs no routing and no parsing.
 *
 * Whatever an endpoint throws becomes an answer. A {@link RequestError} is the client's doing; anything else is a fault
 * of ours, answered with 500 and logged with its stack.
 */
import { type Context, Hono } from "hono";
import type { Clock } from "../core/clock.ts";
import { hostWithoutPort, isHostOf } from "../protocol/ingest_host.ts";
import { RequestError } from "../protocol/request_error.ts";
import { METRICS } from "../telemetry/catalogue.ts";
import { logger } from "../telemetry/log.ts";
import type { Metrics } from "../telemetry/registry.ts";
import type { AccessLog } from "./access_log.ts";
import { type Answer, AnswerWriter, emptyAnswer, errorAnswer, jsonAnswer, PREFLIGHT } from "./answer.ts";
import type { BodyReader } from "./body_reader.ts";
import {
  type HeaderList,
  type IncomingRequest,
  type RouteName,
  TARGET_CHARS_MAX,
} from "./incoming_request.ts";
import type { RequestGate, TurnedAway } from "./request_gate.ts";
import type { Endpoint, PathParams, Route } from "./routes.ts";

const log = logger("listener");

/** Routes whose answers are the upstream's; how long those take says nothing of the node. */
const UPSTREAM_ROUTES: ReadonlySet<RouteName> = new Set(["forward", "upload"]);

const NOT_FOUND = emptyAnswer(404);
const TARGET_TOO_LONG = emptyAnswer(414);
const MISDIRECTED = emptyAnswer(421);
const INTERNAL_ERROR = jsonAnswer(500, `{"detail":"internal error"}`);

/** Options of {@link App}. */
export interface AppOptions {
  readonly routes: readonly Route[];
  /** Takes what is below `/api/` and no route's. */
  readonly fallback?: Route | null;
  /** Version in the `Server` header. */
  readonly version: string;
  readonly bodies: BodyReader;
  /** Notes every answer. */
  readonly accessLog?: AccessLog | null;
  /** What requests have to pass first. */
  readonly requestGate?: RequestGate | null;
  readonly clock: Clock;
  readonly metrics: Metrics;
  /**
   * Hosts that are served, lower case, `*.` for subdomains; none listed means any. Probes are answered under any name.
   * Read at use, and may change.
   */
  readonly hosts?: readonly string[];
  /** `Strict-Transport-Security` of answers over TLS, seconds; null for none. */
  readonly hstsMaxAgeSeconds?: number | null;
}

/** Answers requests; knows nothing of sockets. */
export class App {
  /** While true, every answer asks the client to close its connection. */
  closing = false;
  readonly #hono: Hono;
  readonly #writer: AnswerWriter;
  readonly #secureWriter: AnswerWriter;
  readonly #o: AppOptions;
  readonly #probePaths: ReadonlySet<string>;
  readonly #bodies: BodyReader;
  readonly #accessLog: AccessLog | null;
  readonly #gate: RequestGate | null;
  readonly #clock: Clock;
  readonly #metrics: Metrics;

  constructor(o: AppOptions) {
    this.#writer = new AnswerWriter(o.version);
    this.#secureWriter = new AnswerWriter(o.version, o.hstsMaxAgeSeconds);
    this.#o = o;
    this.#bodies = o.bodies;
    this.#accessLog = o.accessLog ?? null;
    this.#gate = o.requestGate ?? null;
    this.#clock = o.clock;
    this.#metrics = o.metrics;
    this.#hono = new Hono({ getPath: (request) => incoming(request).path });
    const probes = o.routes.filter((route) => !route.ingestion);
    this.#probePaths = new Set(probes.map((route) => route.path));
    for (const route of probes) this.#hono.all(route.path, this.#dispatch(route));
    // Before the ingestion routes: `relay` is no project.
    this.#hono.all("/api/relay/*", (c) => this.#refuse(incoming(c.req.raw), NOT_FOUND, false));
    const ingestion = o.routes.filter((route) => route.ingestion);
    for (const route of ingestion) this.#hono.all(route.path, this.#dispatch(route));
    this.#hono.onError((error, c) => {
      logFault(error);
      return this.#answer(incoming(c.req.raw), INTERNAL_ERROR, false, true);
    });
    this.#hono.notFound((c) => this.#fallBack(incoming(c.req.raw), c.req, o.fallback ?? null));
  }

  /** Answers one request through its `respond`. Never rejects. */
  handle(request: IncomingRequest): Response | Promise<Response> {
    request.startedMs = this.#clock.monotonic();
    request.receivedAtMs = this.#clock.now();
    this.#metrics.add(METRICS.requestsInFlight, 1);
    return this.#pastGate(request, () => this.#route(request));
  }

  #route(request: IncomingRequest): Response | Promise<Response> {
    if (request.path.length + request.query.length > TARGET_CHARS_MAX) {
      return this.#refuse(request, TARGET_TOO_LONG, false);
    }
    const { hosts = [] } = this.#o;
    if (hosts.length > 0 && !this.#serves(request, hosts)) return this.#refuse(request, MISDIRECTED, false);
    return this.#hono.fetch(request as unknown as Request);
  }

  #serves(request: IncomingRequest, hosts: readonly string[]): boolean {
    if (this.#probePaths.has(request.path)) return true;
    const host = hostWithoutPort(request.header("host") ?? "");
    return hosts.some((pattern) => isHostOf(host, pattern));
  }

  /** Answers a request that cannot be routed. Never rejects. */
  handleMalformed(request: IncomingRequest): Promise<Response> {
    request.startedMs = this.#clock.monotonic();
    request.receivedAtMs = this.#clock.now();
    this.#metrics.add(METRICS.requestsInFlight, 1);
    return Promise.resolve(this.#pastGate(request, () => this.#refuse(request, emptyAnswer(400), false)));
  }

  /** Counts what an engine refused before it was a request; its answer carries {@link App.plainHeaders}. */
  countUnparsed(status: number, peer: string): void {
    this.#metrics.add(METRICS.requests, 1, "other", String(status));
    this.#gate?.refusedUnparsed(status, peer);
    this.#accessLog?.unparsed(status, peer);
  }

  /** Headers every answer carries. */
  get plainHeaders(): HeaderList {
    return this.#writer.plainHeaders;
  }

  /** Answer for a fault in an engine itself. */
  fault(error: unknown): Response {
    logFault(error);
    return new Response(INTERNAL_ERROR.body, {
      status: 500,
      headers: this.plainHeaders as [string, string][],
    });
  }

  /** Goes on with a request once the guard has let it through; turns it away otherwise. */
  #pastGate(
    request: IncomingRequest,
    goOn: () => Response | Promise<Response>,
  ): Response | Promise<Response> {
    if (this.#gate === null) return goOn();
    const turnedAway = this.#gate.check(request);
    if (turnedAway !== null) return this.#turnAway(request, turnedAway);
    const held = this.#gate.hold(request);
    return held === null ? goOn() : held.then(goOn);
  }

  async #turnAway(request: IncomingRequest, { answer, closing, isIngestion }: TurnedAway): Promise<Response> {
    const isRead = !closing && await this.#bodies.discardUnread(request);
    return this.#answer(request, answer, isIngestion, this.closing || !isRead);
  }

  #dispatch(route: Route): (c: Context) => Response | Promise<Response> {
    const refusal = notAllowed(route);
    return (c) => {
      const request = incoming(c.req.raw);
      const endpoint = route.methods.get(request.method);
      if (endpoint) {
        request.route = route.name;
        return this.#run(endpoint, request, c.req, route);
      }
      if (!route.ingestion || request.method !== "OPTIONS") {
        request.route = route.name;
        return this.#refuse(request, refusal, route.ingestion);
      }
      request.route = "preflight";
      return this.#refuse(request, PREFLIGHT, false);
    };
  }

  /** What no route takes: the API of the upstream, or nothing (ingestion reference, section 1.4). */
  #fallBack(request: IncomingRequest, path: PathParams, fallback: Route | null): Promise<Response> {
    if (fallback === null || !request.path.startsWith("/api/") || request.path === "/api/") {
      return this.#refuse(request, NOT_FOUND, false);
    }
    const endpoint = fallback.methods.get(request.method);
    request.route = fallback.name;
    return endpoint
      ? this.#run(endpoint, request, path, fallback)
      : this.#refuse(request, notAllowed(fallback), false);
  }

  async #run(
    endpoint: Endpoint,
    request: IncomingRequest,
    path: PathParams,
    route: Route,
  ): Promise<Response> {
    try {
      const answer = await endpoint(request, request.projectId = path.param("project_id") ?? "", path);
      return this.#answer(request, answer, route.ingestion, this.closing || answer.closing === true);
    } catch (error) {
      if (error instanceof RequestError) return this.#refuseError(request, error, route);
      logFault(error);
      return this.#refuse(request, INTERNAL_ERROR, route.ingestion);
    }
  }

  #refuseError(request: IncomingRequest, error: RequestError, route: Route): Promise<Response> {
    request.reason = error.reason;
    // What was handed inwards is accounted for there, by item; what is no telemetry has no outcome.
    if (route.ingestion && !request.isSubmitted) {
      this.#metrics.add(METRICS.outcomes, 1, "invalid", error.reason, "default");
    }
    // In a Relay an outer layer refuses unknown encodings, out of reach of the CORS layer: section 5.4.
    const isOuter = error.status === 415 && "accept-encoding" in error.headers;
    return this.#refuse(request, errorAnswer(error), route.ingestion && !isOuter);
  }

  /** Answers a request whose body may not have been read. */
  async #refuse(request: IncomingRequest, answer: Answer, cors: boolean): Promise<Response> {
    const isRead = await this.#bodies.discard(request);
    return this.#answer(request, answer, cors, this.closing || !isRead);
  }

  #answer(request: IncomingRequest, answer: Answer, cors: boolean, closing: boolean): Response {
    const metrics = this.#metrics;
    this.#gate?.answered(request, answer.status, !UPSTREAM_ROUTES.has(request.route));
    this.#accessLog?.answered(request, answer.status);
    metrics.add(METRICS.requests, 1, request.route, String(answer.status));
    metrics.add(METRICS.requestsInFlight, -1);
    if (!UPSTREAM_ROUTES.has(request.route)) {
      metrics.observe(METRICS.answerTime, (this.#clock.monotonic() - request.startedMs) / 1000);
    }
    if (request.isLast) closing = true;
    const writer = request.isSecure ? this.#secureWriter : this.#writer;
    return writer.write(request, answer, cors, closing);
  }
}

function logFault(error: unknown): void {
  log.error("a request failed inside the node: {error}", { error });
}

function notAllowed({ methods }: Route): Answer {
  return emptyAnswer(405, { allow: [...methods.keys()].join(",") });
}

/** The router passes its request through untouched, and looks at nothing of it but `method`. */
function incoming(request: Request): IncomingRequest {
  return request as unknown as IncomingRequest;
}
