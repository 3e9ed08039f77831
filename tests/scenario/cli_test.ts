/** The command line as a user meets it: a child process, its output and its exit code. */
import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { join } from "node:path";
import project from "../../deno.json" with { type: "json" };
import { runCommand, spawnCommand } from "../support/node_command.ts";
import { freePorts, TEST_KEY } from "../support/node_process.ts";
import { ScriptedUpstream } from "../support/scripted_upstream.ts";
import { until } from "../support/until.ts";

/** sysexits: EX_CONFIG, EX_USAGE. */
const CONFIGURATION_ERROR = 78;
const USAGE_ERROR = 64;

Deno.test("--version and version print the name and the version of the project", async () => {
  for (const args of [["--version"], ["version"]]) {
    const { code, stdout } = await runCommand(args);
    assertEquals([code, stdout], [0, `landfall ${project.version}\n`]);
  }
});

Deno.test("help lists every command, help of a command its flags", async () => {
  const { code, stdout } = await runCommand(["help"]);
  assertEquals(code, 0);
  for (const name of ["run", "dev", "config", "healthcheck", "spool", "help", "version"]) {
    assertMatch(stdout, new RegExp(`^\\s+${name}\\b`, "m"));
  }
  assertStringIncludes((await runCommand(["help", "run"])).stdout, "--upstream");
});

Deno.test("an unknown command or flag is a usage error that names the nearest one", async () => {
  const command = await runCommand(["runn"]);
  assertEquals([command.code, command.stdout], [USAGE_ERROR, ""]);
  assertMatch(command.stderr, /runn[\s\S]*run/);
  const flag = await runCommand(["run", "--upstraem", "http://127.0.0.1:1"]);
  assertEquals(flag.code, USAGE_ERROR);
  assertStringIncludes(flag.stderr, "--upstream");
});

const MISTAKES = [
  {
    name: "an unknown key",
    yaml: "relay:\n  mode: proxy\n  upstraem: http://127.0.0.1:1\n",
    at: "3:3",
    says: "upstream",
  },
  { name: "a value of the wrong type", yaml: "relay:\n  port: ninety\n", at: "2:9", says: "ninety" },
  {
    name: "an unset variable",
    yaml: "relay:\n  upstream: ${LANDFALL_TEST_UNSET}\n",
    at: "2:13",
    says: "LANDFALL_TEST_UNSET",
  },
  {
    name: "a missing file",
    yaml: "relay:\n  upstream: ${file:nowhere.txt}\n",
    at: "2:13",
    says: "nowhere.txt",
  },
  { name: "broken YAML", yaml: "relay:\n  mode: [proxy\n", at: "", says: "config.yml" },
];

for (const { name, yaml, at, says } of MISTAKES) {
  Deno.test(`run ends with code 78 and a position for ${name} in config.yml`, async () => {
    const folder = await Deno.makeTempDir({ prefix: "landfall-test-" });
    try {
      await Deno.writeTextFile(join(folder, "config.yml"), yaml);
      for (const args of [["run", "-c", folder], ["-c", folder, "run"], ["config", "check", "-c", folder]]) {
        const { code, stderr } = await runCommand(args);
        assertEquals(code, CONFIGURATION_ERROR, stderr);
        assertStringIncludes(stderr, at ? `config.yml:${at}` : "config.yml:");
        assertStringIncludes(stderr, says);
        assertEquals(/^\s+at /m.test(stderr), false, "no stack trace");
      }
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  });
}

Deno.test("run -c with a folder that has no config.yml ends with code 78", async () => {
  const folder = await Deno.makeTempDir({ prefix: "landfall-test-" });
  const { code, stderr } = await runCommand(["run", "-c", folder]);
  await Deno.remove(folder);
  assertEquals(code, CONFIGURATION_ERROR);
  assertStringIncludes(stderr, "config.yml");
});

Deno.test("run works with flags alone in an environment that holds nothing else", async () => {
  await startsWith((upstream, port) => ({
    args: [
      "--mode",
      "proxy",
      "--upstream",
      upstream,
      "--host",
      "127.0.0.1",
      "--port",
      String(port),
      "--no-processing",
    ],
    env: {},
  }));
});

Deno.test("run works with RELAY_ variables alone in an environment that holds nothing else", async () => {
  await startsWith((upstream, port) => ({
    args: [],
    env: {
      RELAY_MODE: "proxy",
      RELAY_UPSTREAM_URL: upstream,
      RELAY_HOST: "127.0.0.1",
      RELAY_PORT: String(port),
      SHUTDOWN_TIMEOUT: "5",
    },
  }));
});

type Start = (upstream: string, port: number) => { args: string[]; env: Record<string, string> };

/** Starts a node with nothing but these arguments, sends one envelope through it and ends it. */
async function startsWith(start: Start): Promise<void> {
  await using upstream = ScriptedUpstream.start();
  const folder = await Deno.makeTempDir({ prefix: "landfall-test-" });
  const [port] = freePorts(1);
  const { args, env } = start(upstream.url, port!);
  const child = spawnCommand(["run", ...args], { env, clearEnv: true, cwd: folder });
  const stderr = new Response(child.stderr).text();
  let isOver = false;
  void child.status.then(() => isOver = true);
  try {
    const healthcheck = ["healthcheck", "--mode", "ready", "--host", "127.0.0.1", "--port", String(port)];
    // It does not get that far where something else has the default port of the admin listener.
    await until("the node is ready", async () => isOver || (await runCommand(healthcheck)).code === 0);
    assert(!isOver, isOver ? await stderr : "");
    const envelope =
      '{"event_id":"9ec79c33ec9942ab8353589fcb2e04dc"}\n{"type":"event"}\n{"message":"hello"}\n';
    const answer = await fetch(`http://127.0.0.1:${port}/api/1/envelope/?sentry_key=${TEST_KEY}`, {
      method: "POST",
      body: envelope,
    });
    assertEquals(await answer.json(), { id: "9ec79c33ec9942ab8353589fcb2e04dc" });
    await until("the envelope arrives", () => upstream.requests.length === 1);
  } finally {
    if (!isOver) child.kill("SIGTERM");
    const { code } = await child.status;
    const text = await stderr;
    await Deno.remove(folder, { recursive: true });
    assertEquals(code, 0, text);
  }
}

Deno.test("config init writes a configuration that config check accepts and does not overwrite", async () => {
  const folder = await Deno.makeTempDir({ prefix: "landfall-test-" });
  try {
    const init = [
      "config",
      "init",
      "-c",
      folder,
      "--mode",
      "proxy",
      "--upstream",
      "https://sentry.example.com",
    ];
    assertEquals((await runCommand(init)).code, 0);
    assertEquals((await runCommand(["config", "check", "-c", folder])).code, 0);
    const shown = await runCommand(["config", "show", "-c", folder]);
    assertStringIncludes(shown.stdout, "https://sentry.example.com");
    assertEquals((await runCommand(init)).code === 0, false);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
