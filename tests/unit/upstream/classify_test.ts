import { assertEquals } from "@std/assert";
import { classifyError, classifyResponse } from "../../../src/upstream/classify.ts";
import type { ClientResponse } from "../../../src/upstream/connection.ts";
import { UpstreamError, type UpstreamErrorKind } from "../../../src/upstream/upstream_error.ts";

const NOW_MS = Date.UTC(2026, 0, 1);

function response(status: number, headers: Record<string, string> = {}, body = ""): ClientResponse {
  return { status, header: (name) => headers[name] ?? null, body: new TextEncoder().encode(body) };
}

const BY_STATUS = {
  delivered: [200, 201, 202, 204, 299],
  rejected: [300, 301, 307, 400, 401, 403, 404, 408, 413, 415, 428, 430, 451],
  server_error: [500, 501, 505, 507, 599],
  network_error: [502, 503, 504],
  rate_limited: [429],
};

for (const [kind, statuses] of Object.entries(BY_STATUS)) {
  for (const status of statuses) {
    Deno.test(`classifyResponse takes ${status} for ${kind} (control reference, section 11)`, () => {
      const result = classifyResponse(response(status), NOW_MS);
      assertEquals([result.kind, result.status], [kind, status] as typeof result.kind[]);
    });
  }
}

Deno.test("classifyResponse reads the limits of a 429 (control reference, section 6)", () => {
  const limits = (headers: Record<string, string>) => {
    const result = classifyResponse(response(429, headers), NOW_MS);
    if (result.kind !== "rate_limited") throw new Error(result.kind);
    return result.limits.map(({ categories, scope, expiresAtMs }) => [
      categories.join(),
      scope,
      (expiresAtMs - NOW_MS) / 1000,
    ]);
  };
  const header = "10:error:organization, 20:transaction;span:project";
  assertEquals(limits({ "x-sentry-rate-limits": header, "retry-after": "99" }), [
    ["error", "organization", 10],
    ["transaction,span", "project", 20],
  ]);
  assertEquals(limits({ "retry-after": "30" }), [["", "key", 30]]);
  assertEquals(limits({}), [["", "key", 60]]);
});

const MESSAGES: readonly (readonly [ClientResponse, string])[] = [
  [response(403, {}, '{"detail":"bad\r\nkey\u001b[2J"}'), 'HTTP 403: {"detail":"bad key [2J"}'],
  [response(500, {}, "x".repeat(300)), `HTTP 500: ${"x".repeat(200)}`],
  [response(413), "HTTP 413"],
  [
    response(301, { location: "https://other.test/" }),
    "HTTP 301: redirects are not followed (to https://other.test/)",
  ],
  [response(304), "HTTP 304: redirects are not followed"],
];

for (const [answer, message] of MESSAGES) {
  Deno.test(`classifyResponse describes an answer in one short line: ${message.slice(0, 40)}`, () => {
    const result = classifyResponse(answer, NOW_MS);
    assertEquals("message" in result ? result.message : "", message);
  });
}

Deno.test("classifyError takes every failure for a network error but those the node caused", () => {
  const kinds: UpstreamErrorKind[] = ["connect", "tls", "write", "timeout", "reset", "protocol"];
  for (const kind of kinds) {
    const error = new UpstreamError(kind, "why");
    assertEquals(classifyError(error, NOW_MS), {
      kind: "network_error",
      status: null,
      message: `${kind}: why`,
    });
    assertEquals(error.isNetworkError, true);
  }
  const aborted = new UpstreamError("aborted", "why");
  assertEquals([classifyError(aborted, NOW_MS), aborted.isNetworkError], [null, false]);
});

Deno.test("classifyError goes by the status of an answer whose body is too large", () => {
  for (const [status, kind] of [[200, "delivered"], [404, "rejected"], [429, "rate_limited"]] as const) {
    const error = new UpstreamError("too_large", "why", response(status));
    assertEquals(classifyError(error, NOW_MS)?.kind, kind);
  }
});
