/** Timeouts of connections that change while connections are open, and clients that do not read. */
import { assertEquals, assertLess } from "@std/assert";
import { NODE_ENGINE_IS_COMPLETE } from "../../src/listener/node_engine.ts";
import { METRICS } from "../../src/telemetry/catalogue.ts";
import { startNode } from "../support/node_fixture.ts";
import { RawHttp } from "../support/raw_http.ts";
import { RawUpstream } from "../support/raw_upstream.ts";
import { ScriptedUpstream } from "../support/scripted_upstream.ts";
import { until } from "../support/until.ts";

const ignore = !NODE_ENGINE_IS_COMPLETE;
const INTERNET = { "listener.exposure": "internet" };

Deno.test(
  "listener reload: a shorter time for heads counts for heads that have begun",
  { ignore },
  async () => {
    await using upstream = ScriptedUpstream.start();
    await using node = await startNode({ upstream: upstream.url, config: INTERNET });
    using connection = await RawHttp.connect(node.node.port);
    await connection.send("GET / HTTP/1.1\r\nHost: x\r\n");
    const listener = { header_timeout: "100ms", hosts: ["only.test"] };
    await Deno.writeTextFile(`${node.folder}/config.yml`, JSON.stringify({ listener }));
    assertEquals((await node.node.reload("request")).result, "applied");
    assertEquals((await connection.response())?.status, 408);
    using other = await RawHttp.connect(node.node.port);
    await other.send("GET /api/0/ HTTP/1.1\r\nHost: other.test\r\n\r\n");
    assertEquals((await other.response())?.status, 421);
  },
);

Deno.test(
  "listener reload: a shorter idle time counts for connections that are open",
  { ignore },
  async () => {
    await using upstream = ScriptedUpstream.start();
    await using node = await startNode({ upstream: upstream.url, config: INTERNET });
    using connection = await RawHttp.connect(node.node.port);
    const ask = async () => {
      await connection.send("GET /api/0/relays/live/ HTTP/1.1\r\nHost: x\r\n\r\n");
      return (await connection.response())?.status;
    };
    assertEquals(await ask(), 200);
    await Deno.writeTextFile(
      `${node.folder}/config.yml`,
      JSON.stringify({ listener: { idle_timeout: "200ms" } }),
    );
    assertEquals((await node.node.reload("request")).result, "applied");
    assertEquals(await ask(), 200);
    const answeredMs = performance.now();
    assertEquals(await connection.closed(), true);
    assertLess(performance.now() - answeredMs, 20_000, "much earlier than by default");
  },
);

Deno.test("unread answers: a client that takes nothing loses its connection", { ignore }, async () => {
  await using upstream = new RawUpstream((call) => call.answer(200, {}, new Uint8Array(16 * 1024 * 1024)));
  const config = { ...INTERNET, "listener.answer_timeout": "200ms" };
  await using node = await startNode({ upstream: upstream.url, config });
  const client = await Deno.connect({ hostname: "127.0.0.1", port: node.node.port });
  await client.write(new TextEncoder().encode("GET /api/0/x/ HTTP/1.1\r\nHost: x\r\n\r\n"));
  const unread = () => node.node.metrics.read(METRICS.answersUnread);
  await until("the connection is given up", () => unread() === 1, 15_000);
  await until("nothing is left of it", () => upstream.open === 0);
  client.close();
});
