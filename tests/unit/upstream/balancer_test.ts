import { assert, assertEquals } from "@std/assert";
import { type Candidate, isPanic, pickEndpoint } from "../../../src/upstream/balancer.ts";
import { seededRandom } from "../../support/seeded_random.ts";

interface Fake extends Candidate {
  name: string;
  inFlight: number;
  isUp: boolean;
}

const endpoint = (name: string, options: Partial<Fake> & { share?: number } = {}): Fake => ({
  name,
  priority: 0,
  weight: 1,
  inFlight: 0,
  isUp: true,
  warmth: () => options.share ?? 1,
  isAvailable() {
    return this.isUp;
  },
  ...options,
});

function spread(endpoints: readonly Fake[], picks = 10_000): Record<string, number> {
  const random = seededRandom(1);
  const counts: Record<string, number> = {};
  for (let i = 0; i < picks; i++) {
    const { name } = pickEndpoint(endpoints, [], 0, random)!;
    counts[name] = (counts[name] ?? 0) + 1 / picks;
  }
  return counts;
}

Deno.test("pickEndpoint keeps to the lowest tier with an available endpoint", () => {
  const [a, b, c] = [endpoint("a"), endpoint("b", { priority: 1 }), endpoint("c", { priority: 2 })];
  const all = [c, a, b];
  assertEquals(pickEndpoint(all, [], 0, Math.random), a);
  a.isUp = false;
  assertEquals(pickEndpoint(all, [], 0, Math.random), b);
  b.isUp = false;
  assertEquals(pickEndpoint(all, [], 0, Math.random), c);
});

Deno.test("pickEndpoint shares out by weight, less to who has just returned", () => {
  const { a, b } = spread([endpoint("a", { weight: 3 }), endpoint("b")]) as { a: number; b: number };
  assert(Math.abs(a - 0.75) < 0.02 && Math.abs(b - 0.25) < 0.02, `${a} ${b}`);
  const warming = spread([endpoint("a"), endpoint("b", { share: 0.1 })]);
  assert(Math.abs(warming.b! - 1 / 11) < 0.02, String(warming.b));
});

Deno.test("pickEndpoint prefers who has less under way", () => {
  const { a, b } = spread([endpoint("a", { inFlight: 50 }), endpoint("b")]) as { a: number; b: number };
  assert(Math.abs(a - 0.25) < 0.02, "only when both draws fall on it");
  assert(Math.abs(b - 0.75) < 0.02);
});

Deno.test("pickEndpoint tries nobody twice, and goes to the next tier for it", () => {
  const [a, b] = [endpoint("a"), endpoint("b", { priority: 1 })];
  assertEquals(pickEndpoint([a, b], [a], 0, Math.random), b);
  assertEquals(pickEndpoint([a, b], [a, b], 0, Math.random), null);
  b.isUp = false;
  assertEquals(pickEndpoint([a, b], [a], 0, Math.random), null, "nobody available is left");
  assertEquals(pickEndpoint([], [], 0, Math.random), null);
});

Deno.test("pickEndpoint ignores health when nobody would be left", () => {
  const all = [endpoint("a", { isUp: false }), endpoint("b", { isUp: false, priority: 1 })];
  assert(isPanic(all, 0));
  assertEquals(Object.keys(spread(all)).toSorted(), ["a", "b"]);
  assertEquals(pickEndpoint(all, [all[0]!], 0, Math.random), all[1]!);
});
