/**
 * A stand-in for Sentry that runs beside a development node.
 *
 * Why: to see what an SDK sends and what a node does when its upstream misbehaves, without an account and without a
 * network. It accepts everything Sentry accepts, hands every envelope on for display and can be told while it runs to be
 * slow, down or rate-limiting.
 *
 * Limits: loopback only; the last {@link RECEIVED_MAX} envelopes are remembered, without their payloads. Down means an
 * answer of 503 to everything, which a node treats as it treats a refused connection: it retries until that passes.
 */
import type { Clock } from "../core/clock.ts";
import { DATA_CATEGORIES, type DataCategory } from "../protocol/data_category.ts";
import { formatRateLimits, type RateLimit } from "../protocol/rate_limit.ts";
import {
  type ArrivedEnvelope,
  type ArrivedRequest,
  type DescribedEnvelope,
  describeEnvelope,
} from "./dev_envelope.ts";

/** How the upstream answers from now on. */
export type DevBehaviour =
  | { readonly mode: "normal" }
  | { readonly mode: "down" }
  /** Every answer waits, ms. */
  | { readonly mode: "slow"; readonly delayMs: number }
  /** Envelopes with an item of one of the categories get 429; no categories: all envelopes. */
  | { readonly mode: "limited"; readonly categories: readonly DataCategory[] };

/** Options of {@link DevUpstream.start}. */
export interface DevUpstreamOptions {
  /** Port on 127.0.0.1; 0 for any free one. */
  readonly port: number;
  readonly clock: Clock;
  /** Called for each envelope, whatever the answer. */
  readonly onEnvelope: (envelope: ArrivedEnvelope) => void;
  /** Called for each other request but probes, e.g. OpenTelemetry bodies that are passed through. */
  readonly onRequest: (request: ArrivedRequest) => void;
}

/** Number of envelopes `GET /dev/envelopes` can show. */
const RECEIVED_MAX = 1000;
/** Short, so that a node is seen to recover soon after the limit is lifted. */
const LIMIT_SECONDS = 10;
const DEFAULT_DELAY_MS = 3000;
const PROBE_PATH = "/api/0/relays/live/";
const ENVELOPE_PATH = /^\/api\/(\d+)\/(envelope|store)\/$/;

/** The development upstream. */
export class DevUpstream {
  #behaviour: DevBehaviour = { mode: "normal" };
  readonly #received: ArrivedEnvelope[] = [];
  readonly #closing = new AbortController();
  readonly #server: Deno.HttpServer<Deno.NetAddr>;

