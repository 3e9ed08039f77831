/** The client against real sockets: what the fake ones of `http_client_test.ts` cannot show. */
import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { systemClock } from "../../../src/core/clock.ts";
import { METRIC_LAYOUT } from "../../../src/telemetry/catalogue.ts";
import { Metrics } from "../../../src/telemetry/registry.ts";
import { upstreamTarget } from "../../../src/upstream/dial.ts";
import {
  type ClientRequest,
  HttpClient,
  type HttpClientOptions,
  UpstreamError,
} from "../../../src/upstream/http_client.ts";
import { IdleLimit } from "../../../src/upstream/idle_limit.ts";
import { type Behaviour, ScriptedUpstream } from "../../support/scripted_upstream.ts";
import { TEST_CERTIFICATE, TEST_KEY, TEST_ROOT } from "../../support/test_certificate.ts";

const KEY = "9ec79c33ec9942ab8353589fcb2e04dc";

function clientOf(url: string, options: Partial<HttpClientOptions> = {}): HttpClient {
  return new HttpClient({
    target: upstreamTarget(url, null),
    clock: systemClock,
    metrics: new Metrics(METRIC_LAYOUT),
    connectTimeoutMs: 5000,
    totalTimeoutMs: 5000,
    idleTimeoutMs: 5000,
    connectionsMax: 4,
    headBytesMax: 16 * 1024,
    bodyBytesMax: 1024 * 1024,
    ...options,
  });
}

function requestOf(padding = 0): ClientRequest {
  const item = `{"type":"event","length":${padding + 2}}\n{${" ".repeat(padding)}}\n`;
  return {
    method: "POST",
    path: "/api/1/envelope/",
    headers: [
      ["Content-Type", "application/x-sentry-envelope"],
      ["X-Sentry-Auth", `Sentry sentry_key=${KEY}, sentry_version=7`],
    ],
    body: new TextEncoder().encode(`{"event_id":"${KEY}"}\n${item}`),
  };
}

for (const tls of [false, true]) {
  Deno.test(`HttpClient sends small and large bodies over one ${tls ? "TLS" : "plain"} connection`, async () => {
    await using upstream = ScriptedUpstream.start({ tls });
    const client = clientOf(upstream.url, { caCerts: [TEST_ROOT] });
    for (const padding of [0, 1200, 200_000, 3_000_000]) {
      const response = await client.send(requestOf(padding));
      assertEquals(response.status, 200);
      assertEquals(new TextDecoder().decode(response.body), `{"id":"${KEY}"}`);
      assertEquals(upstream.requests.at(-1)!.items[0]!.payload.length, padding + 2);
    }
    assertEquals(upstream.connections, 1);
    client.close();
  });
}

Deno.test("HttpClient reports an untrusted certificate and a missing TLS server as tls", async () => {
  await using tls = ScriptedUpstream.start({ tls: true });
  const untrusting = clientOf(tls.url);
  assertEquals((await assertRejects(() => untrusting.send(requestOf()), UpstreamError)).kind, "tls");
  untrusting.close();
  using plain = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const accepted = plain.accept().then(async (conn) => {
    await conn.write(new TextEncoder().encode("220 not TLS\r\n"));
    return conn;
  });
  const client = clientOf(`https://localhost:${plain.addr.port}`);
  assertEquals((await assertRejects(() => client.send(requestOf()), UpstreamError)).kind, "tls");
  (await accepted).close();
  client.close();
});

Deno.test("HttpClient refuses a certificate for another name", async () => {
  using other = Deno.listenTls({ hostname: "127.0.0.2", port: 0, cert: TEST_CERTIFICATE, key: TEST_KEY });
  const accepted = other.accept().then((conn) => conn.read(new Uint8Array(1)).catch(() => conn.close()));
  const client = clientOf(`https://127.0.0.2:${other.addr.port}`, { caCerts: [TEST_ROOT] });
  const error = await assertRejects(() => client.send(requestOf()), UpstreamError);
  assertEquals(error.kind, "tls");
  assertStringIncludes(error.message, "127.0.0.2");
  await accepted;
  client.close();
});

Deno.test("HttpClient reports a refused connection as connect", async () => {
  const upstream = ScriptedUpstream.start();
  await upstream.close();
  const client = clientOf(upstream.url);
  const error = await assertRejects(() => client.send(requestOf()), UpstreamError);
  assertEquals(error.kind, "connect");
  assertStringIncludes(error.message, `127.0.0.1:${upstream.port}`);
  client.close();
});

Deno.test("HttpClient gives up a TLS handshake that nobody answers", async () => {
  using silent = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const client = clientOf(`https://localhost:${silent.addr.port}`, { connectTimeoutMs: 50 });
  assertEquals((await assertRejects(() => client.send(requestOf()), UpstreamError)).kind, "timeout");
  (await silent.accept()).close();
  client.close();
});

