/**
 * What an endpoint answers, and how it becomes a `Response`.
 *
 * Why header lists are made once: validating headers is most of the cost of a `Response`, so nothing is added to them
 * per request unless the answer needs it.
 */
import type { RequestError } from "../protocol/request_error.ts";

/** Answer of an endpoint, before the headers every answer carries. */
export interface Answer {
  readonly status: number;
  /** `null` sends no body and no content type. */
  readonly body: string | null;
  readonly contentType: string | null;
  readonly headers?: Readonly<Record<string, string>>;
}

/** Answer with a JSON body that is already written. */
export function jsonAnswer(status: number, body: string, headers?: Readonly<Record<string, string>>): Answer {
  return headers
    ? { status, body, contentType: "application/json", headers }
    : { status, body, contentType: "application/json" };
}

/** Answer without a body. */
export function emptyAnswer(status: number, headers?: Readonly<Record<string, string>>): Answer {
  return headers ? { status, body: null, contentType: null, headers } : {
    status,
    body: null,
    contentType: null,
  };
}

/** Answer for a client's error. */
export function errorAnswer(error: RequestError): Answer {
  return { status: error.status, body: error.toBody(), contentType: error.contentType, headers: error.headers };
}

type HeaderList = [string, string][];

/** CORS headers of actual responses of ingestion routes: ingestion reference, section 5.4. */
const CORS: HeaderList = [
  ["access-control-allow-origin", "*"],
  ["access-control-expose-headers", "x-sentry-error,x-sentry-rate-limits,retry-after"],
  ["vary", "origin, access-control-request-method, access-control-request-headers"],
];

/** Answer to any OPTIONS on an ingestion route: ingestion reference, section 5.4. */
export const PREFLIGHT: Answer = emptyAnswer(200, {
  "access-control-allow-origin": "*",
  "vary": "origin, access-control-request-method, access-control-request-headers",
  "access-control-allow-methods": "POST",
  "access-control-allow-headers":
    "x-sentry-auth,x-requested-with,x-forwarded-for,origin,referer,accept,content-type,authentication,authorization," +
    "content-encoding,transfer-encoding",
  "access-control-max-age": "3600",
});

/** Turns answers into responses. */
export class AnswerWriter {
  readonly #plain: HeaderList;
  readonly #cors: HeaderList;
  readonly #json: HeaderList;
  readonly #corsJson: HeaderList;

  /** @param version what follows `landfall/` in the `Server` header */
  constructor(version: string) {
    this.#plain = [["server", `landfall/${version}`], ["cross-origin-resource-policy", "cross-origin"]];
    this.#cors = [...this.#plain, ...CORS];
    this.#json = [...this.#plain, ["content-type", "application/json"]];
    this.#corsJson = [...this.#cors, ["content-type", "application/json"]];
  }

  /** @param closing tells the client that the connection ends with this answer */
  write(answer: Answer, cors: boolean, closing: boolean): Response {
    const { status, body, contentType } = answer;
    if (contentType === "application/json" && !answer.headers && !closing) {
      return new Response(body, { status, headers: cors ? this.#corsJson : this.#json });
    }
    const headers: HeaderList = [...(cors ? this.#cors : this.#plain)];
    if (contentType !== null) headers.push(["content-type", contentType]);
    for (const name in answer.headers) headers.push([name, answer.headers[name]!]);
    if (closing) headers.push(["connection", "close"]);
    return new Response(body, { status, headers });
  }
}
