import { fromUtf8 } from "../core/bytes.ts";
import { limitsFromResponse, type RateLimit } from "../protocol/rate_limit.ts";
import type { ClientResponse } from "./connection.ts";
import type { UpstreamError } from "./upstream_error.ts";

/** How sending a record ended. `message` is one line for people; `status` is null when there was no answer. */
export type ForwardResult =
  | { readonly kind: "delivered"; readonly status: number }
  | { readonly kind: "rate_limited"; readonly status: 429; readonly limits: readonly RateLimit[] }
  | { readonly kind: "rejected"; readonly status: number; readonly message: string }
  | { readonly kind: "server_error"; readonly status: number | null; readonly message: string }
  | { readonly kind: "network_error"; readonly status: number | null; readonly message: string };

const EXCERPT_BYTES = 200;

/**
 * What an answer means for the record (control reference, sections 6 and 11).
 *
 * 502, 503 and 504 come from proxies whose upstream is out of reach, so they count as network errors.
 */
export function classifyResponse(response: ClientResponse, nowMs: number): ForwardResult {
  const { status } = response;
  if (status >= 200 && status < 300) return { kind: "delivered", status };
  if (status === 429) {
    const rateLimits = response.header("x-sentry-rate-limits");
    const retryAfter = response.header("retry-after");
    return { kind: "rate_limited", status, limits: limitsFromResponse({ rateLimits, retryAfter }, nowMs) };
  }
  const message = describe(response);
  if (isGatewayStatus(status)) return { kind: "network_error", status, message };
  return { kind: status >= 500 ? "server_error" : "rejected", status, message };
}

/** Statuses of proxies that do not reach what is behind them. */
export function isGatewayStatus(status: number): boolean {
  return status === 502 || status === 503 || status === 504;
}

/** What a failure means for the record; null when the node itself gave the request up. */
export function classifyError(error: UpstreamError, nowMs: number): ForwardResult | null {
  if (error.kind === "aborted") return null;
  if (error.response) return classifyResponse(error.response, nowMs);
  return { kind: "network_error", status: null, message: `${error.kind}: ${error.message}` };
}

function describe(response: ClientResponse): string {
  const { status, body } = response;
  const location = response.header("location");
  if (status < 400) return `HTTP ${status}: redirects are not followed${location ? ` (to ${location})` : ""}`;
  // Control characters of a foreign body have no place in a log line.
  const excerpt = fromUtf8(body.subarray(0, EXCERPT_BYTES)).replace(/[^\x20-\x7e\xa0-\uffff]+/g, " ").trim();
  return excerpt === "" ? `HTTP ${status}` : `HTTP ${status}: ${excerpt}`;
}
