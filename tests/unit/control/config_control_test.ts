import { assert, assertEquals, assertRejects } from "@std/assert";
import { loadConfig, type LoadedConfig } from "../../../src/config/load_config.ts";
import { ConfigControl } from "../../../src/control/config_control.ts";
import { METRIC_LAYOUT, METRICS } from "../../../src/telemetry/catalogue.ts";
import { Metrics } from "../../../src/telemetry/registry.ts";
import { fakeSources } from "../../support/fake_sources.ts";
import { ManualClock } from "../../support/manual_clock.ts";

const FILE = "/c/config.yml";

function fixture(yaml: string, apply: (loaded: LoadedConfig) => Promise<void> = () => Promise.resolve()) {
  const files: Record<string, string> = { [FILE]: yaml };
  const clock = new ManualClock();
  const metrics = new Metrics(METRIC_LAYOUT);
  const applied: LoadedConfig[] = [];
  const control = new ConfigControl({
    loaded: loadConfig({ dir: "/c", sources: fakeSources({ files, env: { RELAY_MODE: "proxy" } }) }),
    clock,
    metrics,
    adapt: (loaded) => loaded,
    apply: async (loaded) => {
      applied.push(loaded);
      await apply(loaded);
    },
  });
  const count = (result: string): number => metrics.read(METRICS.configReloads, result);
  return { files, clock, metrics, applied, control, count };
}

Deno.test("ConfigControl.reload: says what changed and what waits for a restart, and counts", async () => {
  const { files, control, applied, count, metrics, clock } = fixture("http: { timeout: 5 }");
  files[FILE] = "http: { timeout: 6 }\nrelay: { port: 4000 }";
  await clock.advance(1000);
  const outcome = await control.reload("request");
  assert(outcome.result === "applied");
  assertEquals(outcome.changed.map(({ key }) => key), ["http.timeout"]);
  assertEquals(outcome.restart.map(({ key }) => key), ["relay.port"]);
  assertEquals([control.loaded.config.http.timeout, control.loaded.config.relay.port], [6000, 3000]);
  assertEquals(applied.at(-1), control.loaded);
  assertEquals((await control.reload("request")).result, "unchanged");
  assertEquals([count("applied"), count("unchanged"), count("invalid")], [1, 1, 0]);
  assertEquals(metrics.read(METRICS.configReloadedAt), clock.now() / 1000);
});

Deno.test("ConfigControl.reload: what is wrong changes nothing and is named with its place", async () => {
  const { files, control, applied, count } = fixture("http: { timeout: 5 }");
  const before = control.loaded;
  files[FILE] = "http:\n  timeout: soon\n";
  const outcome = await control.reload("signal");
  assert(outcome.result === "invalid");
  const [problem] = outcome.problems;
  assertEquals([problem!.key, problem!.received], ["http.timeout", `"soon"`]);
  assertEquals(problem!.origin, { kind: "file", place: { file: FILE, line: 2, column: 12 } });
  assertEquals([control.loaded, applied, count("invalid")], [before, [], 1]);
});

Deno.test("ConfigControl.reload: one after the other, each with what the files say in its turn", async () => {
  const first = Promise.withResolvers<void>();
  const { files, control, applied } = fixture(
    "http: { timeout: 5 }",
    ({ config }) => config.http.timeout === 6000 ? first.promise : Promise.resolve(),
  );
  files[FILE] = "http: { timeout: 6 }";
  const one = control.reload("request");
  const two = control.reload("request");
  await Promise.resolve();
  files[FILE] = "http: { timeout: 7 }";
  assertEquals(applied.length, 1);
  first.resolve();
  assertEquals([(await one).result, (await two).result], ["applied", "applied"]);
  assertEquals(applied.map(({ config }) => config.http.timeout), [6000, 7000]);
});

Deno.test("ConfigControl.reload: what cannot be brought into force is counted, and the next one is tried", async () => {
  let isBroken = true;
  const { files, control, count } = fixture(
    "{}",
    () => isBroken ? Promise.reject(new Error("no")) : Promise.resolve(),
  );
  files[FILE] = "http: { timeout: 6 }";
  await assertRejects(() => control.reload("request"), Error, "no");
  isBroken = false;
  await control.reload("request");
  assertEquals([count("failed"), count("unchanged")], [1, 1]);
});

Deno.test("ConfigControl.watch: loads once files that changed stand still, never half of one", async () => {
  const { files, clock, control, applied } = fixture(
    "relay: { config_reload_interval: 5 }\nhttp: { timeout: 5 }",
  );
  const stop = new AbortController();
  const watching = control.watch(stop.signal);
  await clock.advance(5000);
  files[FILE] = "";
  await clock.advance(5000);
  files[FILE] = "relay: { config_reload_interval: 5 }\nhttp: { timeout: 6 }";
  await clock.advance(100);
  assertEquals(applied.length, 0);
  await clock.advance(100);
  assertEquals(applied.map(({ config }) => config.http.timeout), [6000]);
  // A wrong one is reported once, not at each look.
  files[FILE] = "http: { timeout: soon }";
  for (let look = 0; look < 4; look++) {
    await clock.advance(5000);
    await clock.advance(200);
  }
  assertEquals(applied.length, 1);
  stop.abort();
  await watching;
});

Deno.test("ConfigControl.watch: the interval itself can be changed, off and on again", async () => {
  const { files, clock, control, applied } = fixture("relay: { config_reload_interval: null }");
  const stop = new AbortController();
  const watching = control.watch(stop.signal);
  files[FILE] = "relay: { config_reload_interval: 0 }";
  await clock.advance(3_600_000);
  assertEquals(applied.length, 0);
  await control.reload("signal");
  files[FILE] = "relay: { config_reload_interval: 0 }\nhttp: { timeout: 9 }";
  await clock.advance(50);
  await clock.advance(100);
  await clock.advance(100);
  assertEquals(applied.map(({ config }) => config.http.timeout), [5000, 9000]);
  stop.abort();
  await watching;
});
