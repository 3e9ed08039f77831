import { assert, assertEquals } from "@std/assert";
import { COMMANDS } from "../../../src/cli/command_table.ts";
import { runFakeCli } from "../../support/fake_system.ts";

const { out: page } = await runFakeCli(["print", "man"]);
const { out: script } = await runFakeCli(["print", "completions"]);

/** What bash would offer for the last word. */
async function offered(...words: string[]): Promise<string[]> {
  const list = ["landfall", ...words].map((word) => `'${word}'`).join(" ");
  const run =
    `${script}\nCOMP_WORDS=(${list}); COMP_CWORD=${words.length}; _landfall; printf '%s\\n' "\${COMPREPLY[@]}"`;
  const { stdout, stderr } = await new Deno.Command("bash", { args: ["--norc", "-c", run] }).output();
  assertEquals(new TextDecoder().decode(stderr), "");
  return new TextDecoder().decode(stdout).split("\n").filter((line) => line !== "");
}

Deno.test("print man: every command and every flag stands in it, hyphens as they are typed", () => {
  const plain = page.replaceAll("\\-", "-");
  for (const { name, about, flags } of COMMANDS) {
    assert(plain.includes(`.SS ${name}`), name);
    assert(plain.includes(about), about);
    for (const flag of Object.keys(flags ?? {})) assert(plain.includes(`--${flag}`), flag);
  }
  const requests = page.split("\n").filter((line) => line.startsWith(".")).map((line) => line.split(" ")[0]);
  assertEquals(new Set(requests), new Set([".TH", ".SH", ".B", ".SS", ".PP", ".nf", ".fi", ".TP"]));
});

Deno.test("print completions: bash offers commands, members of groups, flags and folders", async () => {
  assertEquals(await offered("heal"), ["healthcheck"]);
  assertEquals(await offered("spool", "ex"), ["export"]);
  assertEquals(await offered("-c", "/etc", "spool", "ve"), ["verify"]);
  assertEquals(await offered("-c", "/et"), ["/etc"]);
  assert((await offered("spool", "export", "--")).includes("--config"));
  const member = COMMANDS.find(({ name }) => name === "bans add")!;
  for (const flag of Object.keys(member.flags!)) {
    assert((await offered("bans", "add", "--")).includes(`--${flag}`));
  }
});
