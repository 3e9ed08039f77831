import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { METRICS } from "../../../src/telemetry/catalogue.ts";
import { UpstreamError } from "../../../src/upstream/upstream_error.ts";
import { clientFixture, failure, OK, REQUEST } from "../../support/client_fixture.ts";
import type { FakeWire } from "../../support/fake_wire.ts";

Deno.test("HttpClient gives up connecting after the connect timeout", async () => {
  const { client, clock, network, metrics } = clientFixture();
  network.stalls = true;
  const failed = failure(client.send(REQUEST));
  await clock.advance(2999);
  assertEquals(metrics.read(METRICS.upstreamConnects, "error"), 0);
  await clock.advance(1);
  assertStringIncludes((await failed).message, "connecting to upstream.test:80");
  assertEquals(metrics.read(METRICS.upstreamConnects, "error"), 1);
  assertEquals(clock.pending, 0);
});

Deno.test("HttpClient closes a stream that opens after it was given up", async () => {
  const opened = Promise.withResolvers<FakeWire>();
  const { client, clock, network } = clientFixture({ dial: () => opened.promise });
  const failed = failure(client.send(REQUEST));
  await clock.advance(3000);
  assertEquals((await failed).kind, "timeout");
  const late = await network.dial(
    { scheme: "http", hostname: "", port: 1, hostHeader: null },
    new AbortController().signal,
  );
  opened.resolve(late as FakeWire);
  await clock.advance(0);
  assert(network.last.isClosed);
  client.close();
});

const TIMEOUTS = [
  ["write", { writeTimeoutMs: 1000 }, "", true, 1000, "upstream to take the request"],
  ["first byte", { firstByteTimeoutMs: 2000 }, "", false, 2000, "answer"],
  ["total", {}, "", false, 5000, "answer"],
  [
    "total, inside the head",
    { firstByteTimeoutMs: 2000 },
    "HTTP/1.1 200 OK\r\n",
    false,
    5000,
    "rest of the answer",
  ],
  [
    "total, inside the body",
    {},
    "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no",
    false,
    5000,
    "rest of the answer",
  ],
] as const;

for (const [name, options, answer, stalls, ms, message] of TIMEOUTS) {
  Deno.test(`HttpClient enforces its timeout: ${name}`, async () => {
    const { client, clock, network } = clientFixture(options);
    const sent = client.send(REQUEST);
    network.last.stalls = stalls;
    let isEnded = false;
    const failed = failure(sent).finally(() => isEnded = true);
    await clock.advance(0);
    if (answer) network.last.send(answer);
    await clock.advance(ms - 1);
    assert(!isEnded);
    await clock.advance(101);
    const error = await failed;
    assertEquals(error.kind, "timeout");
    assertStringIncludes(error.message, message);
    assert(network.last.isClosed);
    assertEquals(client.connections.open, 0);
  });
}

Deno.test("HttpClient gives a large body more time", async () => {
  const { client, clock, network } = clientFixture();
  const sent = client.send({ ...REQUEST, body: new Uint8Array(640_000) });
  await clock.advance(14_500);
  network.last.send(OK);
  assertEquals((await sent).status, 200);
  client.close();
});

Deno.test("HttpClient gives up a request that gets no connection in time", async () => {
  const { client, clock } = clientFixture({ connectionsMax: 1, totalTimeoutMs: 5000 });
  const first = failure(client.send(REQUEST));
  await clock.advance(1000);
  const second = failure(client.send(REQUEST));
  await clock.advance(4000);
  assertEquals((await first).kind, "timeout");
  client.close();
  assertEquals((await second).kind, "aborted");
});

const BROKEN = [
  ["protocol", "garbage\r\n\r\n"],
  ["protocol", `HTTP/1.1 200 OK\r\nA: ${"x".repeat(2000)}\r\n\r\n`],
  ["too_large", "HTTP/1.1 429 No\r\nX-Sentry-Rate-Limits: 60::key\r\nContent-Length: 99999\r\n\r\n"],
  ["reset", null],
] as const;

for (const [kind, answer] of BROKEN) {
  Deno.test(`HttpClient fails with ${kind} and closes when the answer is ${JSON.stringify(answer)?.slice(0, 30)}`, async () => {
    const { client, clock, network } = clientFixture();
    const sent = client.send(REQUEST);
    await clock.advance(0);
    network.last.send(answer);
    const error = await failure(sent);
    assertEquals(error.kind, kind);
    assertEquals(
      error.response?.header("x-sentry-rate-limits"),
      kind === "too_large" ? "60::key" : undefined,
    );
    assert(network.last.isClosed);
    client.close();
  });
}

Deno.test("HttpClient passes the error of a connection that cannot be opened on", async () => {
  const { client, network } = clientFixture();
  network.error = new UpstreamError("connect", "refused");
  assertEquals((await failure(client.send(REQUEST))).message, "refused");
  network.error = null;
  const sent = failure(client.send(REQUEST));
  client.close();
  assertEquals((await sent).kind, "aborted");
});

Deno.test("HttpClient gives a request up when its signal aborts: connecting, waiting, answering or before", async () => {
  for (const phase of ["connecting", "waiting", "answering", "before"]) {
    const { client, clock, network } = clientFixture({ connectionsMax: 1 });
    const abort = new AbortController();
    network.stalls = phase === "connecting";
    const other = phase === "waiting" ? failure(client.send(REQUEST)) : null;
    if (phase === "before") abort.abort();
    const failed = failure(client.send(REQUEST, abort.signal));
    await clock.advance(0);
    abort.abort();
    assertEquals((await failed).kind, "aborted", phase);
    client.close();
    await other;
    assertEquals(clock.pending, 0);
  }
});

Deno.test("HttpClient.close gives up what is under way and refuses what comes later", async () => {
  const { client, clock, network } = clientFixture();
  const failed = [client.send(REQUEST), client.send(REQUEST), client.send(REQUEST)].map(failure);
  await clock.advance(0);
  client.close();
  for (const error of await Promise.all(failed)) assertEquals(error.kind, "aborted");
  assert(network.wires.every((wire) => wire.isClosed));
  assertEquals((await failure(client.send(REQUEST))).kind, "aborted");
  assertEquals(clock.pending, 0);
});
