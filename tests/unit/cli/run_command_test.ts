import { assertEquals, assertStringIncludes } from "@std/assert";
import { runFakeCli } from "../../support/fake_system.ts";

const files = { "dir/config.yml": "relay:\n  mode: proxy\n  port: 4000\n" };

Deno.test("run: -c stands before or after the command, in every spelling", async () => {
  for (
    const args of [
      ["-c", "dir", "run"],
      ["run", "-c", "dir"],
      ["run", "-cdir"],
      ["--config", "dir", "run"],
      ["run", "--config=dir"],
      ["run", "--config", "dir/"],
    ]
  ) {
    const { code, started, err } = await runFakeCli(args, { files });
    assertEquals(
      [code, err, started?.configDir, started?.config.relay.port],
      [0, "", "dir", 4000],
      args.join(" "),
    );
  }
});

Deno.test("run: starts with flags alone, as a Relay does (control reference, section 2)", async () => {
  const { code, started } = await runFakeCli([
    "run",
    ...["--mode", "static"],
    ...["--upstream", "http://up.example:9000/"],
    ...["--host", "0.0.0.0", "--port", "0"],
    ...["--id", "cde0d72e-0c4e-4550-a934-c1867d8a177c"],
    ...["--public-key", "JOaR2bHZ31zYjFojC7UhPOidzfT3qOQgT9WEBw1JAKU"],
    ...["--secret-key", "OvXFVm1tIUi8xDTuyHX1SSqdMc8nCt2qU9IUaH5p7oU"],
    ...["--shutdown-timeout", "2", "--log-level", "debug", "--log-format", "json"],
    ...["--instance", "canary", "--source-id", "s", "--no-processing"],
  ]);
  assertEquals(code, 0);
  const { config, credentials } = started!;
  assertEquals(config.relay.mode, "static");
  assertEquals(config.relay.upstream, "http://up.example:9000/");
  assertEquals([config.relay.host, config.relay.port], ["0.0.0.0", 0]);
  assertEquals(config.limits.shutdownTimeout, 2000);
  assertEquals([config.logging.level, config.logging.format], ["debug", "json"]);
  assertEquals(credentials?.id, "cde0d72e-0c4e-4550-a934-c1867d8a177c");
});

Deno.test("run: short flags of Relay", async () => {
  const { started } = await runFakeCli([
    "run",
    "-u",
    "http://u.example",
    "-H",
    "::1",
    "-P",
    "9",
    "--mode",
    "proxy",
  ]);
  assertEquals(started?.config.relay.upstream, "http://u.example/");
  assertEquals([started?.config.relay.host, started?.config.relay.port], ["::1", 9]);
});

Deno.test("run: starts with environment variables alone", async () => {
  const env = { RELAY_MODE: "proxy", RELAY_UPSTREAM_URL: "http://up.example/", RELAY_PORT: "3001" };
  const { code, started } = await runFakeCli(["run"], { env });
  assertEquals([code, started?.config.relay.port], [0, 3001]);
});

Deno.test("run: a flag wins over the environment, and --upstream over --upstream-dsn", async () => {
  const env = { RELAY_MODE: "static", RELAY_UPSTREAM_URL: "http://env.example/" };
  const dsn = ["--upstream-dsn", "https://12345678901234567890123456789012@dsn.example/1"];
  const one = await runFakeCli(["run", "--mode", "proxy", ...dsn], { env });
  assertEquals(one.started?.config.relay.upstream, "https://dsn.example/");
  assertEquals(one.started?.config.relay.mode, "proxy");
  const both = await runFakeCli(["run", "--upstream", "http://flag.example", ...dsn], { env });
  assertEquals(both.started?.config.relay.upstream, "http://flag.example/");
});

Deno.test("run: mode managed without an identity is refused with 78, naming where the mode was set", async () => {
  const rule = 'relay.mode: mode managed needs an identity; "landfall credentials generate" makes one';
  const rows: readonly (readonly [readonly string[], Record<string, string>, string])[] = [
    [[], {}, "default"],
    [["--mode", "managed"], {}, "--mode"],
    [[], { RELAY_MODE: "managed" }, "RELAY_MODE"],
  ];
  for (const [args, env, place] of rows) {
    const { code, err, started } = await runFakeCli(["run", ...args], { env });
    assertEquals([code, started], [78, null]);
    assertStringIncludes(err, `\n${place}: ${rule}`);
  }
});

Deno.test("run: a wrong configuration ends with 78 and one block on standard error", async () => {
  const broken = { "dir/config.yml": "relay:\n  mode: proxy\n  prot: 1\n" };
  const { code, out, err, started } = await runFakeCli(["run", "-c", "dir", "--host", "x"], {
    files: broken,
  });
  assertEquals([code, out, started], [78, "", null]);
  assertEquals(
    err,
    "landfall: 2 errors in the configuration\n" +
      "dir/config.yml:3:3: relay.prot: unknown key (did you mean relay.port?)\n" +
      '--host: relay.host: must be an IP address; received "x"\n',
  );
});

Deno.test("run: the node's exit code is the command's", async () => {
  const { code } = await runFakeCli(["run", "--mode", "proxy"], { runNode: () => Promise.resolve(3) });
  assertEquals(code, 3);
});
