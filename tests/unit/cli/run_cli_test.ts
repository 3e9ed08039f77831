import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { COMMON_FLAGS } from "../../../src/cli/command_line.ts";
import { COMMANDS } from "../../../src/cli/command_table.ts";
import { VERSION } from "../../../src/core/version.ts";
import { runFakeCli } from "../../support/fake_system.ts";

Deno.test("VERSION: the one of deno.json", async () => {
  const project = JSON.parse(await Deno.readTextFile(new URL("../../../deno.json", import.meta.url)));
  assertEquals(VERSION, project.version);
});

Deno.test("COMMANDS: a flag means the same kind of flag wherever it occurs", () => {
  const kinds = new Map<string, string>();
  const letters = new Map<string, string>();
  for (const flags of [COMMON_FLAGS, ...COMMANDS.map((command) => command.flags ?? {})]) {
    for (const [name, { short, value }] of Object.entries(flags)) {
      const kind = `${short} ${value !== undefined}`;
      assertEquals(kinds.get(name) ?? kind, kind, `--${name}`);
      kinds.set(name, kind);
      if (short === undefined) continue;
      assertEquals(letters.get(short) ?? name, name, `-${short}`);
      letters.set(short, name);
    }
  }
});

Deno.test("runCli: --version, -V and version print the name and the version", async () => {
  for (const args of [["--version"], ["-V"], ["version"], ["run", "--version"]]) {
    const { code, out, err } = await runFakeCli(args);
    assertEquals([code, out, err], [0, `landfall ${VERSION}\n`, ""]);
  }
});

Deno.test("runCli: help names every command, and help of a command all of its flags", async () => {
  for (const args of [["--help"], ["-h"], ["help"]]) {
    const { code, out } = await runFakeCli(args);
    assertEquals(code, 0);
    for (const { name, about } of COMMANDS) assertMatch(out, new RegExp(`^  ${name} +${about}$`, "m"));
  }
  for (const command of COMMANDS) {
    const { code, out } = await runFakeCli(["help", ...command.name.split(" ")]);
    assertEquals(code, 0);
    for (const name of Object.keys({ ...command.flags, ...COMMON_FLAGS })) {
      assertStringIncludes(out, `--${name}`);
    }
    assertEquals((await runFakeCli([...command.name.split(" "), "--help"])).out, out);
  }
});

Deno.test("runCli: help of a group lists its members", async () => {
  const { code, out } = await runFakeCli(["help", "config"]);
  assertEquals(code, 0);
  for (const name of ["config init", "config check", "config show"]) assertStringIncludes(out, name);
});

const USAGE: readonly (readonly [args: readonly string[], message: string])[] = [
  [[], "no command given"],
  [["rnu"], 'unknown command "rnu" (did you mean run?)'],
  [["frobnicate"], 'unknown command "frobnicate"'],
  [["config"], "config needs one of init, check, show, schema, diff, reload"],
  [
    ["config", "chek"],
    'config does not know "chek" but one of init, check, show, schema, diff, reload (did you mean check?)',
  ],
  [["run", "--prot", "1"], "unknown flag --prot (did you mean --port?)"],
  [["-x", "run"], "unknown flag -x"],
  [["version", "--port", "1"], "version has no flag --port"],
  [["healthcheck", "--modes", "live"], "unknown flag --modes (did you mean --mode?)"],
  [["run", "--port"], "--port needs a value (PORT)"],
  [["run", "--port", "--host"], "--port needs a value (PORT)"],
  [["run", "-c"], "-c needs a value (DIR)"],
  [["run", "--no-processing=1"], "--no-processing takes no value"],
  [["run", "now"], 'run does not take "now"'],
  [["run", "--processing"], "--processing is not supported: a node forwards, it does not process"],
  [["run", "--processing", "--no-processing"], "--processing and --no-processing exclude each other"],
  [["run", "--public-key", "x"], "--public-key and --secret-key go together"],
  [["help", "nothing"], 'there is no command "nothing"'],
  [["config", "show", "-f", "toml"], "--format must be yaml or json"],
  [["healthcheck", "--mode", "dead"], "--mode must be live or ready"],
  [["healthcheck", "--timeout", "x"], "--timeout must be a duration such as 5 or 500ms"],
  [["healthcheck", "--port", "0"], "--port must be a port from 1 to 65535"],
];

Deno.test("runCli: a command line that is wrong ends with 64 and says what is right", async () => {
  for (const [args, message] of USAGE) {
    const { code, out, err } = await runFakeCli(args);
    assertEquals(err, `landfall: ${message}\nRun "landfall help" to see what it can do.\n`);
    assertEquals([code, out], [64, ""], args.join(" "));
  }
});

Deno.test("runCli: any other error ends with 1, one line and no stack", async () => {
  const { code, err } = await runFakeCli(["run", "--mode", "proxy"], {
    runNode: () => Promise.reject(new Error("the spool is in use")),
  });
  assertEquals([code, err], [1, "landfall: the spool is in use\n"]);
  assert(!err.includes("    at "));
});
