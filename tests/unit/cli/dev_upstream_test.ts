import { assertEquals, assertMatch } from "@std/assert";
import * as zlib from "node:zlib";
import { ManualClock } from "../../support/manual_clock.ts";
import { type ArrivedEnvelope, formatArrival, formatRequest } from "../../../src/cli/dev_envelope.ts";
import { DevUpstream, parseBehaviour } from "../../../src/cli/dev_upstream.ts";

const ID = "9ec79c33ec9942ab8353589fcb2e04dc";
const ENVELOPE =
  `{"event_id":"${ID}"}\n{"type":"event"}\n{"exception":{"values":[{"type":"KeyError","value":"a\\nb"}]}}\n` +
  '{"type":"attachment","length":3,"filename":"a"}\nabc\n';
const utf8 = new TextEncoder();

type Post = (
  path: string,
  body: BodyInit,
  headers?: Record<string, string>,
) => Promise<{ status: number; headers: Headers; text: string }>;

/** A development upstream, what it printed, and a client for it. */
function start(): AsyncDisposable & {
  url: string;
  clock: ManualClock;
  arrived: ArrivedEnvelope[];
  others: string[];
  post: Post;
} {
  const clock = new ManualClock();
  const arrived: ArrivedEnvelope[] = [];
  const others: string[] = [];
  const upstream = DevUpstream.start({
    port: 0,
    clock,
    onEnvelope: (envelope) => void arrived.push(envelope),
    onRequest: (request) => void others.push(formatRequest(request)),
  });
  const post: Post = async (path, body, headers = {}) => {
    const answer = await fetch(upstream.url + path, { method: "POST", body, headers });
    return { status: answer.status, headers: answer.headers, text: await answer.text() };
  };
  return { url: upstream.url, clock, arrived, others, post, [Symbol.asyncDispose]: () => upstream.close() };
}

Deno.test("DevUpstream takes envelopes in every content encoding and says what is in them", async () => {
  await using dev = start();
  const bodies: [string, Uint8Array][] = [
    ["identity", utf8.encode(ENVELOPE)],
    ["gzip", zlib.gzipSync(ENVELOPE)],
    ["deflate", zlib.deflateSync(ENVELOPE)],
    ["br", zlib.brotliCompressSync(ENVELOPE)],
  ];
  if ("zstdCompressSync" in zlib) bodies.push(["zstd", zlib.zstdCompressSync(ENVELOPE)]);
  for (const [encoding, body] of bodies) {
    const answer = await dev.post("/api/7/envelope/", new Uint8Array(body), { "content-encoding": encoding });
    assertEquals([answer.status, answer.text], [200, JSON.stringify({ id: ID })], encoding);
  }
  assertEquals(dev.arrived.length, bodies.length);
  for (const envelope of dev.arrived) {
    assertMatch(
      formatArrival(envelope),
      new RegExp(
        `^\\d\\d:\\d\\d:\\d\\d\\.\\d{3}  project 7  event \\d+ B \\+ attachment 3 B  ${ID}  KeyError: a b$`,
      ),
    );
  }
});

Deno.test("DevUpstream takes store requests and anything else under /api/", async () => {
  await using dev = start();
  assertEquals((await dev.post("/api/1/store/", `{"event_id":"${ID}","message":"hi"}`)).status, 200);
  assertEquals(dev.arrived[0]?.message, "hi");
  assertEquals((await dev.post("/api/0/relays/projectconfigs/", "{}")).text, "{}");
  const live = await fetch(`${dev.url}/api/0/relays/live/`);
  assertEquals([live.status, await live.text()], [200, "{}"]);
});

Deno.test("DevUpstream shows what it cannot read instead of refusing it", async () => {
  await using dev = start();
  assertEquals((await dev.post("/api/1/envelope/", "no envelope")).status, 200);
  assertMatch(formatArrival(dev.arrived[0]!), /no items {2}- {2}cannot be read: /);
});

Deno.test("DevUpstream lists what arrived last", async () => {
  await using dev = start();
  await dev.post("/api/1/envelope/", ENVELOPE);
  const list = await (await fetch(`${dev.url}/dev/envelopes`)).json();
  assertEquals(list.length, 1);
  assertEquals(list[0].items, [{ type: "event", bytes: 61 }, { type: "attachment", bytes: 3 }]);
});

Deno.test("DevUpstream told to be down answers 503 to everything until it is told to be normal", async () => {
  await using dev = start();
  await dev.post("/dev/behave", '{"mode":"down"}');
  assertEquals((await dev.post("/api/1/envelope/", ENVELOPE)).status, 503);
  const live = await fetch(`${dev.url}/api/0/relays/live/`);
  assertEquals([live.status, await live.text()], [503, ""]);
  await dev.post("/dev/behave", '{"mode":"normal"}');
  assertEquals((await dev.post("/api/1/envelope/", ENVELOPE)).status, 200);
  assertEquals(dev.arrived.map((envelope) => formatArrival(envelope).includes("[answered 503]")), [
    true,
    false,
  ]);
});

Deno.test("DevUpstream told to be limited refuses the categories named, with the header that says so", async () => {
  await using dev = start();
  await dev.post("/dev/behave", '{"mode":"limited","categories":["error"]}');
  const refused = await dev.post("/api/1/envelope/", ENVELOPE);
  assertEquals(refused.status, 429);
  assertEquals(refused.headers.get("x-sentry-rate-limits"), "10:error:organization:dev_upstream");
  const session = '{}\n{"type":"session"}\n{"status":"ok"}\n';
  assertEquals((await dev.post("/api/1/envelope/", session)).status, 200);
});

Deno.test("DevUpstream told to be slow answers after the delay", async () => {
  await using dev = start();
  await dev.post("/dev/behave", '{"mode":"slow","delayMs":500}');
  const answer = dev.post("/api/1/envelope/", ENVELOPE);
  while (dev.clock.pending === 0) await new Promise((resolve) => setTimeout(resolve, 1));
  assertEquals(dev.arrived.length, 0);
  await dev.clock.advance(500);
  assertEquals((await answer).status, 200);
});

Deno.test("parseBehaviour explains what it does not understand", () => {
  assertEquals(parseBehaviour('{"mode":"slow"}'), { mode: "slow", delayMs: 3000 });
  assertEquals(parseBehaviour('{"mode":"limited"}'), { mode: "limited", categories: [] });
  for (
    const text of [
      "",
      "null",
      "[]",
      '{"mode":"odd"}',
      '{"mode":"slow","delayMs":-1}',
      '{"mode":"limited","categories":["odd"]}',
    ]
  ) {
    assertEquals(typeof parseBehaviour(text), "string", text);
  }
});

Deno.test("DevUpstream tells of requests without an envelope, but not of probes", async () => {
  await using dev = start();
  await dev.post("/api/1/integration/otlp/v1/logs", "{}", { "content-type": "application/json" });
  const probe = await fetch(`${dev.url}/api/0/relays/live/`);
  await probe.body?.cancel();
  assertEquals(dev.others.map((line) => line.slice(14)), [
    "POST  /api/1/integration/otlp/v1/logs  application/json  2 B",
  ]);
});
