import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { METRIC_LAYOUT, METRICS } from "../../../src/telemetry/catalogue.ts";
import { Metrics } from "../../../src/telemetry/registry.ts";
import { StreamClient, type StreamRequest } from "../../../src/upstream/stream_client.ts";
import { UpstreamError } from "../../../src/upstream/upstream_error.ts";
import { FakeNetwork } from "../../support/fake_wire.ts";
import { ManualClock } from "../../support/manual_clock.ts";

const GET: StreamRequest = { method: "GET", path: "/api/x?y=1", headers: [["a", "1"]], body: null };
const NEVER = new AbortController().signal;
const encoder = new TextEncoder();

function fixture() {
  const clock = new ManualClock();
  const metrics = new Metrics(METRIC_LAYOUT);
  const network = new FakeNetwork();
  const client = new StreamClient({
    target: { scheme: "http", hostname: "upstream.test", port: 80, hostHeader: null },
    clock,
    metrics,
    connectTimeoutMs: 3000,
    timeoutMs: 5000,
    readerTimeoutMs: 7000,
    headBytesMax: 1024,
    dial: network.dial,
  });
  return { client, clock, metrics, network };
}

/** A body that yields what it is given, and says when it was given up. */
function source(bytes: number | null = null) {
  const pieces: PromiseWithResolvers<string | null>[] = [];
  const at = (index: number) => pieces[index] ??= Promise.withResolvers<string | null>();
  const state = { ended: false };
  const chunks = (async function* () {
    try {
      for (let index = 0;; index++) {
        const piece = await at(index).promise;
        if (piece === null) return;
        yield encoder.encode(piece);
      }
    } finally {
      state.ended = true;
    }
  })();
  let next = 0;
  return { body: { bytes, chunks }, give: (piece: string | null) => at(next++).resolve(piece), state };
}

const failed = (promise: Promise<unknown>) => assertRejects(() => promise, UpstreamError);

Deno.test("StreamClient.send: one request on a connection of its own, which ends with the answer", async () => {
  const { client, clock, metrics, network } = fixture();
  const sending = client.send(GET, NEVER);
  await clock.advance(0);
  assertEquals(
    network.last.written,
    "GET /api/x?y=1 HTTP/1.1\r\nHost: upstream.test\r\nConnection: close\r\na: 1\r\n\r\n",
  );
  network.last.send("HTTP/1.1 200 OK\r\nB: 2\r\nContent-Length: 4\r\n\r\nab");
  const { status, fields, body } = await sending;
  assertEquals([status, fields], [200, ["b", "2", "content-length", "4"]]);
  assertEquals([client.inFlight, metrics.read(METRICS.upstreamConnections)], [1, 1]);
  network.last.send("cd");
  assertEquals(await new Response(body).text(), "abcd");
  assert(network.last.isClosed);
  assertEquals([client.inFlight, metrics.read(METRICS.upstreamConnections), clock.pending], [0, 0, 0]);
  assertEquals(metrics.read(METRICS.upstreamConnects, "ok"), 1);
});

Deno.test("StreamClient.send: bodies of known length go out as they are, others in chunks", async () => {
  for (const bytes of [5, null]) {
    const { client, clock, network } = fixture();
    const { body, give } = source(bytes);
    const sending = client.send({ ...GET, method: "POST", body }, NEVER);
    for (const piece of ["abc", "", "de", null]) give(piece), await clock.advance(0);
    const expected = bytes === null
      ? "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
      : "Content-Length: 5\r\n\r\nabcde";
    assertStringIncludes(network.last.written, `\r\n${expected}`);
    network.last.send("HTTP/1.1 204 No Content\r\n\r\n");
    assertEquals((await sending).body, null);
    assertEquals([client.inFlight, clock.pending], [0, 0]);
  }
});

Deno.test("StreamClient.send: a sender may take its time, the upstream may not", async () => {
  const { client, clock, network } = fixture();
  const { body, give, state } = source();
  const sending = failed(client.send({ ...GET, method: "PUT", body }, NEVER));
  await clock.advance(60_000);
  give("abc");
  await clock.advance(60_000);
  give(null);
  await clock.advance(4999);
  assertEquals(client.inFlight, 1);
  await clock.advance(1);
  const error = await sending;
  assertEquals([error.kind, error.message], ["timeout", "Timed out waiting for the answer"]);
  assertEquals([state.ended, client.inFlight, clock.pending, network.last.isClosed], [true, 0, 0, true]);
});

Deno.test("StreamClient.send: an upstream that takes nothing is given up", async () => {
  const { client, clock, network } = fixture();
  const { body, give } = source(6);
  const sending = failed(client.send({ ...GET, method: "POST", body }, NEVER));
  await clock.advance(0);
  network.last.stalls = true;
  give("abcdef");
  await clock.advance(4999);
  assertEquals(client.inFlight, 1);
  await clock.advance(1);
  assertEquals((await sending).message, "Timed out waiting for the upstream to take the request");
  assertEquals([client.inFlight, clock.pending, network.last.isClosed], [0, 0, true]);
});

