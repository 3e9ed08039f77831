/** What an operator types: status, top, send and tap against a node that runs. */
import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { NodeProcess, TEST_KEY } from "../support/node_process.ts";
import { runCommand, spawnPiped } from "../support/node_command.ts";
import { postEvent } from "../support/post_event.ts";
import { ScriptedUpstream } from "../support/scripted_upstream.ts";
import { pause, until } from "../support/until.ts";

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
  assertMatch(out, /^Requests {3}\d+, refused \d+, in flight 0$/m);
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

Deno.test("landfall send: an event is followed to the upstream, hop by hop; when it does not arrive the exit code says so", async () => {
  await using upstream = ScriptedUpstream.start();
  await using node = await NodeProcess.start({ upstream: upstream.url, config: { lanes: 2 } });
  const { code, stdout } = await run(node, "send", "--message", "is anybody there?");
  assertEquals(code, 0, stdout);
  const id = /^answered {3}200 .* event ([0-9a-f]{32})$/m.exec(stdout)?.[1];
  assert(id !== undefined && upstream.accepted(id), stdout);
  assertMatch(stdout, /^on disk {4}lane [01], \d+\.\d ms for policy and disk$/m);
  assertMatch(stdout, /^forwarding attempt 1, \d+ ms after it came$/m);
  assertMatch(stdout, /^upstream {3}delivered 200 after \d+\.\d ms$/m);
  upstream.script({ status: 400, body: "{}" });
  const rejected = await run(node, "send");
  assertEquals(rejected.code, 1);
  assertMatch(rejected.stdout, /^upstream {3}rejected 400/m);
  await upstream.down();
  const late = await run(node, "send", "--timeout", "1");
  assertEquals(late.code, 1);
  assertMatch(late.stdout, /^answered {3}200/m);
  assertStringIncludes(late.stderr, "has not arrived within 1 s");
  upstream.up();
});

Deno.test("landfall tap: shows what is asked for without keys and secrets, with its end; --raw leaves nothing out", async () => {
  await using upstream = ScriptedUpstream.start();
  await using node = await NodeProcess.start({ upstream: upstream.url });
  const tapped = (...flags: string[]) => run(node, "tap", "--seconds", "20", ...flags);
  const send = async (projectId: number, type: string): Promise<void> => {
    const answer = await fetch(`${node.url}/api/${projectId}/envelope/?sentry_key=${TEST_KEY}`, {
      method: "POST",
      body:
        `{"event_id":"${"e".repeat(32)}","dsn":"http://${TEST_KEY}@x/${projectId}"}\n{"type":"${type}"}\n` +
        `{"password":"hunter2","message":"m"}\n`,
    });
    await answer.body?.cancel();
  };
  let isOver = false;
  const traffic = (async () => {
    while (!isOver) await Promise.all([send(1, "event"), send(2, "transaction"), pause(20)]);
  })();
  try {
    const [some, bodies, raw] = await Promise.all([
      tapped("--project", "2", "--outcome", "accepted", "--max", "3"),
      tapped("--item", "event", "--body", "--max", "2"),
      tapped("--item", "event", "--body", "--raw", "--max", "1"),
    ]);
    assertEquals([some.code, some.stdout.trim().split("\n").length], [0, 3]);
    for (const line of some.stdout.trim().split("\n")) {
      assertMatch(line, /answered {4}project 2 .*transaction .*accepted/);
    }
    assertMatch(some.stderr, /^3 shown, \d+ dropped$/m);
    for (const secret of ["hunter2", TEST_KEY]) assert(!bodies.stdout.includes(secret), bodies.stdout);
    assertStringIncludes(bodies.stdout, `"message":"m"`);
    for (const secret of ["hunter2", TEST_KEY]) assertStringIncludes(raw.stdout, secret);
  } finally {
    isOver = true;
    await traffic;
  }
});