  private constructor(private readonly options: DevUpstreamOptions) {
    const { port } = options;
    this.#server = Deno.serve(
      { hostname: "127.0.0.1", port, onListen: () => {}, onError: () => new Response(null, { status: 400 }) },
      (request) => this.#answer(request),
    );
  }

  /** Starts to listen. @throws Deno.errors.AddrInUse when the port is taken. */
  static start(options: DevUpstreamOptions): DevUpstream {
    return new DevUpstream(options);
  }

  /** Base URL. */
  get url(): string {
    return `http://127.0.0.1:${this.#server.addr.port}`;
  }

  /** What arrived last, oldest first. */
  get received(): readonly ArrivedEnvelope[] {
    return this.#received;
  }

  /** Changes how requests are answered from now on. */
  behave(behaviour: DevBehaviour): void {
    this.#behaviour = behaviour;
  }

  /** Stops listening; delayed answers are given at once. */
  async close(): Promise<void> {
    this.#closing.abort();
    await this.#server.shutdown();
  }

  async #answer(request: Request): Promise<Response> {
    const { pathname } = new URL(request.url);
    const body = await request.bytes();
    if (pathname.startsWith("/dev/")) return this.#control(request.method, pathname, body);
    if (!pathname.startsWith("/api/")) return new Response(null, { status: 404 });

    const behaviour = this.#behaviour;
    if (behaviour.mode === "slow") await this.options.clock.sleep(behaviour.delayMs, this.#closing.signal);
    const match = request.method === "POST" ? ENVELOPE_PATH.exec(pathname) : null;
    if (!match) return this.#takeOther(request, pathname, body.length, behaviour);
    const envelope = describeEnvelope({
      projectId: match[1]!,
      endpoint: match[2] as "envelope" | "store",
      body,
      encoding: request.headers.get("content-encoding") ?? "",
      receivedAtMs: this.options.clock.now(),
    });
    return this.#take(envelope, behaviour);
  }

  #takeOther(request: Request, path: string, bytes: number, behaviour: DevBehaviour): Response {
    const answer = behaviour.mode === "down" ? new Response(null, { status: 503 }) : Response.json({});
    const { method, headers } = request;
    const contentType = headers.get("content-type");
    if (path !== PROBE_PATH) {
      const receivedAtMs = this.options.clock.now();
      this.options.onRequest({ receivedAtMs, method, path, contentType, bytes, status: answer.status });
    }
    return answer;
  }

  #take(envelope: DescribedEnvelope, behaviour: DevBehaviour): Response {
    const answer = this.#answerTo(envelope, behaviour);
    const arrived = { ...envelope, status: answer.status };
    this.#received.push(arrived);
    if (this.#received.length > RECEIVED_MAX) this.#received.shift();
    this.options.onEnvelope(arrived);
    return answer;
  }

  #answerTo({ eventId, categories }: DescribedEnvelope, behaviour: DevBehaviour): Response {
    if (behaviour.mode === "down") return new Response(null, { status: 503 });
    if (behaviour.mode !== "limited" || !hits(behaviour.categories, categories)) {
      return Response.json(eventId ? { id: eventId } : {});
    }
    const now = this.options.clock.now();
    const limit: RateLimit = {
      categories: behaviour.categories,
      scope: "organization",
      reason: "dev_upstream",
      namespaces: [],
      expiresAtMs: now + LIMIT_SECONDS * 1000,
    };
    const headers = {
      "x-sentry-rate-limits": formatRateLimits([limit], now),
      "retry-after": String(LIMIT_SECONDS),
    };
    return Response.json({ detail: "limited by the development upstream" }, { status: 429, headers });
  }

  #control(method: string, pathname: string, body: Uint8Array): Response {
    if (method === "GET" && pathname === "/dev/envelopes") return Response.json(this.#received);
    if (method !== "POST" || pathname !== "/dev/behave") return new Response(null, { status: 404 });
    const behaviour = parseBehaviour(new TextDecoder().decode(body));
    if (typeof behaviour === "string") return Response.json({ detail: behaviour }, { status: 400 });
    this.behave(behaviour);
    return Response.json(behaviour);
  }
}

function hits(limited: readonly DataCategory[], present: readonly DataCategory[]): boolean {
  return limited.length === 0 || limited.some((category) => present.includes(category));
}

/** Reads what was posted to `/dev/behave`. @returns what is wrong with it, if anything. */
export function parseBehaviour(text: string): DevBehaviour | string {
  let wish: { mode?: unknown; delayMs?: unknown; categories?: unknown } | null;
  try {
    wish = JSON.parse(text);
  } catch {
    return 'expected JSON, for example {"mode":"slow","delayMs":2000}';
  }
  switch (wish?.mode) {
    case "normal":
    case "down":
      return { mode: wish.mode };
    case "slow": {
      const delayMs = wish.delayMs ?? DEFAULT_DELAY_MS;
      if (typeof delayMs !== "number" || !(delayMs >= 0)) return "delayMs is a number of milliseconds";
      return { mode: "slow", delayMs };
    }
    case "limited": {
      const categories = wish.categories ?? [];
      const known = Array.isArray(categories) && categories.every((name) => DATA_CATEGORIES.includes(name));
      if (!known) return `categories is a list of data categories: ${DATA_CATEGORIES.join(", ")}`;
      return { mode: "limited", categories };
    }
    default:
      return "mode is one of normal, slow, down, limited";
  }
}
