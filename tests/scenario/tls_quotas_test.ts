/** Quotas shared through a Redis that speaks TLS: whom a node trusts, what it says, and what it does not. */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { METRICS } from "../../src/telemetry/catalogue.ts";
import { testEachNode } from "../support/each_node.ts";
import { runCommand } from "../support/node_command.ts";
import { type NodeFixture, startNode } from "../support/node_fixture.ts";
import { NodeProcess, TEST_KEY } from "../support/node_process.ts";
import { postEvent } from "../support/post_event.ts";
import { HAS_REDIS, REDIS_PASSWORD, RedisServer } from "../support/redis_server.ts";
import { ScriptedUpstream } from "../support/scripted_upstream.ts";
import { TestAuthority } from "../support/tls_files.ts";
import { until } from "../support/until.ts";

const LIMIT = 3;
const PROJECT = JSON.stringify({
  organizationId: 1,
  publicKeys: [{ publicKey: TEST_KEY }],
  config: {
    quotas: [{ id: "shared", categories: ["error"], limit: LIMIT, window: 86_400, reasonCode: "shared" }],
  },
});

const folder = await Deno.makeTempDir({ prefix: "landfall-test-" });
const roots = await Promise.all(["right", "other"].map(async (name) => {
  await Deno.mkdir(`${folder}/${name}`);
  return await TestAuthority.create(`${folder}/${name}`);
}));
const [right, other] = roots as [TestAuthority, TestAuthority];
await right.issue("redis", "redis", ["redis.internal"]);
const files = { certificatePath: `${right.folder}/redis.pem`, keyPath: `${right.folder}/redis.key` };
globalThis.addEventListener("unload", () => Deno.removeSync(folder, { recursive: true }));

function start(upstream: ScriptedUpstream, store: string, ca: string | null): Promise<NodeFixture> {
  return startNode({
    upstream: upstream.url,
    config: { "relay.mode": "static", "quotas.store": store, ...ca !== null && { "quotas.store_ca": ca } },
    files: { "projects/1.json": PROJECT },
  });
}

const isUp = ({ node }: NodeFixture): boolean => node.metrics.read(METRICS.quotaStoreUp) === 1;
const exchanges = ({ node }: NodeFixture, result: string) =>
  node.metrics.read(METRICS.quotaExchanges, result);

/** Posts until the node refuses; how many it took. */
async function exhaust(url: string): Promise<number> {
  for (let taken = 0;; taken++) if ((await postEvent(url)).status === 429) return taken;
}

Deno.test({
  name: "rediss: two nodes that trust its root share a quota, and again after the store was away",
  ignore: !HAS_REDIS,
  async fn() {
    await using upstream = ScriptedUpstream.start();
    await using redis = await RedisServer.start(0, files);
    await using one = await start(upstream, redis.url, right.root);
    await using two = await start(upstream, redis.url, right.root);
    await until("both have the store", () => isUp(one) && isUp(two));
    for (let n = 0; n < LIMIT - 1; n++) assertEquals((await postEvent(one.url)).status, 200);
    await until("the first has told it", () => exchanges(one, "ok") >= 2);
    assertEquals((await postEvent(two.url)).status, 200);
    await until("the second has learned", () => exchanges(two, "ok") >= 2);
    assertEquals(await exhaust(two.url), 0);

    await redis.kill();
    assertEquals((await postEvent(one.url)).status, 200);
    await until("it is noticed", () => one.node.status().notes.length === 1);
    assertEquals(await exhaust(one.url), 0);
    await using again = await RedisServer.start(redis.port, files);
    assertEquals(again.port, redis.port);
    await until("it is shared again", () => isUp(one) && one.node.status().notes.length === 0);
    await using three = await start(upstream, redis.url, right.root);
    await until("the third has the store", () => isUp(three));
    assertEquals((await postEvent(three.url)).status, 200);
    await until("it has learned", () => exchanges(three, "ok") >= 2);
    assertEquals(await exhaust(three.url), 0);
  },
});

/** What is wrong, and what makes it so. */
const WRONG: readonly (readonly [string, (redis: RedisServer) => [store: string, ca: string | null]])[] = [
  ["another root", (redis) => [redis.url, other.root]],
  ["no root", (redis) => [redis.url, null]],
  ["a name its certificate does not have", (redis) => [
    redis.urlWith(REDIS_PASSWORD, "localhost"),
    right.root,
  ]],
  ["a wrong password", (redis) => [redis.urlWith("mistaken-password"), right.root]],
  ["no TLS", (redis) => [redis.url.replace("rediss:", "redis:"), null]],
];

for (const [what, storeOf] of WRONG) {
  Deno.test({
    name: `rediss with ${what}: the node is ready, says that the store is away, and counts for itself`,
    ignore: !HAS_REDIS,
    async fn() {
      await using upstream = ScriptedUpstream.start();
      await using redis = await RedisServer.start(0, files);
      await using node = await start(upstream, ...storeOf(redis));
      await until("it is noticed twice", () => exchanges(node, "error") >= 2);
      assertEquals([isUp(node), exchanges(node, "ok")], [false, 0]);
      assertEquals(node.node.status().phase, "ready");
      assertStringIncludes(node.node.status().notes[0]!, "counted by this node alone");
      assertEquals(await exhaust(node.url), LIMIT);
    },
  });
}

testEachNode("rediss: credentials show nowhere, right or wrong", async (_, { executable }) => {
  await using upstream = ScriptedUpstream.start();
  await using redis = await RedisServer.start(0, files);
  for (const [password, isRight] of [["mistaken%2Fpassword", false], [REDIS_PASSWORD, true]] as const) {
    await using node = await NodeProcess.start({
      ...executable && { executable },
      upstream: upstream.url,
      config: {
        relay: { mode: "static" },
        quotas: { store: redis.urlWith(password), store_ca: right.root },
        logging: { level: "trace" },
      },
      files: { "projects/1.json": PROJECT },
    });
    const page = async (path: string) =>
      await (await fetch(`http://127.0.0.1:${node.adminPort}${path}`)).text();
    const state = `landfall_quota_store_up ${isRight ? 1 : 0}`;
    const tried = isRight ? `exchanges_total{result="ok"}` : `exchanges_total{result="error"}`;
    await until("the store was asked", async () => {
      const metrics = await page("/metrics");
      return metrics.includes(state) && metrics.includes(tried);
    });
    if (!isRight) await until("the log says why", () => node.stderr.includes("WRONGPASS"));
    const options = executable ? { executable } : {};
    const shown = await runCommand(["config", "show", "--origin", "-c", node.folder], options);
    assertEquals(shown.code, 0, shown.stderr);
    assertStringIncludes(shown.stdout, "[redacted]");
    const said = [await page("/config"), await page("/status.json"), shown.stdout, node.stderr].join("\n");
    for (const secret of [password, decodeURIComponent(password)]) assert(!said.includes(secret), said);
    assertEquals(await node.terminate(), 0);
    assert(!node.stderr.includes(decodeURIComponent(password)));
  }
}, { ignore: !HAS_REDIS });
