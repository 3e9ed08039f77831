/** `landfall dev` as somebody meets it who has just checked the project out: what it prints has to work as it stands. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { spawnPiped } from "../support/node_command.ts";
import { freePorts } from "../support/node_process.ts";
import { report } from "../support/report.ts";
import { until } from "../support/until.ts";

const hasCurl = await new Deno.Command("curl", { args: ["--version"], stdout: "null" }).output().then(
  ({ success }) => success,
  () => false,
);
if (!hasCurl) report("The command lines that dev prints are not tested: no curl here");

Deno.test({
  name: "dev prints a DSN and command lines that work, shows what arrives, and leaves nothing behind",
  ignore: !hasCurl,
  fn: tryWhatIsPrinted,
});

async function tryWhatIsPrinted(): Promise<void> {
  const [port, upstreamPort, adminPort] = freePorts(3);
  const folder = await Deno.makeTempDir({ prefix: "landfall-test-" });
  const ports = ["--port", `${port}`, "--upstream-port", `${upstreamPort}`, "--admin-port", `${adminPort}`];
  const child = spawnPiped(["dev", ...ports], { env: { TMPDIR: folder } });
  const stderr = new Response(child.stderr).text();
  let printed = "";
  const reading = (async () => {
    for await (const text of child.stdout.pipeThrough(new TextDecoderStream())) printed += text;
  })();
  try {
    await until("everything is printed", () => printed.includes('"mode":"normal"'));
    assertMatch(printed, new RegExp(`http://[0-9a-f]{32}@127.0.0.1:${port}/1`));
    const curls = printed.split("\n").filter((line) => line.startsWith("  curl"));
    const curl = (part: string) => shell(curls.find((line) => line.includes(part)) ?? `no ${part}`);

    const { id } = JSON.parse(await curl("/envelope/"));
    await until("the event is shown", () => new RegExp(`event \\d+ B  ${id}  hello$`, "m").test(printed));

    await curl('"mode":"down"');
    const late = JSON.parse(await curl("/envelope/")).id;
    await until("the refusal is shown", () => printed.includes(`${late}  hello  [answered 503]`));
    await curl('"mode":"normal"');
    await until("the event is shown after all", () => printed.includes(`${late}  hello\n`));

    const page = await fetch(`http://127.0.0.1:${adminPort}/`);
    assertEquals(page.status, 200);
    assert((await page.text()).includes("<html"));
  } finally {
    child.kill("SIGTERM");
    const { code } = await child.status;
    await reading;
    assertEquals(code, 0, await stderr);
    assertEquals([...Deno.readDirSync(folder)], [], "the temporary folder is gone");
    await Deno.remove(folder, { recursive: true });
  }
}

/** Runs a line as somebody would who pastes it. */
async function shell(line: string): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command("bash", {
    args: ["-c", `${line} --silent`],
    stdin: "null",
  })
    .output();
  assert(success, `${line}: ${new TextDecoder().decode(stderr)}`);
  return new TextDecoder().decode(stdout);
}
