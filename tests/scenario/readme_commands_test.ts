/**
 * Every command of the README, taken from there: what needs no root, no network, no cluster and no running node is run, in
 * a folder of its own; of the rest the command line is understood, or the task exists.
 */
import { assert, assertEquals } from "@std/assert";
import { COMMANDS } from "../../src/cli/command_table.ts";
import { readCommandLine } from "../../src/cli/command_line.ts";

const root = new URL("../../", import.meta.url);
const readme = Deno.readTextFileSync(new URL("README.md", root));
const { tasks } = JSON.parse(Deno.readTextFileSync(new URL("deno.json", root)));
const commands = [...readme.matchAll(/^```sh\n(.*?)^```/gms)]
  .flatMap(([, block]) => block!.split("\n"))
  .map((line) => line.replace(/\s+#.*$/, "").trim())
  .filter((line) => line !== "");

/** What runs here as it stands, but for the folder. */
const RUN = /^(dist\/)?landfall (config (init|check)|credentials show|print \w+) -c/;

Deno.test("README: every command is one that exists, with flags it has", () => {
  assert(commands.length > 30, "the README has commands");
  for (const command of commands) {
    const [program, ...args] = command.replace(/ >.*$/, "").match(/"[^"]*"|\S+/g)!.map((word) =>
      word.replaceAll('"', "")
    );
    if (program === "npx") {
      assertEquals(args.slice(0, 3), ["-y", "deno@2.9.6", "task"], command);
      assert(args[3]! in tasks, command);
    } else if (program!.endsWith("landfall")) {
      assertEquals(readCommandLine(args, COMMANDS).kind, "command", command);
    } else {
      assert(/^(install|useradd|editor|chown|systemctl|kubectl|curl|kill)$/.test(program!), command);
    }
  }
});

Deno.test("README: what can run anywhere is run in the order of the README", async () => {
  const folder = await Deno.makeTempDir({ prefix: "landfall-test-" });
  const main = new URL("main.ts", root).pathname;
  const ran: string[] = [];
  for (
    const command of new Set(commands.filter((command) => RUN.test(command)))
  ) {
    // A managed node and one in mode proxy cannot share a folder.
    const dir = `${folder}/${/managed|credentials/.test(command) ? "managed" : "proxy"}`;
    const args = command.replace(/ >.*$/, "").split(" ").slice(1)
      .map((word) => word === "/etc/landfall" ? dir : word);
    const { code, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "-P=node", `--config=${root.pathname}deno.json`, main, ...args],
      cwd: folder,
    }).output();
    const said = new TextDecoder().decode(stderr);
    const isThere = command.includes("config init") && /exists/.test(said);
    assert(code === 0 || isThere, `${command}: ${code} ${said}`);
    ran.push(command);
  }
  assert(ran.length >= 6, ran.join("\n"));
  await Deno.remove(folder, { recursive: true });
});
