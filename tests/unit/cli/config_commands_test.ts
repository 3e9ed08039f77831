import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { parse } from "yaml";
import { runFakeCli } from "../../support/fake_system.ts";

const KEYS = {
  id: "cde0d72e-0c4e-4550-a934-c1867d8a177c",
  public_key: "JOaR2bHZ31zYjFojC7UhPOidzfT3qOQgT9WEBw1JAKU",
  secret_key: "OvXFVm1tIUi8xDTuyHX1SSqdMc8nCt2qU9IUaH5p7oU",
};
const files = {
  "dir/config.yml":
    "relay: { mode: proxy }\nhttp:\n  timeout: 2\nsentry: { dsn: https://0123456789abcdef0123456789abcdef@o1.example/2 }\n" +
    "processing: { redis: 'redis://:pw@h', token: hush }\nlogging: { enable_backtraces: true }\n",
  "dir/credentials.json": JSON.stringify(KEYS),
};

Deno.test("config init: writes a commented file that config check accepts", async () => {
  const init = await runFakeCli(["config", "init", "-c", "dir", "--upstream", "https://up.example:8443"]);
  assertEquals([init.code, init.out], [0, "Wrote dir/config.yml\n"]);
  const check = await runFakeCli(["config", "check", "-c", "dir"], { files: init.written });
  assertEquals([check.code, check.out, check.err], [0, "OK: dir\n", ""]);
  const run = await runFakeCli(["run", "-c", "dir"], { files: init.written });
  assertEquals(run.started?.config.relay.upstream, "https://up.example:8443/");
  assertEquals(run.started?.config.relay.mode, "proxy");
});

Deno.test("config init: never overwrites", async () => {
  const { code, err, written } = await runFakeCli(["config", "init", "-c", "dir"], { files });
  assertEquals([code, written], [1, {}]);
  assertEquals(err, "landfall: dir/config.yml exists already and was left alone\n");
});

Deno.test("config init: a wrong flag is named and nothing is written", async () => {
  const wrong = await runFakeCli(["config", "init", "--mode", "proxi"]);
  assertEquals([wrong.code, wrong.written], [78, {}]);
  assertStringIncludes(wrong.err, "--mode: relay.mode: must be one of managed, proxy, static");
});

Deno.test("config init: mode managed gets an identity, unless there is one", async () => {
  const { code, out, written } = await runFakeCli(["config", "init", "--mode", "Managed"]);
  assertEquals([code, Object.keys(written)], [0, [
    ".landfall/config.yml",
    ".landfall/config.schema.json",
    ".landfall/credentials.json",
  ]]);
  assertStringIncludes(out, JSON.parse(written[".landfall/credentials.json"]!).public_key);
  const there = { ".landfall/credentials.json": JSON.stringify(KEYS) };
  const again = await runFakeCli(["config", "init", "--mode", "managed"], { files: there });
  assertEquals([again.code, Object.keys(again.written)], [0, [
    ".landfall/config.yml",
    ".landfall/config.schema.json",
  ]]);
});

Deno.test("config init: a flag cannot bring keys of its own into the file", async () => {
  const { code, written } = await runFakeCli(["config", "init", "--mode", "proxy\nhttp: {timeout: 1}"]);
  assertEquals([code, written], [78, {}]);
});

Deno.test("config check: prints OK with warnings, or the errors with 78", async () => {
  const good = await runFakeCli(["config", "check", "-c", "dir"], { files });
  assertEquals([good.code, good.out], [0, "OK: dir\n"]);
  assertEquals(
    good.err,
    "landfall: warning: These options are accepted but have no effect: logging.enable_backtraces, processing\n",
  );
  const bad = await runFakeCli(["config", "check", "-c", "dir"], { files: { "dir/config.yml": "htp: {}" } });
  assertEquals([bad.code, bad.out], [78, ""]);
  assertStringIncludes(bad.err, "dir/config.yml:1:1: htp: unknown key (did you mean http?)");
});

Deno.test("config check: refuses what run would refuse", async () => {
  const { code, err } = await runFakeCli(["config", "check", "-c", "dir"], {
    files: { "dir/config.yml": "" },
  });
  assertEquals(code, 78);
  assertStringIncludes(err, "mode managed needs an identity");
});

Deno.test("config show: the values in force, in both formats, without secrets", async () => {
  const yaml = await runFakeCli(["config", "show", "-c", "dir"], { files, env: { RELAY_PORT: "81" } });
  const json = await runFakeCli(["config", "show", "-c", "dir", "-f", "json"], {
    files,
    env: { RELAY_PORT: "81" },
  });
  const shown = JSON.parse(json.out);
  assertEquals(parse(yaml.out), shown);
  assertEquals(shown.relay.mode, "proxy");
  assertEquals(shown.relay.port, "81");
  assertEquals(shown.http.timeout, 2);
  assertEquals(shown.limits.max_event_size, "1MiB");
  assertEquals(shown.sentry.dsn, "[redacted]");
  assertEquals(shown.processing, "[redacted]");
  assertEquals(shown.credentials, { ...KEYS, secret_key: "[redacted]" });
  assertEquals(shown.auth.ready, "authenticated");
  for (const text of [yaml.out, json.out]) {
    assert(!text.includes(KEYS.secret_key) && !text.includes("pw") && !text.includes("hush"));
  }
});

Deno.test("config show: what it prints is a configuration that says the same", async () => {
  const plain = { "dir/config.yml": "relay: { mode: proxy, port: 5 }\nlanes: 3\n" };
  const { out } = await runFakeCli(["config", "show", "-c", "dir"], { files: plain });
  const [first, second] = await Promise.all(
    [plain, { "dir/config.yml": out }].map((files) => runFakeCli(["run", "-c", "dir"], { files })),
  );
  assertEquals(second?.started?.config, first?.started?.config);
});

Deno.test("config show --origin: says for every key where its value comes from", async () => {
  const outside = { files, env: { RELAY_PORT: "81" } };
  const yaml = await runFakeCli(["config", "show", "-c", "dir", "--origin"], outside);
  for (
    const line of [
      'relay.mode: "proxy" # dir/config.yml:1:16',
      'relay.port: "81" # RELAY_PORT',
      "http.timeout: 2 # dir/config.yml:3:12",
      "http.connection_timeout: 3 # default",
      'sentry.dsn: "[redacted]" # dir/config.yml:4:16',
    ]
  ) assertStringIncludes(yaml.out, `${line}\n`);
  const json = await runFakeCli(["config", "show", "-c", "dir", "--origin", "-f", "json"], outside);
  assertEquals(JSON.parse(json.out)["relay.port"], { value: "81", origin: "RELAY_PORT" });
});

Deno.test("config schema: prints what config init writes, under the name the file has for it", async () => {
  const { code, out } = await runFakeCli(["config", "schema"]);
  const { written } = await runFakeCli(["config", "init", "-c", "dir"]);
  const name = /^# yaml-language-server: \$schema=(\S+)\n/.exec(written["dir/config.yml"]!)?.[1];
  assertEquals([code, written[`dir/${name}`]], [0, out]);
  assertEquals(JSON.parse(out).title, "Configuration of a Landfall node");
});
