import { assert, assertEquals } from "@std/assert";
import { type Clock, systemClock } from "../../../src/core/clock.ts";
import { adminApp } from "../../../src/admin/admin_app.ts";
import { type ReadinessFacts, readinessProbes } from "../../../src/admin/readiness.ts";
import { changedKeys } from "../../../src/config/config_change.ts";
import { ConfigError } from "../../../src/config/config_error.ts";
import { loadConfig } from "../../../src/config/load_config.ts";
import { METRIC_LAYOUT } from "../../../src/telemetry/catalogue.ts";
import { MetricsReader } from "../../../src/telemetry/registry.ts";
import { fakeSources } from "../../support/fake_sources.ts";

const WELL: ReadinessFacts = {
  lanesUp: true,
  registrationProblem: null,
  diskRefuses: false,
  spoolFull: false,
  spaceLow: false,
  memoryUsedUp: false,
  draining: false,
};
const load = (yaml: string) =>
  loadConfig({ dir: "/c", sources: fakeSources({ files: { "/c/config.yml": yaml } }) });
const SECRET = "a-token-of-the-operator";

function fixture(
  o: { token?: string | null; facts?: Partial<ReadinessFacts>; next?: string; clock?: Clock } = {},
) {
  const running = load(`admin: { token: ${SECRET} }\nhttp: { timeout: 5 }`);
  let reloads = 0;
  const outcome = () => {
    try {
      const changed = changedKeys(
        running,
        load(o.next ?? `admin: { token: ${SECRET} }\nhttp: { timeout: 6 }`),
      );
      return { result: "applied", changed, restart: [] } as const;
    } catch (error) {
      return { result: "invalid", problems: (error as ConfigError).problems } as const;
    }
  };
  const app = adminApp({
    metrics: new MetricsReader(METRIC_LAYOUT),
    status: () => {
      throw new Error("not asked for");
    },
    feed: { open: () => null },
    taps: { tap: () => null },
    clock: o.clock ?? systemClock,
    deadLetters: {
      requeue: () => Promise.resolve({ records: 0, bytes: 0, damaged: 0 }),
      purge: () => Promise.resolve({ bytes: 0 }),
    },
    bans: { bans: () => [], ban: () => ({} as never), unban: () => true },
    config: {
      current: () => running,
      preview: outcome,
      reload: () => (reloads++, Promise.resolve(outcome())),
    },
    policy: { facts: (key, root) => ({ key, root } as never) },
    probes: () => readinessProbes({ ...WELL, ...o.facts }),
    token: () => o.token ?? null,
  });
  return { app, reloads: () => reloads };
}

const OPERATOR = { "X-Landfall-Admin": "1" };
const bearer = (token: string) => ({ authorization: `Bearer ${token}` });

Deno.test("adminApp: with a token everything but liveness asks for it; with it no other header is needed", async () => {
  const { app, reloads } = fixture({ token: SECRET });
  for (
    const path of ["/", "/metrics", "/health", "/policy", "/config", "/config/diff", "/bans", "/status.json"]
  ) {
    for (const headers of [{}, OPERATOR, bearer("wrong"), bearer(`${SECRET}x`)] as Record<string, string>[]) {
      const answer = await app.request(path, { headers });
      const challenge = path === "/" ? null : "Bearer";
      assertEquals([path, answer.status, answer.headers.get("www-authenticate")], [path, 401, challenge]);
      await answer.body?.cancel();
    }
  }
  assertEquals((await app.request("/health/live")).status, 200);
  assertEquals((await app.request("/config/reload", { method: "POST", headers: OPERATOR })).status, 401);
  assertEquals(reloads(), 0);
  assertEquals(
    (await app.request("/config/reload", { method: "POST", headers: bearer(SECRET) })).status,
    200,
  );
  assertEquals((await app.request("/health", { headers: bearer(SECRET) })).status, 200);
  assertEquals(reloads(), 1);
});

Deno.test("adminApp: without a token changes need the operator's header, and a GET changes nothing", async () => {
  const { app, reloads } = fixture();
  assertEquals((await app.request("/config/reload", { method: "POST" })).status, 403);
  const page = { ...OPERATOR, origin: "http://evil.test" };
  assertEquals((await app.request("/config/reload", { method: "POST", headers: page })).status, 403);
  assertEquals((await app.request("/config/reload", { headers: OPERATOR })).status, 404);
  assertEquals((await app.request("/config/diff")).status, 200);
  assertEquals(reloads(), 0);
});

Deno.test("GET /config: every key with value and origin, and no secret", async () => {
  const { app } = fixture();
  const text = await (await app.request("/config")).text();
  assert(!text.includes(SECRET));
  const { values } = JSON.parse(text);
  assertEquals(values["http.timeout"], { value: 5, origin: "/c/config.yml:2:18", change: "reload" });
  assertEquals(values["admin.token"].value, "[redacted]");
});

Deno.test("POST /config/reload: says what changed, or with 422 where the files are wrong", async () => {
  const init = { method: "POST", headers: OPERATOR };
  const done = await (await fixture().app.request("/config/reload", init)).json();
  assertEquals(done, {
    result: "applied",
    changed: [{ key: "http.timeout", from: 5, to: 6, origin: "/c/config.yml:2:18" }],
    restart: [],
  });
  const wrong = await fixture({ next: "http: { timeout: soon }" }).app.request("/config/reload", init);
  assertEquals(wrong.status, 422);
  const { error, problems } = await wrong.json();
  assert(error.startsWith("/c/config.yml:1:18: http.timeout: must be a duration"), error);
  assertEquals(problems[0].received, `"soon"`);
});

Deno.test("GET /policy: asks for keys that can be ones", async () => {
  const { app } = fixture();
  const [key, root] = ["a".repeat(32), "b".repeat(32)];
  const ask = async (query: string) => {
    const answer = await app.request(`/policy${query}`);
    return [answer.status, await answer.json()];
  };
  assertEquals(await ask(`?key=${key}`), [200, { key, root: null }]);
  assertEquals(await ask(`?key=${key}&root=${root}`), [200, { key, root }]);
  for (const query of ["", "?key=short", `?key=${key}&root=short`]) assertEquals((await ask(query))[0], 400);
});

const PROBES = [
  [{ lanesUp: false }, "lanes"],
  [{ registrationProblem: "not registered" }, "registration"],
  [{ diskRefuses: true }, "disk"],
  [{ spoolFull: true }, "spool"],
  [{ spaceLow: true }, "space"],
  [{ memoryUsedUp: true }, "memory"],
  [{ draining: true }, "draining"],
] as const;

for (const [facts, name] of PROBES) {
  Deno.test(`GET /health: 503 names the probe ${name}`, async () => {
    const answer = await fixture({ facts }).app.request("/health");
    assertEquals(answer.status, 503);
    const { ready, probes } = await answer.json();
    assertEquals(ready, false);
    const failed = (probes as { name: string; ok: boolean }[]).filter(({ ok }) => !ok);
    assertEquals(failed.map((probe) => probe.name), [name]);
  });
}
