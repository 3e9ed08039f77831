/** One of two lanes dies in workers of its own: what it had taken of what is the node's comes back. */
import { assert, assertEquals } from "@std/assert";
import { deadLetterFiller, LaneClients } from "../support/lane_clients.ts";
import { startNode } from "../support/node_fixture.ts";
import { type RawHttp, requestBytes } from "../support/raw_http.ts";
import { RawUpstream } from "../support/raw_upstream.ts";
import { ScriptedUpstream } from "../support/scripted_upstream.ts";
import { until } from "../support/until.ts";

/** The lane that dies is the one that was started last. */
const DYING = 1;

Deno.test("a lane that dies gives back the requests it passed on", async () => {
  await using upstream = new RawUpstream(async (call) => {
    if (call.path.includes("/projects/")) await call.gone();
    else await call.answer(200, { Connection: "close" });
  });
  const config = { "lanes": 2, "limits.max_concurrent_requests": 16, "http.timeout": 60 };
  await using node = await startNode({ upstream: upstream.url, config, inWorkers: true });
  const at = { folder: node.folder, port: Number(new URL(node.url).port) };
  const ask = (client: RawHttp): Promise<void> => client.send(requestBytes("GET", "/api/0/projects/", {}));
  const asked = (): number => upstream.calls.filter(({ path }) => path.includes("/projects/")).length;
  for (let round = 1; round <= 2; round++) {
    using clients = await LaneClients.connect(at, 48);
    const dying = clients.of(DYING).slice(0, 14);
    assertEquals(dying.length, 14);
    for (const client of dying) await ask(client);
    await until("it has what the other leaves", () => asked() === 14 * round);
    node.die("ingest");
    await until("its requests are gone", () => upstream.open === 0);
    // Until both lanes take connections again.
    (await LaneClients.connect(at, 4))[Symbol.dispose]();
  }
});

Deno.test("a lane that dies while its dead letter is full has again what it had, and no more than there is", async () => {
  const bytesMax = 256 * 1024;
  await using upstream = ScriptedUpstream.start();
  upstream.behave({ status: 400 });
  const config = { "lanes": 2, "spool.dead_letter_size": bytesMax };
  await using node = await startNode({ upstream: upstream.url, config, inWorkers: true });
  const at = { folder: node.folder, port: Number(new URL(node.url).port) };
  using clients = await LaneClients.connect(at, 16);
  const { fill, dead } = deadLetterFiller({ node: at, upstream, clients, bytesMax });
  await fill(DYING, bytesMax * 0.8);
  node.die("forward");
  // The other one gets its share of it, and no more is there than may be.
  await fill(1 - DYING, bytesMax * 0.45);
  assert(dead(DYING) > bytesMax * 0.4, `${dead(DYING)}`);
  await fill(DYING, bytesMax * 0.45);
});
