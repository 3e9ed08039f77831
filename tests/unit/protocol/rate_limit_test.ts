import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { DATA_CATEGORIES } from "../../../src/protocol/data_category.ts";
import {
  formatRateLimits,
  limitApplies,
  limitsFromResponse,
  parseRateLimits,
  type RateLimit,
  retryAfterSeconds,
} from "../../../src/protocol/rate_limit.ts";

const NOW = Date.UTC(2026, 0, 1);

function limit(seconds: number, change: Partial<RateLimit> = {}): RateLimit {
  return {
    categories: [],
    scope: "key",
    reason: null,
    namespaces: [],
    expiresAtMs: NOW + seconds * 1000,
    ...change,
  };
}

/** Section 6, `X-Sentry-Rate-Limits`. */
const PARSED: readonly (readonly [string, readonly RateLimit[]])[] = [
  ["", []],
  ["42::organization:my_limit, 4711:transaction;security:project", [
    limit(42, { scope: "organization", reason: "my_limit" }),
    limit(4711, { categories: ["transaction", "security"], scope: "project" }),
  ]],
  ["42:metric_bucket:organization::custom;spans", [
    limit(42, { categories: ["metric_bucket"], scope: "organization", namespaces: ["custom", "spans"] }),
  ]],
  ["60", [limit(60)]],
  [" 60 : error ; default : planet : why ", [limit(60, { categories: ["error", "default"], reason: "why" })]],
  ["60:hologram:key", [limit(60, { categories: ["unknown"] })]],
  ["60:user_report_v2;feedback:key", [limit(60, { categories: ["feedback"] })]],
  ["0.1::key, 1.5::key, .5::key, 5.::key", [limit(1), limit(2), limit(1), limit(5)]],
  ["-5::key, nan::key, inf::key, -inf::key, 1e300::key", [limit(0), limit(0), limit(0), limit(0), limit(0)]],
  ["soon::key, 5::key, ::key, 0x10::key,", [limit(5)]],
];

for (const [header, limits] of PARSED) {
  Deno.test(`parseRateLimits: control section 6, ${JSON.stringify(header)}`, () => {
    assertEquals(parseRateLimits(header, NOW), [...limits]);
  });
}

Deno.test("formatRateLimits: section 5.5, as Relay writes it, rounded up and without expired limits", () => {
  assertEquals(
    formatRateLimits([
      limit(41.2, { scope: "organization", reason: "my_limit" }),
      limit(0),
      limit(4711, { categories: ["transaction", "security"], scope: "project" }),
      limit(9, { categories: ["metric_bucket"], namespaces: ["custom", "spans"] }),
    ], NOW),
    "42::organization:my_limit, 4711:transaction;security:project, 9:metric_bucket:key::custom;spans",
  );
});

Deno.test("formatRateLimits: a reason cannot break out of its field", () => {
  assertEquals(formatRateLimits([limit(1, { reason: "a:b;c,d\r\né" })], NOW), "1::key:a_b_c_d___");
});

Deno.test("formatRateLimits: parseRateLimits reads back what it writes", () => {
  const name = fc.stringMatching(/^[a-z_-]{1,12}$/);
  const limits: fc.Arbitrary<RateLimit> = fc.record({
    categories: fc.uniqueArray(fc.constantFrom(...DATA_CATEGORIES)),
    scope: fc.constantFrom("organization" as const, "project" as const, "key" as const),
    reason: fc.option(name),
    namespaces: fc.array(name, { maxLength: 3 }),
    expiresAtMs: fc.integer({ min: 1, max: 100_000 }).map((seconds) => NOW + seconds * 1000),
  });
  fc.assert(fc.property(fc.array(limits, { minLength: 1, maxLength: 4 }), (values) => {
    assertEquals(parseRateLimits(formatRateLimits(values, NOW), NOW), values);
  }));
});

Deno.test("parseRateLimits: takes any text", () => {
  fc.assert(fc.property(fc.string(), (header) => void parseRateLimits(header, NOW)));
});

Deno.test("retryAfterSeconds: section 5.5, the longest limit, rounded up", () => {
  assertEquals(retryAfterSeconds([limit(3), limit(41.001), limit(-7)], NOW), 42);
  assertEquals(retryAfterSeconds([], NOW), 0);
});

/** Section 6, "From upstream 429": the two headers, and what is learned. */
const LEARNED: readonly (readonly [string | null, string | null, readonly RateLimit[]])[] = [
  ["60:error:project", "5", [limit(60, { categories: ["error"], scope: "project" })]],
  ["0:error:project, 30::key", null, [limit(30)]],
  ["0:error:project", "5", [limit(5, { reason: "generic" })]],
  ["0:error:project", null, []],
  ["garbage", "5", [limit(5, { reason: "generic" })]],
  [null, "4.2", [limit(5, { reason: "generic" })]],
  [null, "0", []],
  [null, "Wed, 21 Oct 2026 07:28:00 GMT", [limit(60, { reason: "generic" })]],
  [null, null, [limit(60, { reason: "generic" })]],
  ["", null, [limit(60, { reason: "generic" })]],
];

for (const [rateLimits, retryAfter, limits] of LEARNED) {
  Deno.test(`limitsFromResponse: control section 6, limits ${rateLimits}, retry after ${retryAfter}`, () => {
    assertEquals(limitsFromResponse({ rateLimits, retryAfter }, NOW), [...limits]);
  });
}

Deno.test("limitApplies: to its categories, or all, until it expires", () => {
  assertEquals(limitApplies(limit(1), "error", NOW), true);
  assertEquals(limitApplies(limit(1), "error", NOW + 1000), false);
  assertEquals(limitApplies(limit(1, { categories: ["error"] }), "error", NOW), true);
  assertEquals(limitApplies(limit(1, { categories: ["error"] }), "transaction", NOW), false);
});

Deno.test("limitApplies: unknown categories match nothing, namespaces hold for metric buckets alone", () => {
  assertEquals(limitApplies(limit(1, { categories: ["unknown"] }), "unknown", NOW), false);
  assertEquals(limitApplies(limit(1, { namespaces: ["custom"] }), "error", NOW), false);
  assertEquals(limitApplies(limit(1, { namespaces: ["custom"] }), "metric_bucket", NOW), true);
});
