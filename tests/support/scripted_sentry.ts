/**
 * A Sentry for tests: a scripted upstream that registers relays, serves project and global configurations, and verifies
 * every signature for real. What a node should never send is a violation, which fails the test.
 */
import { fromUtf8 } from "../../src/core/bytes.ts";
import { checkSignature, isTimely, PublicKey } from "../../src/protocol/signature.ts";
import { type Behaviour, ScriptedUpstream, type UpstreamCall } from "./scripted_upstream.ts";

/** A route of the relay API. */
export type SentryRoute =
  | "challenge"
  | "response"
  | "project_configs"
  | "global_config"
  | "public_keys"
  | "outcomes";

/** A relay as Sentry knows it. */
export interface SentryRelay {
  readonly publicKey: string;
  readonly internal: boolean;
}

const ROUTES = /^\/api\/0\/relays\/(?!live\/)/;
const SIGNATURE_AGE_MS_MAX = 300_000;

interface Query {
  relay_id?: string;
  public_key?: string;
  token?: string;
  relay_ids?: string[];
  publicKeys?: string[];
  revisions?: (string | null)[];
  fullConfig?: boolean;
  global?: boolean;
}

/** The upstream of a managed node. */
export class ScriptedSentry {
  readonly upstream: ScriptedUpstream;
  /** Relays that have registered, by id. */
  readonly relays = new Map<string, SentryRelay>();
  /** Project documents by public key. */
  readonly projects = new Map<string, object>();
  /** Keys that are answered with `pending`. */
  readonly pending = new Set<string>();
  /** Public keys of relays that get everything. */
  readonly internals = new Set<string>();
  global: object | null = { measurements: {} };
  /** Whether the global configuration is served as ready. */
  isGlobalReady = true;
  /** Ids of relays that are told to stop. */
  readonly banned = new Set<string>();
  readonly calls: { readonly route: SentryRoute; readonly call: UpstreamCall; readonly query: Query }[] = [];
  readonly #failures = new Map<SentryRoute, Behaviour[]>();
  readonly #tokens = new Map<string, SentryRelay>();
  #lasting = new Map<SentryRoute, Behaviour>();

  private constructor(port: number) {
    this.upstream = ScriptedUpstream.start({
      port,
      routes: ROUTES,
      respond: (call) => this.#respond(call),
      inspect: (call) => this.#inspect(call),
    });
  }

  /** Listens on a free port of the loopback interface, or on `port`. */
  static start(port = 0): ScriptedSentry {
    return new ScriptedSentry(port);
  }

  get url(): string {
    return this.upstream.url;
  }

  /** Treats the next calls of a route like this, one behaviour each. */
  fail(route: SentryRoute, ...behaviours: Behaviour[]): void {
    this.#failures.set(route, [...this.#failures.get(route) ?? [], ...behaviours]);
  }

  /** Treats all calls of a route like this, until it is told `null`. */
  failAlways(route: SentryRoute, behaviour: Behaviour | null): void {
    if (behaviour === null) this.#lasting.delete(route);
    else this.#lasting.set(route, behaviour);
  }

  /** Serves a project: a minimal document with `more` over it, `config` over its `config`. */
  addProject(key: string, projectId: number, config: object = {}, more: object = {}): void {
    this.projects.set(key, {
      projectId,
      organizationId: 1,
      slug: `project-${projectId}`,
      lastChange: "2026-01-01T00:00:00Z",
      rev: crypto.randomUUID(),
      publicKeys: [{ publicKey: key, numericId: projectId * 10 }],
      config: { allowedDomains: ["*"], trustedRelays: [], ...config },
      ...more,
    });
  }

  /** Calls of a route so far. */
  callsOf(route: SentryRoute): (typeof this.calls)[number][] {
    return this.calls.filter((call) => call.route === route);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.upstream.close();
  }

