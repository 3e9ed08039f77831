/** What a node logs while it runs: lines of all its workers on one standard error. */
import { assert, assertEquals } from "@std/assert";
import { EventLoad } from "../support/event_load.ts";
import { testEachNode } from "../support/each_node.ts";
import { NodeProcess, TEST_KEY } from "../support/node_process.ts";
import { ScriptedUpstream } from "../support/scripted_upstream.ts";
import { until } from "../support/until.ts";

testEachNode(
  "logs: lines of four workers and the control plane are whole, repeats are counted exactly, secrets do not show",
  async (_, variant) => {
    const token = "token of the operator";
    await using upstream = ScriptedUpstream.start();
    // Its reason is in the line, and the token in it is what an upstream that knows it might say.
    upstream.behave({ status: 400, body: JSON.stringify({ detail: `no "${token}"\n` }) });
    await using node = await NodeProcess.start({
      ...variant,
      upstream: upstream.url,
      config: {
        lanes: 2,
        listener: { exposure: "load_balancer" },
        admin: { token },
        logging: { level: "debug", format: "json" },
      },
    });
    const load = new EventLoad(node.url, 2);
    await until("enough is refused", () => upstream.requests.length > 300);
    for (let reload = 0; reload < 10; reload++) node.signal("SIGHUP");
    await load.stop();
    await until("all is refused", () => upstream.requests.length >= load.acknowledged.size);
    assertEquals(await node.terminate(), 0);

    const lines = node.stderr.trimEnd().split("\n");
    assertEquals(lines.filter((line) => !line.startsWith("{")), [], "all of it is lines of the log");
    const entries = lines.map((line) => JSON.parse(line));
    assert(
      entries.every(({ time, level, log, room, message }) =>
        time && level && log === "node" && room && message
      ),
    );
    assert(entries.at(-1).message === "stopped", entries.at(-1).message);
    const refused = entries.filter(({ message }) => message.includes("the upstream refused a record"));
    assert(refused.length <= 2 * 21 && refused.length > 20, String(refused.length));
    const told = refused.reduce((sum, { repeated = 1 }) => sum + repeated, 0);
    assertEquals(told, upstream.requests.length);
    assert(node.stderr.includes("[redacted]") && !node.stderr.includes(token));
  },
);

testEachNode(
  "access log: a line for each answer of two lanes, in a file that logrotate moves and in the next one",
  async (_, variant) => {
    await using upstream = ScriptedUpstream.start();
    const folder = await Deno.makeTempDir({ prefix: "landfall-test-" });
    const path = `${folder}/access.log`;
    await using node = await NodeProcess.start({
      ...variant,
      upstream: upstream.url,
      config: {
        lanes: 2,
        listener: { exposure: "load_balancer" },
        http: { forward: false },
        logging: { redact_addresses: true },
        access_log: { output: "file", path },
      },
    });
    const load = new EventLoad(node.url, 2);
    const lines = async (name: string): Promise<string[]> =>
      (await Deno.readTextFile(name).catch(() => "")).split("\n").slice(0, -1);
    await until("the log grows", async () => (await lines(path)).length > 100);
    await Deno.rename(path, `${path}.moved`);
    node.signal("SIGHUP");
    await until("the next file grows", async () => (await lines(path)).length > 100);
    await load.stop();
    const refused = await fetch(`${node.url}/api/1/envelope/?sentry_key=${TEST_KEY}`, {
      method: "POST",
      body: "{",
    });
    assertEquals(refused.status, 400);
    await refused.body?.cancel();
    const missing = await fetch(`${node.url}/nowhere/${TEST_KEY}`);
    await missing.body?.cancel();
    assertEquals(await node.terminate(), 0);

    const all = [...await lines(`${path}.moved`), ...await lines(path)];
    const entries = all.map((line) => JSON.parse(line));
    const events = entries.filter(({ event }) => event !== undefined);
    assertEquals(new Set(events.map(({ event }) => event)), load.acknowledged);
    assertEquals(events.length, load.acknowledged.size);
    assertEquals(new Set(events.map(({ lane }) => lane)), new Set([0, 1]));
    const { time: _time, ms: _ms, lane: _lane, event: _event, agent: _agent, bytes, ...rest } = events[0];
    assert(bytes > 900);
    assertEquals(rest, {
      log: "access",
      method: "POST",
      route: "envelope",
      path: "/api/1/envelope/",
      status: 200,
      client: "127.0.0.0",
      project: "1",
      key: TEST_KEY.slice(0, 8),
      categories: "error",
    });
    const bad = entries.find(({ status }) => status === 400);
    assertEquals([bad.project, bad.key, bad.reason !== undefined], ["1", TEST_KEY.slice(0, 8), true]);
    assert(
      entries.some(({ status, path }) => status === 404 && path === `/nowhere/${TEST_KEY.slice(0, 8)}…`),
    );
    assert(!all.join("").includes(TEST_KEY));
    await Deno.remove(folder, { recursive: true });
  },
);
