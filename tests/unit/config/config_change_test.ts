import { assert, assertEquals } from "@std/assert";
import { changedKeys, mergeConfig } from "../../../src/config/config_change.ts";
import { loadConfig, type LoadedConfig } from "../../../src/config/load_config.ts";
import { fakeSources } from "../../support/fake_sources.ts";

const load = (yaml: string, files: Record<string, string> = {}): LoadedConfig =>
  loadConfig({ dir: "/c", sources: fakeSources({ files: { "/c/config.yml": yaml, ...files } }) });

Deno.test("changedKeys: the same values in other words are no change", () => {
  const before = load("http: { timeout: 5, max_retry_interval: 60 }\nlimits: { max_event_size: 1048576 }");
  const after = load("http: { timeout: 5s, max_retry_interval: 1m }\nlimits: { max_event_size: 1MiB }");
  assertEquals(changedKeys(before, after), []);
});

Deno.test("changedKeys: names key, both values, place and when it counts; defaults count, secrets are not shown", () => {
  const before = load("relay: { port: 3000 }\nhttp: { timeout: 7 }");
  const after = load(
    "relay:\n  port: 3001\nlistener:\n  trusted_proxies: [10.0.0.0/8]\nprocessing: { a: 1 }",
  );
  const found = changedKeys(before, after).map(({ key, from, to, effect }) => [key, from, to, effect]);
  assertEquals(found, [
    ["relay.port", 3000, 3001, "restart"],
    ["listener.trusted_proxies", before.config.listener.trustedProxies, ["10.0.0.0/8"], "reload"],
    ["http.timeout", 7, 5, "reload"],
  ]);
  assertEquals(changedKeys(before, after)[0]!.origin, {
    kind: "file",
    place: { file: "/c/config.yml", line: 2, column: 9 },
  });
});

Deno.test("changedKeys: other credentials are one change, without what they are", () => {
  const secret = "OvXFVm1tIUi8xDTuyHX1SSqdMc8nCt2qU9IUaH5p7oU";
  const credentials = JSON.stringify({
    secret_key: secret,
    public_key: "JOaR2bHZ31zYjFojC7UhPOidzfT3qOQgT9WEBw1JAKU",
    id: "11111111-2222-4333-8444-555555555555",
  });
  const changes = changedKeys(load("{}"), load("{}", { "/c/credentials.json": credentials }));
  assertEquals(changes.map(({ key, effect }) => [key, effect]), [["credentials", "restart"]]);
  assert(!JSON.stringify(changes).includes(secret));
});

Deno.test("mergeConfig: takes what can change at once, keeps the rest, and names both", () => {
  const running = load("relay: { port: 3000, host: 127.0.0.1 }\nlimits: { max_event_size: 1MiB }");
  const next = load("relay: { port: 3001, host: 127.0.0.1 }\nlimits: { max_event_size: 2MiB }");
  const { loaded, changed, restart } = mergeConfig(running, next);
  assertEquals([loaded.config.relay.port, loaded.config.limits.maxEventSize], [3000, 2 << 20]);
  assertEquals(changed.map(({ key }) => key), ["limits.max_event_size"]);
  assertEquals(restart.map(({ key }) => key), ["relay.port"]);
  const shown = loaded.effective.find(({ key }) => key.key === "relay.port")!;
  assertEquals(shown.value, 3000);
  // As long as the file says otherwise, it is said again.
  assertEquals(mergeConfig(loaded, next).restart.map(({ key }) => key), ["relay.port"]);
  assertEquals(mergeConfig(loaded, next).changed, []);
});
