/**
 * Signed JSON questions to the upstream: registration, project states, public keys of relays.
 *
 * Source: control reference, sections 3 and 11. Asked by the control plane alone, never for an envelope. Nothing is
 * repeated here: whoever asks knows whether it still wants to know.
 *
 * Limits: size and time of an answer; how many questions are under way is bounded by who asks (one registration, one
 * global config, one batch of keys, `limits.max_concurrent_queries` batches of projects) and by the client's connections.
 */
import { fromUtf8, utf8 } from "../core/bytes.ts";
import { METRICS } from "../telemetry/catalogue.ts";
import type { Metrics } from "../telemetry/registry.ts";
import type { ClientResponse } from "./connection.ts";
import type { HttpClient } from "./http_client.ts";
import type { RequestSigner } from "./request_signer.ts";
import { UpstreamError } from "./upstream_error.ts";

/** What can be asked; label in metrics. */
export type QueryName =
  | "challenge"
  | "response"
  | "project_configs"
  | "global_config"
  | "public_keys"
  | "outcomes"
  | "metrics";

const PATHS: Readonly<Record<QueryName, string>> = {
  challenge: "/api/0/relays/register/challenge/",
  response: "/api/0/relays/register/response/",
  project_configs: "/api/0/relays/projectconfigs/?version=3",
  global_config: "/api/0/relays/projectconfigs/?version=3",
  public_keys: "/api/0/relays/publickeys/",
  outcomes: "/api/0/relays/outcomes/",
  metrics: "/api/0/relays/metrics/",
};

const EXCERPT_CHARS = 200;

/** Why a question was not answered. The message is one line for people. */
export class QueryError extends Error {
  override readonly name = "QueryError";

  constructor(
    /** `network`: worth another try; `refused`: an answer that is none; `invalid`: an answer that cannot be read. */
    readonly kind: "network" | "refused" | "invalid" | "aborted",
    message: string,
    readonly status: number | null = null,
    /** The upstream never wants to hear of this node again. */
    readonly isPermanent = false,
    /** Wall clock of the upstream when it answered, ms; null when it did not say. */
    readonly upstreamTimeMs: number | null = null,
  ) {
    super(message);
  }
}

/** A question's answer. */
export interface QueryAnswer {
  readonly value: unknown;
  /** Wall clock of the upstream when it answered, ms; null when it did not say. */
  readonly upstreamTimeMs: number | null;
}

/** Options of {@link QueryClient}. */
export interface QueryClientOptions {
  readonly client: Pick<HttpClient, "send" | "close">;
  readonly signer: RequestSigner;
  readonly metrics: Metrics;
}

/** Asks one upstream. */
export class QueryClient {
  readonly #o: QueryClientOptions;

  constructor(options: QueryClientOptions) {
    this.#o = options;
  }

  /**
   * Asks with a JSON body.
   *
   * @throws {QueryError}
   */
  async ask(query: QueryName, body: object, signal?: AbortSignal): Promise<QueryAnswer> {
    return await this.askRaw(query, utf8(JSON.stringify(body)), signal);
  }

  /**
   * Asks with a body as it is.
   *
   * @throws {QueryError}
   */
  async askRaw(query: QueryName, body: Uint8Array, signal?: AbortSignal): Promise<QueryAnswer> {
    try {
      const answer = await this.#ask(query, body, signal);
      this.#o.metrics.add(METRICS.queries, 1, query, "ok");
      return answer;
    } catch (error) {
      const kind = error instanceof QueryError ? error.kind : "invalid";
      this.#o.metrics.add(METRICS.queries, 1, query, kind);
      throw error;
    }
  }

  /** Gives up what is under way. */
  close(): void {
    this.#o.client.close();
  }

  async #ask(query: QueryName, body: Uint8Array, signal?: AbortSignal): Promise<QueryAnswer> {
    const { client, signer } = this.#o;
    const headers = [["Content-Type", "application/json"] as const, ...signer.queryHeaders(body)];
    let response: ClientResponse;
    try {
      response = await client.send({ method: "POST", path: PATHS[query], headers, body }, signal);
    } catch (error) {
      throw queryError(error);
    }
    const date = Date.parse(response.header("date") ?? "");
    const upstreamTimeMs = Number.isNaN(date) ? null : date;
    if (response.status < 200 || response.status > 299) throw refusal(response, upstreamTimeMs);
    try {
      return { value: JSON.parse(fromUtf8(response.body)), upstreamTimeMs };
    } catch {
      throw new QueryError("invalid", "the answer is no JSON", response.status, false, upstreamTimeMs);
    }
  }
}

function queryError(error: unknown): unknown {
  if (!(error instanceof UpstreamError)) return error;
  if (error.kind === "aborted") return new QueryError("aborted", error.message);
  return new QueryError(error.isNetworkError ? "network" : "invalid", `${error.kind}: ${error.message}`);
}

/** Sections 3 and 11: 502 to 504 come from proxies; a 403 that says `"relay": "stop"` is final. */
function refusal({ status, body }: ClientResponse, upstreamTimeMs: number | null): QueryError {
  const text = fromUtf8(body);
  const { detail, relay } = errorBody(text);
  const said = (detail ?? text).replace(/[^\x20-\x7e\xa0-\uffff]+/g, " ").trim().slice(0, EXCERPT_CHARS);
  const message = said === "" ? `HTTP ${status}` : `HTTP ${status}: ${said}`;
  const kind = status === 502 || status === 503 || status === 504 ? "network" : "refused";
  return new QueryError(kind, message, status, status === 403 && relay === "stop", upstreamTimeMs);
}

function errorBody(text: string): { detail: string | null; relay: unknown } {
  try {
    const { detail, relay } = JSON.parse(text);
    return { detail: typeof detail === "string" ? detail : null, relay };
  } catch {
    return { detail: null, relay: null };
  }
}
