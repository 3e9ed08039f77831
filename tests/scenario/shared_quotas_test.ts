/** Quotas that two nodes share through a real Redis: control reference, section 6. */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { METRICS } from "../../src/telemetry/catalogue.ts";
import { type NodeFixture, startNode } from "../support/node_fixture.ts";
import { TEST_KEY } from "../support/node_process.ts";
import { postEvent } from "../support/post_event.ts";
import { HAS_REDIS, RedisServer } from "../support/redis_server.ts";
import { ScriptedUpstream } from "../support/scripted_upstream.ts";
import { until } from "../support/until.ts";

const DAY_SECONDS = 86_400;

const start = (upstream: ScriptedUpstream, store: string, limit: number): Promise<NodeFixture> =>
  startNode({
    upstream: upstream.url,
    config: { "relay.mode": "static", "quotas.store": store },
    files: {
      "projects/1.json": JSON.stringify({
        organizationId: 1,
        publicKeys: [{ publicKey: TEST_KEY }],
        config: {
          quotas: [{ id: "shared", categories: ["error"], limit, window: DAY_SECONDS, reasonCode: "shared" }],
        },
      }),
    },
  });

const isUp = ({ node }: NodeFixture): boolean => node.metrics.read(METRICS.quotaStoreUp) === 1;

/** Posts until the node refuses; how many it took. */
async function exhaust({ url }: NodeFixture): Promise<number> {
  for (let taken = 0;; taken++) if ((await postEvent(url)).status === 429) return taken;
}

Deno.test({
  name: "two nodes share a quota; while the store is away each counts for itself, and it is told afterwards",
  ignore: !HAS_REDIS,
  async fn() {
    await using upstream = ScriptedUpstream.start();
    await using redis = await RedisServer.start();
    await using one = await start(upstream, redis.url, 10);
    await using two = await start(upstream, redis.url, 10);
    await until("both have the store", () => isUp(one) && isUp(two));

    for (let n = 0; n < 6; n++) assertEquals((await postEvent(one.url)).status, 200);
    await until("the first has told it", () => one.node.metrics.read(METRICS.quotaExchanges, "ok") >= 2);
    assertEquals((await postEvent(two.url)).status, 200);
    await until("the second has learned", () => two.node.metrics.read(METRICS.quotaExchanges, "ok") >= 2);
    assertEquals(await exhaust(two), 3);

    await redis.kill();
    // What the first admits now makes it notice; of the others it knows nothing newer than its last exchange.
    const alone = await exhaust(one);
    assert(alone <= 4, `${alone} admitted`);
    await until("it is noticed", () => one.node.status().notes.length === 1);
    assertStringIncludes(one.node.status().notes[0]!, "counted by this node alone");
    assertEquals(one.node.status().phase, "ready");
    assertEquals((await postEvent(one.url)).status, 429);

    await using again = await RedisServer.start(redis.port);
    assertEquals(again.port, redis.port);
    await until("the first shares again", () => isUp(one) && one.node.status().notes.length === 0);
    await using three = await start(upstream, redis.url, 11);
    await until("the third has the store", () => isUp(three));
    assertEquals((await postEvent(three.url)).status, 200);
    await until("it has learned", () => three.node.metrics.read(METRICS.quotaExchanges, "ok") >= 2);
    const left = await exhaust(three);
    assertEquals(left, 11 - 1 - (6 + alone), "what the first admitted meanwhile was told");
  },
});
