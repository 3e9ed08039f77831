/** A node whose configuration changes while it runs. */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { testEachNode } from "../support/each_node.ts";
import { EventLoad } from "../support/event_load.ts";
import { runCommand } from "../support/node_command.ts";
import { NodeProcess, TEST_KEY } from "../support/node_process.ts";
import { ScriptedUpstream } from "../support/scripted_upstream.ts";
import { until } from "../support/until.ts";

/** Changes keys of sections of the node's config.yml. */
async function rewrite(node: NodeProcess, sections: Readonly<Record<string, object>>): Promise<void> {
  const path = `${node.folder}/config.yml`;
  const config = JSON.parse(await Deno.readTextFile(path));
  for (const [name, keys] of Object.entries(sections)) config[name] = { ...config[name], ...keys };
  await Deno.writeTextFile(path, JSON.stringify(config));
}

/** Posts a store request of some 2 KB. @returns its status. */
async function postLarge(node: NodeProcess): Promise<number> {
  const answer = await fetch(`${node.url}/api/1/store/?sentry_key=${TEST_KEY}`, {
    method: "POST",
    body: JSON.stringify({ message: "x".repeat(2000) }),
  });
  await answer.body?.cancel();
  return answer.status;
}

/** How often a line was logged. */
function logged(node: NodeProcess, text: string): number {
  return node.stderr.split(text).length - 1;
}

testEachNode("reload: under load nothing is refused or lost, in two lanes, by signal", async (_, variant) => {
  await using upstream = ScriptedUpstream.start();
  await using node = await NodeProcess.start({
    ...variant,
    upstream: upstream.url,
    config: { lanes: 2, listener: { exposure: "load_balancer" } },
  });
  const load = new EventLoad(node.url, 2);
  await until("the load has begun", () => load.acknowledged.size > 50);
  for (let round = 1; round <= 10; round++) {
    await rewrite(node, {
      http: { timeout: 5 + round, encoding: round % 2 ? "gzip" : "auto" },
      limits: { max_event_size: 1_000_000 + round, max_concurrent_requests: 10 * round },
      spool: { segment_size: round % 2 ? "1MiB" : "64MiB", backlog_share: round / 20 },
      listener: { exposure: "load_balancer", body_timeout: 10 + round },
    });
    node.signal("SIGHUP");
    await until("the reload is logged", () => logged(node, "result=applied") >= round);
  }
  await load.stop();
  assertEquals(load.failed, 0);
  const ids = [...load.acknowledged];
  assert(ids.length > 100, String(ids.length));
  await until("all acknowledged events arrive", () => ids.every((id) => upstream.accepted(id)));
  assertEquals(await node.terminate(), 0);
});

testEachNode(
  "reload: a limit counts in every lane once the file has changed; what needs a restart is named",
  async (_, variant) => {
    await using upstream = ScriptedUpstream.start();
    await using node = await NodeProcess.start({
      ...variant,
      upstream: upstream.url,
      config: { lanes: 2, listener: { exposure: "load_balancer" }, relay: { config_reload_interval: 0 } },
    });
    assertEquals(await postLarge(node), 200);
    await rewrite(node, { limits: { max_event_size: 1000 }, relay: { port: node.port + 1 } });
    await until("the reload is logged", () => logged(node, "keys need a restart keys=relay.port") === 1);
    assertStringIncludes(node.stderr, "changed=limits.max_event_size");
    const statuses = await Promise.all(Array.from({ length: 20 }, () => postLarge(node)));
    assertEquals(new Set(statuses), new Set([413]));

    await Deno.writeTextFile(`${node.folder}/config.yml`, "limits:\n  max_event_size: many\n");
    await until("the mistake is logged", () => logged(node, "config.yml:2:19: limits.max_event_size") === 1);
    assertEquals(await postLarge(node), 413);
    assertEquals(await node.readiness(), 200);
    assertEquals(await node.terminate(), 0);
  },
);

testEachNode(
  "reload: by request to a socket with a token, and what config diff tells before",
  async (_, variant) => {
    await using upstream = ScriptedUpstream.start();
    const socket = await Deno.makeTempDir({ prefix: "landfall-socket-" }).then((folder) =>
      `${folder}/admin.sock`
    );
    await using node = await NodeProcess.start({
      ...variant,
      upstream: upstream.url,
      config: { admin: { socket, token: "of the operator" } },
    });
    assertEquals(Deno.statSync(socket).mode! & 0o777, 0o600);
    const command = (name: string) =>
      runCommand(
        ["config", name, "-c", node.folder],
        variant.executable ? { executable: variant.executable } : {},
      );
    assertEquals((await command("diff")).stdout, "No difference\n");
    await rewrite(node, { limits: { max_event_size: 1000 }, relay: { port: node.port + 1 } });
    for (const name of ["diff", "reload"]) {
      const { code, stdout, stderr } = await command(name);
      assertEquals(code, 0, stderr);
      assertStringIncludes(stdout, `limits.max_event_size: "1MiB" -> 1000`);
      assertStringIncludes(stdout, `relay.port: ${node.port} -> ${node.port + 1}`);
      assertStringIncludes(stdout, "(needs a restart)");
      // The answer comes once the change is in force.
      assertEquals(await postLarge(node), name === "diff" ? 200 : 413);
    }
    await rewrite(node, { limits: { max_event_size: "many" } });
    assertEquals((await command("reload")).code, 78);
    assertEquals(await postLarge(node), 413);
    assertEquals(await node.terminate(), 0);
    await Deno.remove(socket.slice(0, socket.lastIndexOf("/")), { recursive: true });
  },
);
