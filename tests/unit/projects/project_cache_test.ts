import { assert, assertEquals } from "@std/assert";
import { readProjectAnswer } from "../../../src/projects/project_answer.ts";
import { ProjectCache, type ProjectCacheOptions } from "../../../src/projects/project_cache.ts";

const [A, B, C] = ["a", "b", "c"].map((letter) => letter.repeat(32)) as [string, string, string];
const EXPIRY = 300_000;
const GRACE = 120_000;

const newCache = (o: Partial<ProjectCacheOptions> = {}) =>
  new ProjectCache({
    expiryMs: EXPIRY,
    graceMs: GRACE,
    refreshMs: null,
    projectsMax: 100,
    retryMsMax: 60_000,
    random: () => 0,
    ...o,
  });

const config = (key: string, projectId = 42, rev: string | null = "1") => ({
  projectId,
  rev,
  publicKeys: [{ publicKey: key }],
  config: {},
});

const answer = (configs: object, more: object = {}) => readProjectAnswer({ configs, ...more })!;

/** A cache that knows these keys since moment 0. */
function knowing(keys: string[], o: Partial<ProjectCacheOptions> = {}): ProjectCache {
  const cache = newCache(o);
  cache.want(keys, 0);
  ask(cache, Object.fromEntries(keys.map((key) => [key, config(key)])), 0);
  cache.takeChanges();
  return cache;
}

function ask(cache: ProjectCache, configs: object, nowMs: number, more: object = {}): string[] {
  const keys = cache.take(1000, nowMs).map(({ key }) => key);
  return cache.answered(keys, answer(configs, more), nowMs);
}

Deno.test("ProjectCache: a key is asked for once, and the lanes get its state", () => {
  const cache = newCache();
  cache.want([A, B], 0);
  cache.want([A], 1);
  assertEquals(cache.take(10, 1), [{ key: A, revision: null }, { key: B, revision: null }]);
  assertEquals(cache.take(10, 1), []);
  assertEquals(cache.answered([A, B], answer({ [A]: config(A), [B]: null }), 2), ["ok", "disabled"]);
  const { states, removed, stale } = cache.takeChanges()!;
  assertEquals(states.map(([key, { disabled, projectId }]) => [key, disabled, projectId]), [
    [A, false, "42"],
    [B, true, null],
  ]);
  assertEquals([removed, stale, cache.takeChanges()], [[], [], null]);
  assertEquals(cache.counts, { enabled: 1, disabled: 1, pending: 0 });
});

const disabling: [what: string, configs: object][] = [
  ["disabled", { [A]: { ...config(A), disabled: true } }],
  ["null", { [A]: null }],
  ["absent everywhere", {}],
  ["about another key", { [A]: config(B) }],
];
for (const [what, configs] of disabling) {
  Deno.test(`ProjectCache: a config that is ${what} disables the key (section 4, Response)`, () => {
    const cache = newCache();
    cache.want([A], 0);
    assertEquals(ask(cache, configs, 0), ["disabled"]);
    assertEquals(cache.lookup(A)?.state.disabled, true);
    assertEquals(cache.nextDueMs, Infinity);
  });
}

Deno.test("ProjectCache: a config without keys is the one that was asked for", () => {
  const cache = newCache();
  cache.want([A], 0);
  assertEquals(ask(cache, { [A]: { projectId: 7, config: {} } }, 0), ["ok"]);
  assertEquals(cache.lookup(A)?.state.projectId, "7");
});

Deno.test("ProjectCache: pending is asked again, at first at once, then ever later", () => {
  const cache = newCache();
  cache.want([A], 0);
  assertEquals(ask(cache, {}, 0, { pending: [A] }), ["pending"]);
  assertEquals(cache.nextDueMs, 0);
  assertEquals(ask(cache, {}, 0, { pending: [A] }), ["pending"]);
  assertEquals(cache.nextDueMs, 1000);
  assertEquals(ask(cache, {}, 999), []);
  assertEquals(ask(cache, {}, 1000, { pending: [A] }), ["pending"]);
  assertEquals(cache.nextDueMs, 2500);
  assertEquals(cache.takeChanges(), null);
  assertEquals(ask(cache, { [A]: config(A) }, 2500), ["ok"]);
});

