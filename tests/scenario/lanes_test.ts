/** A node with two lanes: both serve, what one learns both know, and both are drained. */
import { assert, assertEquals } from "@std/assert";
import { NODE_ENGINE_IS_COMPLETE } from "../../src/listener/node_engine.ts";
import { EXPOSURES } from "../support/listener_fixture.ts";
import { NodeProcess, TEST_KEY } from "../support/node_process.ts";
import { rawRequest, requestBytes } from "../support/raw_http.ts";
import { ScriptedUpstream } from "../support/scripted_upstream.ts";
import { SlowPost } from "../support/slow_post.ts";
import { until } from "../support/until.ts";

/** Connections of which practically never all go to the same of two lanes: the kernel spreads them by their ports. */
const MANY = 32;
const http = { retry_delay: "100ms", outage_grace_period: "100ms", max_retry_interval: "500ms" };

for (const exposure of EXPOSURES) {
  const ignore = exposure === "internet" && !NODE_ENGINE_IS_COMPLETE;
  const config = { lanes: 2, http, listener: { exposure } };

  Deno.test(`two lanes, ${exposure}: both take connections, store and forward`, { ignore }, async () => {
    await using upstream = ScriptedUpstream.start();
    await using node = await NodeProcess.start({ upstream: upstream.url, config });
    await upstream.down();
    const sent: string[] = [];
    const post = async (): Promise<void> => {
      const { eventId, status } = await postAnew(node.port);
      assertEquals(status, 200);
      sent.push(eventId);
    };
    await Promise.all(Array.from({ length: MANY }, post));
    assertEquals([bytesIn(node, "p0") > 0, bytesIn(node, "p1") > 0], [true, true]);

    upstream.up();
    await until("all events arrive", () => sent.every((eventId) => upstream.accepted(eventId)));
  });

  Deno.test(
    `two lanes, ${exposure}: a limit that one lane learns is enforced by both`,
    { ignore },
    async () => {
      await using upstream = ScriptedUpstream.start();
      await using node = await NodeProcess.start({ upstream: upstream.url, config });
      upstream.script({ status: 429, headers: { "X-Sentry-Rate-Limits": "600:error:project:quota_hit" } });
      assertEquals((await postAnew(node.port)).status, 200);

      await until("every connection is refused", async () => {
        const answers = await Promise.all(Array.from({ length: MANY }, () => postAnew(node.port)));
        return answers.every(({ status }) => status === 429);
      });
    },
  );

  Deno.test(`two lanes, ${exposure}: SIGTERM drains both, and nothing comes twice`, { ignore }, async () => {
    await using upstream = ScriptedUpstream.start();
    await using node = await NodeProcess.start({ upstream: upstream.url, config });
    await upstream.down();
    const waiting = await Promise.all(Array.from({ length: MANY }, () => postAnew(node.port)));
    const slow: SlowPost[] = [];
    for (let count = 0; count < 8; count++) slow.push(await SlowPost.begin(node));

    node.signal("SIGTERM");
    await until("the node is not ready", async () => await node.readiness() !== 200);
    const answers = await Promise.all(slow.map((post) => post.finish()));
    assertEquals(await node.exited(), 0);
    assertEquals(answers.map(({ status }) => status), slow.map(() => 200));

    upstream.up();
    await node.startAgain();
    const expected = [...waiting, ...slow].map(({ eventId }) => eventId);
    await until("all events arrive", () => expected.every((eventId) => upstream.accepted(eventId)));
    assertEquals(await node.terminate(), 0);
    assertEquals(upstream.requests.length, expected.length);
    for (const post of slow) post[Symbol.dispose]();
  });
}

/** Sends an event over a connection of its own. */
async function postAnew(port: number): Promise<{ eventId: string; status: number }> {
  const eventId = crypto.randomUUID().replaceAll("-", "");
  const body = `{"event_id":"${eventId}"}\n{"type":"event"}\n{"message":"hello"}\n`;
  const path = `/api/1/envelope/?sentry_key=${TEST_KEY}`;
  const answer = await rawRequest(port, requestBytes("POST", path, { connection: "close" }, body));
  assert(answer, "the connection ended without an answer");
  return { eventId, status: answer.status };
}

/** Bytes of segments in a partition of the node's spool. */
function bytesIn(node: NodeProcess, partition: string): number {
  const folder = `${node.folder}/spool/${partition}`;
  const segments = [...Deno.readDirSync(folder)].filter(({ name }) => name.endsWith(".seg"));
  return segments.reduce((sum, { name }) => sum + Deno.statSync(`${folder}/${name}`).size, 0);
}
