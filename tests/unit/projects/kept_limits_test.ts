import { assertEquals } from "@std/assert";
import { type KeptLimits, keptLimits, readKeptLimits } from "../../../src/projects/kept_limits.ts";
import type { RateLimit } from "../../../src/protocol/rate_limit.ts";

const NOW = Date.UTC(2026, 0, 1);
const KEY = "a".repeat(32);

const limit = (expiresAtMs: number): RateLimit => ({
  categories: ["error"],
  scope: "key",
  reason: null,
  namespaces: [],
  expiresAtMs,
});

/** What a start at `startMs` makes of limits that were written at `NOW`. */
function restarted(owners: readonly KeptLimits[], startMs: number): (readonly [string, ...number[]])[] {
  const text = JSON.stringify(keptLimits(owners, NOW));
  return readKeptLimits(JSON.parse(text), startMs).map(({ owner, limits }) =>
    [owner, ...limits.map(({ expiresAtMs }) => expiresAtMs - startMs)] as const
  );
}

Deno.test("kept limits: hold for what is left of them", () => {
  const owners = [
    { owner: KEY, limits: [limit(NOW + 60_000), limit(NOW + 10_000)] },
    { owner: "project:1", limits: [limit(NOW + 20_000)] },
  ];
  assertEquals(restarted(owners, NOW + 20_000), [[KEY, 40_000]]);
});

Deno.test("kept limits: a clock set back while the node was down makes none longer", () => {
  const owners = [{ owner: KEY, limits: [limit(NOW + 60_000)] }];
  for (const backMs of [1, 30_000, 3_600_000, 10 * 365 * 86_400_000]) {
    assertEquals(restarted(owners, NOW - backMs), [[KEY, 60_000]]);
  }
});

Deno.test("kept limits: nothing is believed for longer than a day, nor what is damaged", () => {
  assertEquals(restarted([{ owner: KEY, limits: [limit(NOW + 1e12)] }], NOW), [[KEY, 86_400_000]]);
  const damaged = [null, "x", [], { owners: [] }, { keptAtMs: NOW, owners: [{ owner: 1 }] }];
  for (const raw of damaged) assertEquals(readKeptLimits(raw, NOW), []);
});
