import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { METRICS } from "../../../src/telemetry/catalogue.ts";
import { clientFixture, failure, OK, REQUEST } from "../../support/client_fixture.ts";
import type { FakeWire } from "../../support/fake_wire.ts";

Deno.test("HttpClient sends head and body in one write and reads the answer", async () => {
  const { client, clock, network } = clientFixture();
  const sent = client.send(REQUEST);
  await clock.advance(0);
  assertEquals(
    network.last.written,
    "POST /api/1/envelope/ HTTP/1.1\r\nHost: upstream.test\r\nX-A: b\r\nContent-Length: 5\r\n\r\nhello",
  );
  assertEquals(network.last.writes, 1);
  network.last.send(
    "HTTP/1.1 429 Slow down\r\nRetry-After: 1\r\nA: b\r\nA: c\r\nContent-Length: 2\r\n\r\nno",
  );
  const response = await sent;
  assertEquals([response.status, response.header("retry-after"), response.header("a")], [429, "1", "b, c"]);
  assertEquals(response.header("b"), null);
  assertEquals(new TextDecoder().decode(response.body), "no");
  client.close();
});

Deno.test("HttpClient sends no Content-Length without a body", async () => {
  const { client, clock, network } = clientFixture();
  const sent = client.send({ method: "GET", path: "/live/", headers: [], body: null });
  await clock.advance(0);
  assertEquals(network.last.written, "GET /live/ HTTP/1.1\r\nHost: upstream.test\r\n\r\n");
  network.last.send(OK);
  await sent;
  client.close();
});

Deno.test("HttpClient replaces what cannot stand in a header value", async () => {
  const { client, clock, network } = clientFixture();
  const headers = [["User-Agent", "a\r\nX-Evil: 1\0b\u{1f600}é"]] as const;
  const sent = client.send({ ...REQUEST, headers });
  await clock.advance(0);
  assertStringIncludes(network.last.written, "User-Agent: a  X-Evil: 1 b  é\r\nContent-Length");
  network.last.send(OK);
  await sent;
  client.close();
});

const HOSTS = [
  ["http", "a.test", 80, null, "a.test"],
  ["https", "a.test", 443, null, "a.test"],
  ["https", "a.test", 80, null, "a.test:80"],
  ["http", "::1", 9000, null, "[::1]:9000"],
  ["http", "a.test", 9000, "b.test", "b.test"],
] as const;

for (const [scheme, hostname, port, hostHeader, expected] of HOSTS) {
  Deno.test(`HttpClient sends Host ${expected} to ${scheme}://${hostname}:${port} (${hostHeader})`, async () => {
    const { client, clock, network } = clientFixture({ target: { scheme, hostname, port, hostHeader } });
    const sent = client.send(REQUEST);
    await clock.advance(0);
    assertStringIncludes(network.last.written, `\r\nHost: ${expected}\r\n`);
    client.close();
    await failure(sent);
  });
}

Deno.test("HttpClient writes a large body after the head, in pieces, and completely", async () => {
  const { client, clock, network } = clientFixture();
  const body = new Uint8Array(600_000).fill(97);
  const sent = client.send({ ...REQUEST, body });
  await clock.advance(0);
  assertEquals(network.last.writes, 4);
  assert(network.last.written.endsWith(`Content-Length: 600000\r\n\r\n${"a".repeat(600_000)}`));
  network.last.send(OK);
  await sent;
  client.close();
});

Deno.test("HttpClient uses the connection again that was used last", async () => {
  const { client, clock, network, metrics } = clientFixture();
  const both = [client.send(REQUEST), client.send(REQUEST)];
  await clock.advance(0);
  const [first, second] = network.wires as [FakeWire, FakeWire];
  second.send(OK);
  await both[1];
  first.send(OK);
  await both[0];
  assertEquals(client.connections, { open: 2, idle: 2 });
  const third = client.send(REQUEST);
  await clock.advance(0);
  assertEquals([first.writes, second.writes], [2, 1]);
  first.send(OK);
  await third;
  assertEquals(metrics.read(METRICS.upstreamConnects, "ok"), 2);
  assertEquals(metrics.read(METRICS.upstreamConnections), 2);
  client.close();
  assertEquals(metrics.read(METRICS.upstreamConnections), 0);
  assertEquals(clock.pending, 0);
});

Deno.test("HttpClient opens no more than connectionsMax connections and serves waiting requests in order", async () => {
  const { client, clock, network } = clientFixture();
  const ended: number[] = [];
  const all = [0, 1, 2, 3].map((i) => client.send(REQUEST).then(() => ended.push(i)));
  await clock.advance(0);
  const [first, second] = network.wires as [FakeWire, FakeWire];
  for (const wire of [second, second, first, second]) {
    wire.send(OK);
    await clock.advance(0);
  }
  assertEquals(network.wires.length, 2);
  await Promise.all(all);
  assertEquals(ended, [1, 2, 0, 3]);
  client.close();
});

const NOT_REUSED = [
  ["an answer that closes", "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"],
  ["an HTTP/1.0 answer", "HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n"],
  ["surplus bytes", `${OK}x`],
  [
    "an idle time that is over at once",
    "HTTP/1.1 200 OK\r\nKeep-Alive: timeout=1\r\nContent-Length: 0\r\n\r\n",
  ],
] as const;

for (const [name, answer] of NOT_REUSED) {
  Deno.test(`HttpClient closes a connection after ${name}`, async () => {
    const { client, succeed } = clientFixture();
    const wire = await succeed(answer);
    assert(wire.isClosed);
    assertEquals(client.connections, { open: 0, idle: 0 });
    client.close();
  });
}

