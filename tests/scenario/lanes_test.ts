/** A node with two lanes: both serve, what one learns both know, and both are drained. */
import { assert, assertEquals } from "@std/assert";
import { NODE_ENGINE_IS_COMPLETE } from "../../src/listener/node_engine.ts";
import { EXPOSURES } from "../support/listener_fixture.ts";
import { NodeProcess, TEST_KEY } from "../support/node_process.ts";
import { bytesIn, deadLetterFiller, eventRequest, LaneClients, newEventId } from "../support/lane_clients.ts";
import { type RawHttp, rawRequest, requestBytes } from "../support/raw_http.ts";
import { RawUpstream } from "../support/raw_upstream.ts";
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

/** Bytes of dead letters that a node with two lanes may keep. */
const DEAD_BYTES_MAX = 256 * 1024;

Deno.test("two lanes: the dead letter of one has what the other leaves, and gives it back", async () => {
  await using upstream = ScriptedUpstream.start();
  upstream.behave({ status: 400 });
  const spool = { dead_letter_size: DEAD_BYTES_MAX };
  const config = { lanes: 2, spool, listener: { exposure: "load_balancer" }, logging: { level: "off" } };
  await using node = await NodeProcess.start({ upstream: upstream.url, config });
  using clients = await LaneClients.connect(node, 16);
  const { fill, dead } = deadLetterFiller({ node, upstream, clients, bytesMax: DEAD_BYTES_MAX });
  await fill(0, DEAD_BYTES_MAX * 0.9);
  await fill(1, DEAD_BYTES_MAX * 0.45);
  assert(dead(0) > DEAD_BYTES_MAX * 0.4, `${dead(0)}`);
});

Deno.test("two lanes: one passes on as many requests as the other leaves", async () => {
  let released = Promise.withResolvers<void>();
  await using upstream = new RawUpstream(async (call) => {
    if (call.path.includes("/projects/")) await released.promise;
    await call.answer(200, { Connection: "close" });
  });
  const config = {
    lanes: 2,
    limits: { max_concurrent_requests: 16 },
    http: { timeout: 60 },
    listener: { exposure: "load_balancer" },
  };
  await using node = await NodeProcess.start({ upstream: upstream.url, config });
  using clients = await LaneClients.connect(node, 64);
  const [busy, other] = [clients.of(0), clients.of(1)].toSorted((a, b) => b.length - a.length);
  const asked = (): number => upstream.calls.filter(({ path }) => path.includes("/projects/")).length;
  const ask = (client: RawHttp): Promise<void> => client.send(requestBytes("GET", "/api/0/projects/", {}));
  for (let round = 0; round < 2; round++) {
    // Two of the sixteen are the other lane's whatever happens.
    const before = asked();
    for (const client of busy!.slice(0, 14)) await ask(client);
    await until("fourteen are under way", () => asked() === before + 14);
    await ask(busy![14]!);
    assertEquals((await busy![14]!.response())?.status, 503);
    for (const client of other!.slice(0, 2)) await ask(client);
    await until("all are under way", () => asked() === before + 16);
    released.resolve();
    for (const client of [...busy!.slice(0, 14), ...other!.slice(0, 2)]) {
      assertEquals((await client.response())?.status, 200);
    }
    released = Promise.withResolvers();
  }
});

Deno.test("two lanes: a backlog in one has the whole upstream while the other has little to send", async () => {
  const released = Promise.withResolvers<void>();
  let envelopes = 0;
  await using upstream = new RawUpstream(async () => {});
  const listener = { exposure: "load_balancer" };
  const config = { lanes: 2, limits: { max_concurrent_requests: 16 }, http: { timeout: 60 }, listener };
  await using node = await NodeProcess.start({ upstream: upstream.url, config });
  using clients = await LaneClients.connect(node, 4);
  assert(clients.of(1).length < 6, "hardly anything waits in the other lane");
  const deep = clients.of(0)[0]!;
  for (let sent = 0; sent < 300; sent++) {
    await deep.send(eventRequest("hello"));
    assertEquals((await deep.response())?.status, 200);
  }
  await node.terminate();
  upstream.behave = async (call) => {
    // The first ones show how quick it is.
    if (call.path.includes("/envelope/") && ++envelopes > 40) await released.promise;
    await call.answer(200, { Connection: "close" });
  };
  await node.startAgain();
  try {
    await until("so many are under way as may be", () => upstream.open >= 14);
  } finally {
    released.resolve();
  }
  await until("everything arrives", () => envelopes >= 300);
});

/** Sends an event over a connection of its own. */
async function postAnew(port: number): Promise<{ eventId: string; status: number }> {
  const eventId = newEventId();
  const body = `{"event_id":"${eventId}"}\n{"type":"event"}\n{"message":"hello"}\n`;
  const path = `/api/1/envelope/?sentry_key=${TEST_KEY}`;
  const answer = await rawRequest(port, requestBytes("POST", path, { connection: "close" }, body));
  assert(answer, "the connection ended without an answer");
  return { eventId, status: answer.status };
}