  #respond(call: UpstreamCall): Behaviour {
    const query = JSON.parse(fromUtf8(call.body)) as Query;
    const route = routeOf(call, query);
    if (route === null) {
      this.upstream.violations.push(`${call.method} ${call.path}: unknown relay route`);
      return { status: 404 };
    }
    this.calls.push({ route, call, query });
    const failure = this.#failures.get(route)?.shift() ?? this.#lasting.get(route);
    return failure ?? this.#answer(route, call, query);
  }

  #answer(route: SentryRoute, call: UpstreamCall, query: Query): Behaviour {
    const id = call.headers.get("x-sentry-relay-id") ?? "";
    if (this.banned.has(id)) return json(403, { detail: "banned", relay: "stop" });
    const isRegistering = route === "challenge" || route === "response";
    if (isRegistering && query.relay_id !== id) return json(400, { detail: "relay_id does not match" });
    if (route === "challenge") return this.#challenge(call, query);
    const relay = route === "response" ? this.#tokens.get(query.token ?? "") : this.relays.get(id);
    if (!relay) return json(401, { detail: "Relay is not registered" });
    const problem = this.#signatureProblem(relay.publicKey, call, call.body);
    if (problem !== null) return this.#violation(call, problem);
    switch (route) {
      case "response":
        this.relays.set(id, relay);
        return json(200, { relay_id: id });
      case "public_keys":
        return json(200, {
          relays: Object.fromEntries(
            query.relay_ids!.map((other) => [other, this.relays.get(other) ?? null]),
          ),
        });
      case "outcomes":
        return json(202, {});
      default:
        return this.#configs(relay, query);
    }
  }

  #challenge(call: UpstreamCall, query: Query): Behaviour {
    const problem = this.#signatureProblem(query.public_key!, call, call.body);
    if (problem !== null) return this.#violation(call, problem);
    const known = this.relays.get(query.relay_id!);
    if (known && known.publicKey !== query.public_key) return json(400, { detail: "Relay has another key" });
    const token = `${btoa(query.relay_id!)}:${crypto.randomUUID()}`;
    const internal = this.internals.has(query.public_key!);
    this.#tokens.set(token, { publicKey: query.public_key!, internal });
    return json(200, { relay_id: query.relay_id, token });
  }

  #configs(relay: SentryRelay, { publicKeys = [], revisions = [], fullConfig, global }: Query): Behaviour {
    if (fullConfig && !relay.internal) return json(403, { detail: "Relay is not internal" });
    const configs: Record<string, unknown> = {};
    const [pending, unchanged]: [string[], string[]] = [[], []];
    for (const [index, key] of publicKeys.entries()) {
      const document = this.projects.get(key) as
        | { rev?: string; config: { trustedRelays?: string[] } }
        | undefined;
      const isTrusted = relay.internal || document?.config.trustedRelays?.includes(relay.publicKey);
      if (this.pending.has(key)) pending.push(key);
      else if (!document || !isTrusted) configs[key] = { disabled: true };
      else if (document.rev && revisions[index] === document.rev) unchanged.push(key);
      else configs[key] = document;
    }
    const status = this.isGlobalReady ? "ready" : "pending";
    return json(200, {
      configs,
      pending,
      unchanged,
      ...global && this.global && { global: this.global, globalStatus: status },
    });
  }

  /** Envelopes of relays carry their id and a signature of nothing: control reference, section 3. */
  #inspect(call: UpstreamCall): string[] {
    const id = call.headers.get("x-sentry-relay-id") ?? "";
    const relay = this.relays.get(id);
    if (!relay) return [`${call.path}: an envelope of relay "${id}", which is not registered`];
    const problem = this.#signatureProblem(relay.publicKey, call, new Uint8Array(0));
    return problem === null ? [] : [`${call.path}: ${problem}`];
  }

  #signatureProblem(publicKey: string, call: UpstreamCall, payload: Uint8Array): string | null {
    const value = call.headers.get("x-sentry-relay-signature") ?? "";
    const check = checkSignature(PublicKey.parse(publicKey), value, payload);
    if (check.kind !== "valid") return `signature is ${check.kind}`;
    return isTimely(check.timeMs, Date.now(), SIGNATURE_AGE_MS_MAX) ? null : "signature is not of this time";
  }

  #violation(call: UpstreamCall, problem: string): Behaviour {
    this.upstream.violations.push(`${call.path}: ${problem}`);
    return json(401, { detail: problem });
  }
}

function routeOf({ method, path }: UpstreamCall, query: Query): SentryRoute | null {
  if (method !== "POST") return null;
  switch (path) {
    case "/api/0/relays/register/challenge/":
      return "challenge";
    case "/api/0/relays/register/response/":
      return "response";
    case "/api/0/relays/projectconfigs/?version=3":
      return query.global && query.publicKeys?.length === 0 ? "global_config" : "project_configs";
    case "/api/0/relays/publickeys/":
      return "public_keys";
    case "/api/0/relays/outcomes/":
      return "outcomes";
    default:
      return null;
  }
}

function json(status: number, value: object): Behaviour {
  return { status, body: JSON.stringify(value) };
}