Deno.test("ProjectCache: a stale state is used on; the next use has it fetched with its revision", () => {
  const cache = knowing([A]);
  cache.sweep(EXPIRY - 1);
  assertEquals(cache.takeChanges(), null);
  cache.sweep(EXPIRY);
  cache.sweep(EXPIRY + 1);
  assertEquals(cache.takeChanges(), { states: [], removed: [], stale: [A] });
  assertEquals(cache.nextDueMs, Infinity);
  cache.want([A], EXPIRY + 5);
  assertEquals(cache.take(10, EXPIRY + 5), [{ key: A, revision: "1" }]);
  assertEquals(cache.answered([A], answer({}, { unchanged: [A] }), EXPIRY + 6), ["unchanged"]);
  assertEquals(cache.takeChanges()?.states.map(([key]) => key), [A]);
  cache.sweep(2 * EXPIRY + 5);
  assertEquals(cache.takeChanges(), null);
});

Deno.test("ProjectCache: without revisions nothing is compared", () => {
  const cache = newCache();
  cache.want([A], 0);
  ask(cache, { [A]: config(A, 42, null) }, 0);
  cache.want([A], EXPIRY);
  assertEquals(cache.take(1, EXPIRY), [{ key: A, revision: null }]);
});

Deno.test("ProjectCache: past its grace a state that nobody used is forgotten, once the upstream has answered anything", () => {
  const cache = knowing([A, B]);
  cache.sweep(EXPIRY + GRACE + 1000);
  assertEquals(cache.takeChanges()?.removed, []);
  assert(cache.lookup(A), "an outage makes nobody forget");
  cache.want([C], EXPIRY + GRACE + 1000);
  ask(cache, { [C]: config(C) }, EXPIRY + GRACE + 1000);
  cache.sweep(EXPIRY + GRACE + 2000);
  assertEquals(cache.takeChanges()?.removed, [A, B]);
  assertEquals([cache.lookup(A), cache.takeEvicted()], [null, { expired: 2, full: 0 }]);
});

Deno.test("ProjectCache: pending keeps a usable state, but not beyond its grace", () => {
  const cache = knowing([A]);
  cache.want([A], EXPIRY);
  assertEquals(ask(cache, {}, EXPIRY, { pending: [A] }), ["pending"]);
  assert(cache.lookup(A));
  assertEquals(ask(cache, {}, EXPIRY + GRACE, { pending: [A] }), ["pending"]);
  assertEquals(cache.lookup(A), null);
  assertEquals(cache.takeChanges()?.removed, [A]);
  assertEquals(cache.counts.pending, 1);
});

Deno.test("ProjectCache: a config that cannot be read leaves the old one in force for as long as it takes", () => {
  const cache = knowing([A]);
  for (const at of [EXPIRY, EXPIRY + GRACE + 1]) {
    cache.want([A], at);
    assertEquals(ask(cache, { [A]: { ...config(A), config: { allowedDomains: 7 } } }, at), ["invalid"]);
    cache.sweep(at);
    assertEquals(cache.lookup(A)?.state.disabled, false);
  }
  assertEquals(ask(cache, { [A]: config(A, 43, "2") }, EXPIRY + GRACE + 2000), ["ok"]);
  assertEquals(cache.lookup(A)?.state.projectId, "43");
});

Deno.test("ProjectCache: what got no answer is asked again", () => {
  const cache = newCache();
  cache.want([A], 0);
  const keys = cache.take(10, 0).map(({ key }) => key);
  assertEquals(cache.nextDueMs, Infinity);
  cache.failed(keys, 5);
  assertEquals(cache.take(10, 5).map(({ key }) => key), [A]);
});

Deno.test("ProjectCache: keys nobody knows anything of go before refreshes", () => {
  const cache = knowing([A]);
  cache.want([A], EXPIRY);
  cache.want([B], EXPIRY + 1);
  assertEquals(cache.take(1, EXPIRY + 1).map(({ key }) => key), [B]);
});

