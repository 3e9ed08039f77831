/**
 * What an endpoint answers, and the headers that go with it.
 *
 * Why the header lists are made once: validating headers is most of the cost of an answer, so nothing is added per
 * request that the answer does not need.
 */
import type { RequestError } from "../protocol/request_error.ts";
import type { AnswerBody, HeaderList, IncomingRequest } from "./incoming_request.ts";

/** Answer of an endpoint, without the headers that every answer carries. */
export interface Answer {
  readonly status: number;
  /** `null` sends no body. */
  readonly body: AnswerBody;
  readonly contentType: string | null;
  readonly headers?: Readonly<Record<string, string>> | undefined;
  /** Further headers, as an upstream sent them; only `set-cookie` may occur more than once. */
  readonly passedOn?: HeaderList;
  /** The request's body was not read to its end, so the connection cannot go on. */
  readonly closing?: boolean;
}

const JSON_TYPE = "application/json";

/** Answer with a JSON text as its body. */
export function jsonAnswer(status: number, body: string, headers?: Answer["headers"]): Answer {
  return { status, body, contentType: JSON_TYPE, headers };
}

/** Answer in plain text. */
export function textAnswer(status: number, body: string): Answer {
  return { status, body, contentType: "text/plain; charset=utf-8" };
}

/** Answer without a body. */
export function emptyAnswer(status: number, headers?: Answer["headers"]): Answer {
  return { status, body: null, contentType: null, headers };
}

/** Answer to what a client did wrong. */
export function errorAnswer(error: RequestError): Answer {
  return {
    status: error.status,
    body: error.toBody(),
    contentType: error.contentType,
    headers: error.headers,
  };
}

const ALLOW_ORIGIN: readonly [string, string] = ["access-control-allow-origin", "*"];
const VARY: readonly [string, string] = [
  "vary",
  "origin, access-control-request-method, access-control-request-headers",
];

/** Answer to any OPTIONS on an ingestion route: ingestion reference, section 5.4. */
export const PREFLIGHT: Answer = emptyAnswer(200, {
  ...Object.fromEntries([ALLOW_ORIGIN, VARY]),
  "access-control-allow-methods": "POST",
  "access-control-allow-headers":
    "x-sentry-auth,x-requested-with,x-forwarded-for,origin,referer,accept,content-type,authentication,authorization," +
    "content-encoding,transfer-encoding",
  "access-control-max-age": "3600",
});

/** Adds what every answer carries: server name, resource policy, CORS headers on ingestion routes. */
export class AnswerWriter {
  /** Headers of answers outside the ingestion routes. */
  readonly plainHeaders: HeaderList;
  readonly #cors: HeaderList;
  readonly #corsJson: HeaderList;

  /**
   * @param version what follows `landfall/` in the `Server` header
   * @param hstsMaxAgeSeconds how long clients shall come over TLS alone
   */
  constructor(version: string, hstsMaxAgeSeconds: number | null = null) {
    const headers: [string, string][] = [
      ["server", `landfall/${version}`],
      ["cross-origin-resource-policy", "cross-origin"],
    ];
    if (hstsMaxAgeSeconds !== null) {
      headers.push(["strict-transport-security", `max-age=${hstsMaxAgeSeconds}`]);
    }
    this.plainHeaders = headers;
    this.#cors = [
      ...this.plainHeaders,
      [...ALLOW_ORIGIN],
      ["access-control-expose-headers", "x-sentry-error,x-sentry-rate-limits,retry-after"],
      [...VARY],
    ];
    this.#corsJson = [...this.#cors, ["content-type", JSON_TYPE]];
  }

  /**
   * @param cors whether the answer is one of an ingestion route: section 5.4
   * @param closing tells the client that the connection ends with this answer
   */
  write(request: IncomingRequest, answer: Answer, cors: boolean, closing: boolean): Response {
    const { status, body, contentType, headers, passedOn } = answer;
    if (cors && contentType === JSON_TYPE && !headers && !closing && !passedOn) {
      return request.respond(status, this.#corsJson, body);
    }
    const list = [...(cors ? this.#cors : this.plainHeaders)];
    if (contentType !== null) list.push(["content-type", contentType]);
    for (const name in headers) list.push([name.toLowerCase(), headers[name]!]);
    if (passedOn) list.push(...passedOn);
    if (closing) list.push(["connection", "close"]);
    return request.respond(status, list, body);
  }
}
