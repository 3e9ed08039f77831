/** What a node logs while it runs: lines of all its workers on one standard error. */
import { assert, assertEquals } from "@std/assert";
import { EventLoad } from "../support/event_load.ts";
import { testEachNode } from "../support/each_node.ts";
import { NodeProcess } from "../support/node_process.ts";
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

    const entries = node.stderr.trimEnd().split("\n").map((line) => JSON.parse(line));
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