Deno.test("ProjectCache: a key that is not wanted any more is not asked for for ever", () => {
  const cache = newCache();
  cache.want([A], 0);
  cache.failed(cache.take(1, 0).map(({ key }) => key), 0);
  cache.sweep(EXPIRY + GRACE);
  assertEquals([cache.nextDueMs, cache.counts.pending], [Infinity, 0]);
});

Deno.test("ProjectCache: refreshes on its own when told to", () => {
  const cache = knowing([A], { refreshMs: 200_000 });
  cache.sweep(199_999);
  assertEquals(cache.nextDueMs, Infinity);
  cache.sweep(200_000);
  assertEquals(cache.take(1, 200_000), [{ key: A, revision: "1" }]);
});

Deno.test("ProjectCache: made-up keys displace each other, and a tenth of the projects at most", () => {
  const key = (letter: string, n: number) => letter + String(n).padStart(31, "0");
  const real = Array.from({ length: 10 }, (_, n) => key("a", n));
  const cache = knowing(real, { projectsMax: 10 });
  for (let n = 0; n < 50; n++) {
    cache.want([key("f", n)], n);
    ask(cache, {}, n);
  }
  assertEquals(cache.counts, { enabled: 9, disabled: 1, pending: 0 });
  assertEquals(cache.takeChanges()?.removed.filter((removed) => removed.startsWith("a")), [real[0]]);
  cache.want([key("b", 1)], 100);
  assertEquals(ask(cache, { [key("b", 1)]: config(key("b", 1)) }, 100), ["ok"]);
});

Deno.test("ProjectCache: an answer for a key that had to make room is passed over", () => {
  const cache = newCache({ projectsMax: 1 });
  cache.want([A], 0);
  const taken = cache.take(1, 0).map(({ key }) => key);
  cache.want([B], 1);
  assertEquals(cache.answered(taken, answer({ [A]: config(A) }), 2), []);
  assertEquals(cache.lookup(A), null);
});

Deno.test("ProjectCache: what was kept on disk is used as stale, until the upstream answers", () => {
  const cache = newCache();
  const kept = [{ key: A, raw: config(A) }, { key: B, raw: null }, { key: C, raw: { config: 7 } }];
  assertEquals(cache.restore(kept, 1000), 1);
  assertEquals([cache.lookup(A)?.state.projectId, cache.lookup(B)?.state.disabled, cache.lookup(C)], [
    "42",
    true,
    null,
  ]);
  cache.sweep(1000);
  assertEquals(cache.staleKeys, [A, B]);
  assertEquals(cache.states.map(([key]) => key), [A, B]);
  cache.sweep(1e9);
  assert(cache.lookup(A), "still an outage");
  cache.want([A], 1e9);
  assertEquals(cache.take(1, 1e9), [{ key: A, revision: "1" }]);
});

Deno.test("ProjectCache: whoever wants what is known is told again", () => {
  const cache = knowing([A]);
  cache.want([A], 5);
  assertEquals(cache.takeChanges()?.states.map(([key]) => key), [A]);
  assertEquals(cache.nextDueMs, Infinity);
});

for (const bad of [null, 7, [], { configs: [] }, { pending: {} }, { configs: {}, unchanged: [1] }]) {
  Deno.test(`readProjectAnswer: ${JSON.stringify(bad)} is no answer`, () => {
    assertEquals(readProjectAnswer(bad), null);
  });
}

Deno.test("readProjectAnswer: all parts are optional, the global config counts when it is ready", () => {
  assertEquals(readProjectAnswer({})?.isGlobalReady, false);
  assertEquals(readProjectAnswer({ global: {} })?.isGlobalReady, true);
  assertEquals(readProjectAnswer({ global: {}, globalStatus: "ready" })?.isGlobalReady, true);
  assertEquals(readProjectAnswer({ global: {}, globalStatus: "pending" })?.isGlobalReady, false);
});
