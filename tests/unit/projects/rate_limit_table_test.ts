import { assertEquals } from "@std/assert";
import { RateLimitTable } from "../../../src/projects/rate_limit_table.ts";
import type { RateLimit } from "../../../src/protocol/rate_limit.ts";

const DAY_MS = 86_400_000;
const limitUntil = (expiresAtMs: number): RateLimit => ({
  categories: [],
  scope: "key",
  reason: "quota",
  namespaces: [],
  expiresAtMs,
});

Deno.test("RateLimitTable: a clock set back does not lengthen a limit, for any owner", () => {
  const table = new RateLimitTable();
  let now = 10 * DAY_MS;
  table.learn("a", [limitUntil(now + 60_000)], now);
  table.learn("project:1", [limitUntil(now + 90_000)], now);
  now += 20_000;
  assertEquals(table.active("a", now).length, 1);
  now -= DAY_MS;
  assertEquals(table.active("a", now), [limitUntil(now + 40_000)]);
  now += 39_999;
  assertEquals(table.active("a", now).length, 1);
  assertEquals(table.active("a", now + 1), []);
  assertEquals(table.active("project:1", now + 30_000).length, 1);
  assertEquals(table.active("project:1", now + 30_001), []);
});

Deno.test("RateLimitTable: a clock set forward and back again ends limits early, never late", () => {
  const table = new RateLimitTable();
  const now = 10 * DAY_MS;
  table.learn("a", [limitUntil(now + 60_000)], now);
  assertEquals(table.active("a", now + DAY_MS), []);
  table.learn("a", [limitUntil(now + DAY_MS + 60_000)], now + DAY_MS);
  assertEquals(table.active("a", now), [limitUntil(now + 60_000)]);
});

Deno.test("RateLimitTable: a limit learned right after the clock was set back holds for its own time", () => {
  const table = new RateLimitTable();
  const now = 10 * DAY_MS;
  table.learn("a", [limitUntil(now + 60_000)], now);
  table.learn("b", [limitUntil(now - DAY_MS + 30_000)], now - DAY_MS);
  assertEquals(table.active("b", now - DAY_MS), [limitUntil(now - DAY_MS + 30_000)]);
  assertEquals(table.active("a", now - DAY_MS), [limitUntil(now - DAY_MS + 60_000)]);
});

Deno.test("RateLimitTable: the small steps that clocks make all the time move nothing", () => {
  const table = new RateLimitTable();
  const limit = limitUntil(60_000);
  table.learn("a", [limit], 1000);
  for (const now of [900, 990, 100]) assertEquals(table.active("a", now), [limit]);
});