Deno.test("StreamClient.send: an answer before the end of the request ends the request", async () => {
  const { client, clock, network } = fixture();
  const { body, give, state } = source(10);
  const sending = client.send({ ...GET, method: "POST", body }, NEVER);
  give("abc");
  await clock.advance(0);
  network.last.send("HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n");
  const answer = await sending;
  assertEquals([answer.status, await new Response(answer.body).text()], [413, ""]);
  give("def");
  await clock.advance(0);
  assertEquals(state.ended, true);
  assert(network.last.written.endsWith("abc"));
  assertEquals([client.inFlight, clock.pending], [0, 0]);
});

Deno.test("StreamClient.send: an answer sent before the connection broke is heard, a missing one is not awaited long", async () => {
  for (const isAnswered of [true, false]) {
    const { client, clock, network } = fixture();
    const { body, give } = source(6);
    const sending = client.send({ ...GET, method: "POST", body }, NEVER);
    give("abc");
    await clock.advance(0);
    network.last.writeError = new Error("broken pipe");
    give("def");
    await clock.advance(0);
    if (isAnswered) {
      network.last.send("HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n");
      const answer = await sending;
      assertEquals(answer.status, 403);
      await answer.body?.cancel();
    } else {
      const error = failed(sending);
      await clock.advance(1000);
      assertEquals((await error).kind, "write");
    }
    assertEquals([client.inFlight, clock.pending], [0, 0]);
  }
});

Deno.test("StreamClient.send: what reading the request's body throws is thrown", async () => {
  const { client, clock, network } = fixture();
  const chunks = (async function* () {
    yield encoder.encode("abc");
    throw new RangeError("too much");
  })();
  await assertRejects(
    () => client.send({ ...GET, method: "POST", body: { bytes: null, chunks } }, NEVER),
    RangeError,
  );
  assert(network.last.isClosed && !network.last.written.endsWith("0\r\n\r\n"));
  assertEquals([client.inFlight, clock.pending], [0, 0]);
});

Deno.test("StreamClient.send: gives up connecting after its timeout, and when the upstream refuses", async () => {
  const { client, clock, metrics, network } = fixture();
  network.stalls = true;
  const late = failed(client.send(GET, NEVER));
  await clock.advance(3000);
  assertEquals((await late).kind, "timeout");
  network.stalls = false;
  network.error = new UpstreamError("connect", "refused");
  assertEquals((await failed(client.send(GET, NEVER))).kind, "connect");
  assertEquals([metrics.read(METRICS.upstreamConnects, "error"), client.inFlight, clock.pending], [2, 0, 0]);
});

Deno.test("StreamClient.send: the signal and close end everything, at any point", async () => {
  for (const how of ["signal", "close"] as const) {
    for (const point of ["dialling", "waiting", "answering"] as const) {
      const { client, clock, network } = fixture();
      network.stalls = point === "dialling";
      const abort = new AbortController();
      const sending = client.send(GET, abort.signal);
      const ending = point === "answering"
        ? sending.then(({ body }) => failed(new Response(body).text()))
        : failed(sending);
      await clock.advance(0);
      if (point === "answering") network.last.send("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\na");
      await clock.advance(0);
      if (how === "signal") abort.abort();
      else client.close();
      assertEquals((await ending).kind, "aborted", point);
      assertEquals([client.inFlight, clock.pending], [0, 0]);
    }
  }
  const { client, network } = fixture();
  assertEquals((await failed(client.send(GET, AbortSignal.abort()))).kind, "aborted");
  assertEquals(network.wires.length, 0);
});

Deno.test("StreamClient: an answer that stops, breaks off or is not read ends as a failure", async () => {
  const rows = [
    ["stops", "timeout", 5000],
    ["breaks off", "reset", 0],
    ["is not read", "timeout", 7000],
  ] as const;
  for (const [name, kind, ms] of rows) {
    const { client, clock, network } = fixture();
    const sending = client.send(GET, NEVER);
    await clock.advance(0);
    network.last.send("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc");
    const reader = (await sending).body!.getReader();
    assertEquals((await reader.read()).value, encoder.encode("abc"));
    if (name === "breaks off") network.last.send(null);
    const ended = name === "is not read" ? failed(reader.closed) : failed(reader.read());
    await clock.advance(ms);
    assertEquals((await ended).kind, kind, name);
    await reader.closed.catch(() => {});
    assertEquals([client.inFlight, clock.pending], [0, 0]);
  }
});

Deno.test("StreamClient: a cancelled answer closes its connection", async () => {
  const { client, clock, network } = fixture();
  const sending = client.send({ ...GET, method: "DELETE" }, NEVER);
  await clock.advance(0);
  network.last.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n");
  await (await sending).body!.cancel();
  assert(network.last.isClosed);
  assertEquals([client.inFlight, clock.pending], [0, 0]);
});