const FAILURES: readonly (readonly [string, Behaviour, string])[] = [
  ["no answer", { blackHole: true }, "timeout"],
  ["a slow answer", { delayMs: 60_000 }, "timeout"],
  ["half a body", { partialBody: 5 }, "reset"],
  ["half a chunked body", { partialBody: 5, chunked: true }, "reset"],
  ["garbage", { garbage: "\x15\x03\x01\x00\x02\x02\x50" }, "protocol"],
  ["nothing at all", { garbage: "" }, "reset"],
];

for (const [name, behaviour, kind] of FAILURES) {
  Deno.test(`HttpClient fails with ${kind} on ${name} and succeeds afterwards`, async () => {
    await using upstream = ScriptedUpstream.start();
    const client = clientOf(upstream.url, { totalTimeoutMs: 300 });
    upstream.script({}, behaviour);
    await client.send(requestOf());
    const failed = await assertRejects(() => client.send(requestOf()), UpstreamError).catch(() => null);
    // On a reused connection an end without a byte is taken for a stale one and tried again.
    if (name === "nothing at all") assertEquals(failed, null);
    else assertEquals(failed?.kind, kind);
    assertEquals((await client.send(requestOf())).status, 200);
    client.close();
  });
}

Deno.test("HttpClient reports a connection that is reset while the body is written", async () => {
  await using upstream = ScriptedUpstream.start();
  const client = clientOf(upstream.url);
  upstream.script({ resetAfterBytes: 1000 });
  const error = await assertRejects(() => client.send(requestOf(4_000_000)), UpstreamError);
  assert(["write", "reset"].includes(error.kind), error.kind);
  assertEquals((await client.send(requestOf())).status, 200);
  client.close();
});

Deno.test("HttpClient reads an answer that comes before a small body was read", async () => {
  await using upstream = ScriptedUpstream.start();
  const client = clientOf(upstream.url);
  upstream.script({ early: true, status: 413 });
  assertEquals((await client.send(requestOf(1000))).status, 413);
  assertEquals((await client.send(requestOf())).status, 200);
  client.close();
});

const ENDS: readonly (readonly [string, Behaviour])[] = [
  ["closes it unannounced", { closeAfterAnswer: true }],
  ["ends its side alone", { halfClose: true }],
];

for (const [name, behaviour] of ENDS) {
  Deno.test(`HttpClient notices while idle when the upstream ${name}`, async () => {
    await using upstream = ScriptedUpstream.start();
    const client = clientOf(upstream.url);
    upstream.script(behaviour);
    await client.send(requestOf());
    await upstream.until(() => upstream.openConnections === 0);
    while (client.connections.open > 0) await systemClock.sleep(1);
    assertEquals((await client.send(requestOf())).status, 200);
    assertEquals(upstream.connections, 2);
    client.close();
  });
}

Deno.test("HttpClient goes on after the upstream was restarted", async () => {
  await using upstream = ScriptedUpstream.start();
  const client = clientOf(upstream.url);
  await Promise.all([1, 2, 3].map(() => client.send(requestOf())));
  await upstream.down();
  upstream.up();
  const statuses = await Promise.all([1, 2, 3].map(async () => (await client.send(requestOf())).status));
  assertEquals(statuses, [200, 200, 200]);
  client.close();
});

Deno.test("HttpClient gives an idle connection up before the upstream does that announces when", async () => {
  await using upstream = ScriptedUpstream.start();
  const client = clientOf(upstream.url);
  // A second is too short to be sure of the last moment.
  upstream.behave({ headers: { "Keep-Alive": "timeout=1" } });
  await client.send(requestOf());
  assertEquals(client.connections.open, 0);
  upstream.behave({ headers: { "Keep-Alive": "timeout=2" } });
  await client.send(requestOf());
  await client.send(requestOf());
  assertEquals(upstream.connections, 2);
  await upstream.until(() => upstream.openConnections === 0);
  assertEquals(client.connections.open, 0);
  assertEquals((await client.send(requestOf())).status, 200);
  assertEquals(upstream.connections, 3);
  client.close();
});

Deno.test("HttpClient learns from a connection that was closed while it idled", async () => {
  await using upstream = ScriptedUpstream.start();
  const idle = new IdleLimit(60_000);
  const client = clientOf(upstream.url, { idle, idleTimeoutMs: 60_000 });
  await client.send(requestOf());
  const startMs = systemClock.monotonic();
  await systemClock.sleep(400);
  upstream.dropConnections();
  while (client.connections.open > 0) await systemClock.sleep(1);
  const idledMs = systemClock.monotonic() - startMs;
  const learnedMs = idle.ms(systemClock.monotonic());
  assert(learnedMs < idledMs, `${learnedMs} of ${idledMs}`);
  // From now on it is the client that closes, long before its own limit.
  await client.send(requestOf());
  await upstream.until(() => upstream.openConnections === 0);
  assertEquals(upstream.connections, 2);
  client.close();
});
