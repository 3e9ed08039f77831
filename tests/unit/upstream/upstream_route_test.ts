import { assert, assertEquals, assertThrows } from "@std/assert";
import { UpstreamRoutes } from "../../../src/upstream/upstream_route.ts";

const KEYS = Array.from({ length: 20_000 }, (_, i) => i.toString(16).padStart(32, "0"));
const nobody = () => null;

const sides = (shares: Record<string, number>): Map<string, string> => {
  const routes = new UpstreamRoutes([], shares);
  return new Map(KEYS.map((key) => [key, routes.of({ key, projectId: "1" }, nobody)]));
};
const shareOf = (side: string, all: Map<string, string>): number =>
  [...all.values()].filter((name) => name === side).length / all.size;

Deno.test("UpstreamRoutes: shares are kept, and keys only ever move to who gets more", () => {
  let before = sides({ old: 100, new: 0 });
  assertEquals(shareOf("new", before), 0);
  for (const percent of [1, 10, 50, 99, 100]) {
    const after = sides({ old: 100 - percent, new: percent });
    assert(Math.abs(shareOf("new", after) - percent / 100) < 0.01, `${percent}: ${shareOf("new", after)}`);
    for (const key of KEYS) if (before.get(key) === "new") assertEquals(after.get(key), "new");
    before = after;
  }
  const back = sides({ old: 90, new: 10 });
  assertEquals(back, sides({ new: 10, old: 90 }), "the order of names does not matter");
});

Deno.test("UpstreamRoutes: with three sides, taking from one moves no key between the others", () => {
  const before = sides({ a: 1, b: 1, c: 1 });
  const after = sides({ a: 1, b: 1, c: 3 });
  for (const key of KEYS) {
    if (after.get(key) !== "c") assertEquals(after.get(key), before.get(key));
  }
  assert(Math.abs(shareOf("c", after) - 0.6) < 0.02);
});

Deno.test("UpstreamRoutes: the first rule that names key, project or organisation counts", () => {
  const rule = { keys: [], projects: [], organizations: [] };
  const routes = new UpstreamRoutes([
    { ...rule, keys: [KEYS[1]!], to: { a: 1 } },
    { ...rule, projects: ["7"], to: { b: 1 } },
    { ...rule, organizations: ["42"], to: { c: 1 } },
    { ...rule, projects: ["7", "8"], to: { d: 1 } },
  ], { default: 1 });
  const of = (key: string, projectId: string, organization: string | null = null) =>
    routes.of({ key, projectId }, () => organization);
  assertEquals(of(KEYS[1]!, "7"), "a");
  assertEquals(of(KEYS[2]!, "7"), "b");
  assertEquals(of(KEYS[2]!, "8"), "d");
  assertEquals(of(KEYS[2]!, "8", "42"), "c");
  assertEquals(of(KEYS[2]!, "9"), "default");
  assertEquals(of(KEYS[2]!, ""), "default");
});

Deno.test("UpstreamRoutes: somebody has to get something", () => {
  assertThrows(() => new UpstreamRoutes([], { a: 0 }), RangeError);
});