Deno.test("HttpClient ends an answer without framing at the end of the stream", async () => {
  const { client, clock, network } = clientFixture();
  const sent = client.send(REQUEST);
  await clock.advance(0);
  network.last.send("HTTP/1.1 200 OK\r\n\r\nall");
  network.last.send(null);
  assertEquals(new TextDecoder().decode((await sent).body), "all");
  client.close();
});

Deno.test("HttpClient closes an idle connection after the idle time, or earlier if the upstream announced so", async () => {
  const { clock, succeed } = clientFixture();
  const plain = await succeed();
  await clock.advance(9900);
  assert(!plain.isClosed);
  await clock.advance(200);
  assert(plain.isClosed);
  const announced = await succeed(
    "HTTP/1.1 200 OK\r\nKeep-Alive: timeout=5, max=9\r\nContent-Length: 0\r\n\r\n",
  );
  await clock.advance(3900);
  assert(!announced.isClosed);
  await clock.advance(200);
  assert(announced.isClosed);
  assertEquals(clock.pending, 0);
});

for (const what of [null, "HTTP/1.1 408 Request Timeout\r\n\r\n", new Error("reset")]) {
  Deno.test(`HttpClient closes an idle connection at once when it sees ${what}`, async () => {
    const { client, clock, succeed } = clientFixture();
    const wire = await succeed();
    wire.send(what);
    await clock.advance(0);
    assert(wire.isClosed);
    assertEquals(client.connections, { open: 0, idle: 0 });
  });
}

const STALE = [
  ["ends", (wire: FakeWire) => wire.send(null)],
  ["is reset", (wire: FakeWire) => wire.send(new Error("Connection reset by peer"))],
  ["answers 408", (wire: FakeWire) => wire.send("HTTP/1.1 408 Timeout\r\nContent-Length: 0\r\n\r\n")],
] as const;

for (const [name, leave] of STALE) {
  Deno.test(`HttpClient sends again on a fresh connection when a reused one ${name}`, async () => {
    const { client, clock, network, succeed } = clientFixture();
    const stale = await succeed();
    const sent = client.send(REQUEST);
    await clock.advance(0);
    assertEquals(stale.writes, 2);
    leave(stale);
    await clock.advance(0);
    assertEquals(network.wires.length, 2);
    network.last.send(OK);
    assertEquals((await sent).status, 200);
    client.close();
  });
}

Deno.test("HttpClient sends again when a reused connection cannot be written to any more", async () => {
  const { client, clock, network, succeed } = clientFixture();
  const stale = await succeed();
  stale.writeError = new Error("Broken pipe");
  const sent = client.send(REQUEST);
  await clock.advance(0);
  stale.send(new Error("Connection reset by peer"));
  await clock.advance(0);
  network.last.send(OK);
  assertEquals((await sent).status, 200);
  assertEquals(network.wires.length, 2);
  client.close();
});

Deno.test("HttpClient does not send again when the fresh connection breaks, too", async () => {
  const { client, clock, network, succeed } = clientFixture();
  const stale = await succeed();
  const sent = client.send(REQUEST);
  await clock.advance(0);
  stale.send(null);
  await clock.advance(0);
  network.last.send(null);
  assertEquals((await failure(sent)).kind, "reset");
  assertEquals(network.wires.length, 2);
  client.close();
});

Deno.test("HttpClient does not send again once a byte of the answer has arrived", async () => {
  const { client, clock, network, succeed } = clientFixture();
  const wire = await succeed();
  const sent = client.send(REQUEST);
  await clock.advance(0);
  wire.send("HTTP/1.1 2");
  wire.send(null);
  assertEquals((await failure(sent)).kind, "reset");
  assertEquals(network.wires.length, 1);
  client.close();
});

Deno.test("HttpClient makes room for the fresh connection by closing an idle one", async () => {
  const { client, clock, network } = clientFixture();
  const both = [client.send(REQUEST), client.send(REQUEST)];
  await clock.advance(0);
  for (const wire of network.wires) wire.send(OK);
  await Promise.all(both);
  const sent = client.send(REQUEST);
  await clock.advance(0);
  const used = network.wires.find((wire) => wire.writes === 2)!;
  used.send("HTTP/1.1 408 Timeout\r\nContent-Length: 0\r\n\r\n");
  await clock.advance(0);
  assertEquals(
    network.wires.map((wire) => wire.isClosed),
    used === network.wires[0] ? [false, true, false] : [true, false, false],
  );
  network.last.send(OK);
  assertEquals((await sent).status, 200);
  client.close();
});

Deno.test("HttpClient reads an answer that was sent before the body could be written", async () => {
  const { client, clock, network } = clientFixture();
  const sent = client.send(REQUEST);
  network.last.writeError = new Error("Broken pipe");
  await clock.advance(0);
  network.last.send("HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n");
  assertEquals((await sent).status, 413);
  assert(network.last.isClosed);
  client.close();
});

Deno.test("HttpClient reads an answer while the body is still being written, and closes", async () => {
  const { client, clock, network } = clientFixture();
  const sent = client.send(REQUEST);
  network.last.stalls = true;
  await clock.advance(0);
  network.last.send("HTTP/1.1 429 No\r\nContent-Length: 0\r\n\r\n");
  assertEquals((await sent).status, 429);
  assert(network.last.isClosed);
  client.close();
});

Deno.test("HttpClient waits a second for an answer when the request cannot be written", async () => {
  const { client, clock, network } = clientFixture();
  const failed = failure(client.send(REQUEST));
  network.last.writeError = new Error("Broken pipe");
  await clock.advance(1100);
  assertEquals((await failed).kind, "write");
  client.close();
});
