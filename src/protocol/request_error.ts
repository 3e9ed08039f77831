import type { Reason } from "./outcome.ts";

/** Body of an error answer. */
export type ErrorBody =
  | { readonly kind: "json"; readonly detail: string; readonly causes: readonly string[] }
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "empty" };

const NO_HEADERS: Readonly<Record<string, string>> = {};

/**
 * What a client did wrong, or what it has to be told; the listener renders it.
 *
 * Source of bodies and statuses: ingestion reference, sections 2, 4.4 and 5.2 to 5.5.
 */
export class RequestError extends Error {
  override readonly name = "RequestError";

  constructor(
    /** HTTP status. */
    readonly status: number,
    /** Reason under which the refusal is counted. */
    readonly reason: Reason,
    readonly body: ErrorBody,
    /** Headers the answer needs beside those every answer has. */
    readonly headers: Readonly<Record<string, string>> = NO_HEADERS,
  ) {
    super(body.kind === "json" ? body.detail : body.kind === "text" ? body.text : `status ${status}`);
  }

  /** Answer with `{"detail":..,"causes":[..]}`; causes go from the nearest to the root. */
  static json(
    status: number,
    reason: Reason,
    detail: string,
    causes: readonly string[] = [],
    headers: Readonly<Record<string, string>> = NO_HEADERS,
  ): RequestError {
    return new RequestError(status, reason, { kind: "json", detail, causes }, headers);
  }

  /** 400 for a body that is no JSON, as Relay words it: with the cause in the detail, too. */
  static invalidJson(error: unknown): RequestError {
    const cause = error instanceof Error ? error.message : "invalid JSON";
    const detail = `invalid JSON data: Error(${JSON.stringify(cause)})`;
    return RequestError.json(400, "invalid_json", detail, [cause]);
  }

  /** Answer in plain text. */
  static text(status: number, reason: Reason, text: string): RequestError {
    return new RequestError(status, reason, { kind: "text", text });
  }

  /** Answer without a body. */
  static empty(
    status: number,
    reason: Reason,
    headers: Readonly<Record<string, string>> = NO_HEADERS,
  ): RequestError {
    return new RequestError(status, reason, { kind: "empty" }, headers);
  }

  /** The exact body; `null` when there is none. `causes` is left out when empty, as Relay does. */
  toBody(): string | null {
    switch (this.body.kind) {
      case "json": {
        const { detail, causes } = this.body;
        return JSON.stringify(causes.length > 0 ? { detail, causes } : { detail });
      }
      case "text":
        return this.body.text;
      case "empty":
        return null;
    }
  }

  /** Media type of {@link RequestError.toBody}. */
  get contentType(): string | null {
    if (this.body.kind === "empty") return null;
    return this.body.kind === "json" ? "application/json" : "text/plain; charset=utf-8";
  }
}
