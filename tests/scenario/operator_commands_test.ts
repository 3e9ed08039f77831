/** What an operator types: status and top against a node that runs. */
import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { NodeProcess } from "../support/node_process.ts";
import { runCommand, spawnPiped } from "../support/node_command.ts";
import { postEvent } from "../support/post_event.ts";
import { ScriptedUpstream } from "../support/scripted_upstream.ts";
import { until } from "../support/until.ts";

const run = (node: NodeProcess, ...args: string[]) => runCommand([...args, "-c", node.folder]);

/** Whatever a program tells a terminal beside text. */
// deno-lint-ignore no-control-regex
const CONTROL = /\x1b\[\??\d*[a-zA-Z]/g;

Deno.test("landfall status: one screen; the exit code says whether the node is ready", async () => {
  await using upstream = ScriptedUpstream.start();
  await using node = await NodeProcess.start({ upstream: upstream.url });
  const { eventId } = await postEvent(node.url);
  await upstream.until(() => upstream.accepted(eventId));
  const { code, stdout: out } = await run(node, "status");
  assertEquals(code, 0, out);
  assertMatch(out, /^State {6}ready$/m);
  assertMatch(out, /^Requests {3}\d+, refused 0/m);
  assertStringIncludes(out, `127.0.0.1:${upstream.port}`);
  assertEquals(JSON.parse((await run(node, "status", "--json")).stdout).accepted, 1);
  await node.terminate();
  const gone = await run(node, "status");
  assertEquals([gone.code, gone.stdout], [1, ""]);
  assertStringIncludes(gone.stderr, "does not answer");
});

Deno.test("landfall top: fits into 80 by 24, and leaves the terminal as it was", async () => {
  await using upstream = ScriptedUpstream.start();
  await using node = await NodeProcess.start({ upstream: upstream.url });
  await postEvent(node.url);
  const child = spawnPiped(["top", "-c", node.folder], {});
  let out = "";
  const reading = (async () => {
    for await (const text of child.stdout.pipeThrough(new TextDecoderStream())) out += text;
  })();
  await until("two frames are drawn", () => out.split("\x1b[H").length >= 3);
  child.kill("SIGINT");
  assertEquals((await child.status).code, 0);
  await reading;
  await child.stderr.cancel();
  assert(out.startsWith("\x1b[?1049h\x1b[?25l"), "the screen is another one, without cursor");
  assert(out.endsWith("\x1b[?25h\x1b[?1049l"), "and is given back with it");
  for (const frame of out.split("\x1b[H").slice(1)) {
    const lines = frame.split("\r\n").map((line) => line.replace(CONTROL, ""));
    assert(lines.length <= 24, `${lines.length} lines`);
    for (const line of lines) assert(line.length <= 80, line);
  }
});
