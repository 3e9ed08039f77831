import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { runFakeCli } from "../../support/fake_system.ts";
import { startNode } from "../../support/node_fixture.ts";

Deno.test("bans: added, listed and removed on a running node", async () => {
  await using node = await startNode({ upstream: "http://127.0.0.1:9/" });
  const files = { "cfg/config.yml": `admin: {port: ${node.node.adminPort}}\n` };
  const run = (...line: string[]) => runFakeCli([...line, "-c", "cfg"], { files });
  assertEquals((await run("bans", "ls")).out, "Nobody is banned\n");
  const added = await run("bans", "add", "203.0.113.7", "--for", "2h", "--reason", "scans\u001b[2J");
  assertEquals([added.code, added.out], [0, "203.0.113.7 is banned for 2h\n"]);
  assertEquals((await run("bans", "add", "2001:db8::1")).code, 0);
  const { out } = await run("bans", "ls");
  assertMatch(
    out,
    /^2001:db8:0:0::\/64 {2}(59m|1h) {2}by the operator\n203\.0\.113\.7 {2}(1h|2h) {2}scans \[2J\n$/,
  );
  assertEquals(JSON.parse((await run("bans", "ls", "--json")).out).bans.length, 2);
  assertEquals((await run("bans", "remove", "2001:db8:0:0::/64")).code, 0);
  const again = await run("bans", "remove", "2001:db8::2");
  assertEquals(again.code, 1);
  assertStringIncludes(again.err, "2001:db8::2 is not banned");
  assertStringIncludes((await run("bans", "add", "127.0.0.1")).err, "127.0.0.1 is a trusted proxy");
});

Deno.test("bans: a wrong command line, a node that is not there, an admin listener that is off", async () => {
  const run = (line: string[], admin: string) =>
    runFakeCli([...line, "-c", "cfg"], { files: { "cfg/config.yml": `admin: {${admin}}\n` } });
  assertEquals((await run(["bans", "add"], "port: 9")).code, 64);
  assertEquals((await run(["bans", "add", "192.0.2.1", "--for", "ever"], "port: 9")).code, 64);
  const absent = await run(["bans", "ls"], "port: 9");
  assertEquals(absent.code, 1);
  assertStringIncludes(absent.err, "does not answer");
  assertStringIncludes((await run(["bans", "ls"], "enabled: false")).err, "admin listener is off");
});
