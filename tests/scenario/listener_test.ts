/** How a listener behaves over time, the same over both engines unless a name says otherwise. */
import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import * as zlib from "node:zlib";
import fc from "fast-check";
import { CidrSet } from "../../src/core/cidr.ts";
import { concatBytes } from "../../src/core/bytes.ts";
import { NODE_ENGINE_IS_COMPLETE } from "../../src/listener/node_engine.ts";
import type { RateLimit } from "../../src/protocol/rate_limit.ts";
import { RequestError } from "../../src/protocol/request_error.ts";
import { METRICS } from "../../src/telemetry/catalogue.ts";
import { AUTH, EXPOSURES, KEY, startListener } from "../support/listener_fixture.ts";
import { RawHttp, rawRequest, requestBytes } from "../support/raw_http.ts";

const ID = "9ec79c33ec9942ab8353589fcb2e04dc";
const EVENT = `{"event_id":"${ID}"}\n{"type":"event","length":2}\n{}\n`;
const PATH = `/api/42/envelope/?${AUTH}`;
const LIVE = "/api/relay/healthcheck/live/";

const text = (chunks: readonly Uint8Array[]) => new TextDecoder().decode(concatBytes(chunks));
const post = (url: string, body: string | Uint8Array, headers: Record<string, string> = {}) =>
  fetch(url + PATH, { method: "POST", body: body as BodyInit, headers });

/** Resolves once `condition` holds. */
async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 2));
}

for (const exposure of EXPOSURES) {
  Deno.test(`${exposure}: a submission carries the request and the body as received: section 6.1`, async () => {
    await using fixture = await startListener({ exposure, trustedProxies: CidrSet.parse(["127.0.0.0/8"]) });
    const body = new Uint8Array(zlib.gzipSync(EVENT));
    const headers = {
      "content-encoding": "gzip",
      "user-agent": "agent/1",
      "origin": "http://a.example",
      "x-forwarded-for": "203.0.113.7",
      "sec-ch-ua": '"Chromium";v="150"',
      "sec-ch-ua-platform": '"Linux"',
    };
    const answer = await post(fixture.url, body, headers);
    assertEquals(await answer.text(), `{"id":"${ID}"}`);
    const { meta, envelope, body: stored } = fixture.ingress.take();
    assertEquals(meta, {
      projectId: "42",
      key: KEY,
      version: 7,
      client: null,
      origin: "http://a.example/",
      remoteAddr: "203.0.113.7",
      forwardedFor: "203.0.113.7, 127.0.0.1",
      userAgent: "agent/1",
      clientHints: [["sec-ch-ua", '"Chromium";v="150"'], ["sec-ch-ua-platform", '"Linux"']],
      noCache: false,
      contentEncoding: "gzip",
      eventId: ID,
      passthrough: null,
    });
    assertEquals(concatBytes(stored), body);
    assertEquals(envelope.items.map((item) => item.type.type), ["event"]);
  });

  Deno.test(`${exposure}: of the envelope's header of anyone but a trusted proxy only the SDK is believed`, async () => {
    await using fixture = await startListener({ exposure });
    const header = {
      dsn: `http://${KEY}@example.com/7`,
      client: "a/1",
      version: 6,
      remote_addr: "203.0.113.7",
      forwarded_for: "203.0.113.7",
      origin: "http://a.example/",
      user_agent: "browser",
      client_hints: { sec_ch_ua: "a" },
    };
    const body = `${JSON.stringify(header)}\n{"type":"session"}\n{}`;
    await rawRequest(fixture.port, requestBytes("POST", "/api/42/envelope/", { "user-agent": "curl" }, body));
    const { meta, envelope, body: stored } = fixture.ingress.take();
    assertEquals([meta.remoteAddr, meta.forwardedFor], ["127.0.0.1", "127.0.0.1"]);
    const { dsn, client, version } = header;
    assertEquals(envelope.headers, { dsn, client, version });
    assertEquals(text(stored), `${JSON.stringify({ dsn, client, version })}\n{"type":"session"}\n{}\n`);
    assertEquals([meta.origin, meta.userAgent, meta.clientHints], [null, "curl", null]);
    assertEquals([meta.client, meta.version], ["a/1", 6]);
  });

  Deno.test(`${exposure}: the envelope's header wins over the request of a trusted proxy: section 6.1`, async () => {
    await using fixture = await startListener({ exposure, trustedProxies: CidrSet.parse(["127.0.0.1"]) });
    const header = {
      dsn: `http://${KEY}@example.com/7`,
      client: "a/1",
      version: 6,
      remote_addr: "203.0.113.7",
      forwarded_for: "203.0.113.7, 10.0.0.1",
      user_agent: "browser\r\nx-evil: 1",
      client_hints: { sec_ch_ua: "a", sec_ch_ua_model: null, sec_ch_ua_platform_version: "a\r\nx-evil: 1" },
      origin: "http://a.example/",
      no_cache: true,
    };
    const body = `${JSON.stringify(header)}\n{"type":"session"}\n{}`;
    const answer = await rawRequest(
      fixture.port,
      requestBytes("POST", "/api/42/envelope/", { "user-agent": "relay" }, body),
    );
    assertEquals([answer?.status, answer?.body], [200, "{}"]);
    const { meta } = fixture.ingress.take();
    assertEquals([meta.projectId, meta.client, meta.version, meta.noCache], ["7", "a/1", 6, true]);
    assertEquals([meta.remoteAddr, meta.forwardedFor], ["203.0.113.7", "203.0.113.7, 10.0.0.1"]);
    assertEquals(meta.userAgent, "relay");
    assertEquals([meta.origin, meta.clientHints], ["http://a.example/", [["sec-ch-ua", "a"]]]);
  });

  Deno.test(`${exposure}: an event without an id is stored with the one that was answered: section 3.2`, async () => {
    await using fixture = await startListener({ exposure });
    const body = new Uint8Array(zlib.gzipSync(`{"sdk":{}}\n{"type":"event"}\n{"a":1}`));
    const { id } = await (await post(fixture.url, body, { "content-encoding": "gzip" })).json();
    const submission = fixture.ingress.take();
    assertEquals(submission.meta.contentEncoding, "");
    assertEquals([submission.meta.eventId, submission.envelope.eventId], [id, id]);
    assertMatch(
      text(submission.body),
      new RegExp(`^\\{.*"event_id":"${id}".*\\}\\n\\{"type":"event"\\}\\n\\{"a":1\\}`),
    );
    assertEquals(text([submission.envelope.bytes]), text(submission.body));
  });

  Deno.test(`${exposure}: a store event is stored as an envelope: section 1.3`, async () => {
    await using fixture = await startListener({ exposure });
    const payload = `{"event_id":"${ID}","type":"transaction"}`;
    const answer = await fetch(`${fixture.url}/api/42/store/?${AUTH}`, { method: "POST", body: payload });
    assertEquals(await answer.json(), { id: ID });
    const { envelope, body, meta } = fixture.ingress.take();
    assertEquals([meta.eventId, envelope.items[0]?.type.type], [ID, "transaction"]);
    assertMatch(
      text(body),
      /^\{"event_id":"9ec7[^\n]*\}\n\{"type":"transaction"[^\n]*\}\n\{"event_id":.*\}\n$/,
    );
  });

  Deno.test(`${exposure}: a header-only envelope is not handed inwards: section 3.1`, async () => {
    await using fixture = await startListener({ exposure });
    await (await post(fixture.url, "{}")).text();
    assertEquals(fixture.ingress.submissions.length, 0);
  });

  Deno.test(`${exposure}: limits that matched are answered with 429: section 5.5`, async () => {
    await using fixture = await startListener({ exposure });
    const limit: RateLimit = {
      categories: ["error"],
      scope: "key",
      reason: "quota",
      namespaces: [],
      expiresAtMs: Date.now() + 59_500,
    };
    fixture.ingress.respond = () => Promise.resolve([limit]);
    const answer = await post(fixture.url, EVENT);
    assertEquals(answer.status, 429);
    assertEquals(answer.headers.get("x-sentry-rate-limits"), "60:error:key:quota");
    assertEquals(answer.headers.get("retry-after"), "60");
    assertEquals(answer.headers.get("access-control-allow-origin"), "*");
    assertMatch((await answer.json()).detail, /^Sentry dropped data due to a quota/);
  });

  Deno.test(`${exposure}: what the ingress refuses is answered, and not counted again`, async () => {
    await using fixture = await startListener({ exposure });
    fixture.ingress.respond = () =>
      Promise.reject(
        RequestError.json(403, "project_id", "event submission rejected with_reason: ProjectId"),
      );
    const answer = await post(fixture.url, EVENT);
    assertEquals(answer.status, 403);
    assertEquals(await answer.text(), `{"detail":"event submission rejected with_reason: ProjectId"}`);
    assertEquals(fixture.metrics.read(METRICS.outcomes, "invalid", "project_id", "default"), 0);
    assertEquals(fixture.bodies.held, 0);
  });

  Deno.test(`${exposure}: a fault inside is answered with 500 and the listener goes on`, async () => {
    await using fixture = await startListener({ exposure });
    fixture.ingress.respond = () => Promise.reject(new Error("fault on purpose"));
    const answer = await post(fixture.url, EVENT);
    assertEquals([answer.status, await answer.text()], [500, `{"detail":"internal error"}`]);
    fixture.ingress.respond = () => Promise.resolve([]);
    assertEquals(await (await post(fixture.url, EVENT)).json(), { id: ID });
  });

  Deno.test(`${exposure}: requests, outcomes and bytes are counted`, async () => {
    await using fixture = await startListener({ exposure });
    await (await post(fixture.url, EVENT)).text();
    await (await post(fixture.url, "")).text();
    const { metrics } = fixture;
    assertEquals(metrics.read(METRICS.requests, "envelope", "200"), 1);
    assertEquals(metrics.read(METRICS.requests, "envelope", "400"), 1);
    assertEquals(metrics.read(METRICS.requestBytes, "identity"), EVENT.length);
    assertEquals(metrics.read(METRICS.outcomes, "invalid", "empty_body", "default"), 1);
    assertEquals(metrics.read(METRICS.requestsInFlight), 0);
  });

  Deno.test(`${exposure}: chunked bodies, with and without encoding, are read: client behaviour, wire facts`, async () => {
    await using fixture = await startListener({ exposure });
    for (const body of [EVENT, zlib.gzipSync(EVENT)]) {
      const bytes = typeof body === "string" ? new TextEncoder().encode(body) : new Uint8Array(body);
      const stream = new ReadableStream({
        start(controller) {
          for (let at = 0; at < bytes.length; at += 7) controller.enqueue(bytes.subarray(at, at + 7));
          controller.close();
        },
      });
      const headers: Record<string, string> = typeof body === "string" ? {} : { "content-encoding": "gzip" };
      const answer = await fetch(fixture.url + PATH, { method: "POST", body: stream, headers });
      assertEquals(await answer.json(), { id: ID });
      assertEquals(concatBytes(fixture.ingress.take().body), bytes);
    }
  });

  Deno.test(`${exposure}: a chunked body is refused as soon as it exceeds its limit: section 4.4`, async () => {
    await using fixture = await startListener({ exposure, maxEnvelopeBytes: 10_000 });
    using connection = await RawHttp.connect(fixture.port);
    await connection.send(`POST ${PATH} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n`);
    const chunk = `1000\r\n${"x".repeat(4096)}\r\n`;
    for (let sent = 0; sent < 100; sent++) await connection.send(chunk).catch(() => {});
    const answer = await connection.response();
    assertEquals([answer?.status, answer?.body], [413, "length limit exceeded"]);
    assertEquals(fixture.bodies.held, 0);
  });

  Deno.test(`${exposure}: a connection survives refusals of small bodies`, async () => {
    await using fixture = await startListener({ exposure, itemLimits: { maxEventSize: 100 } });
    using connection = await RawHttp.connect(fixture.port);
    for (
      const [method, target, body, status] of [
        ["POST", "/api/42/envelope/?sentry_key=x", EVENT, 400],
        ["POST", `/api/42/store/?${AUTH}`, "x".repeat(200), 413],
        ["POST", "/nowhere", EVENT, 404],
        ["PUT", PATH, EVENT, 405],
        ["POST", PATH, EVENT, 200],
      ] as const
    ) {
      await connection.send(requestBytes(method, target, {}, body));
      assertEquals((await connection.response())?.status, status, target);
    }
  });

  Deno.test(`${exposure}: bodies beyond the memory for all of them are answered with 503: section 5.3`, async () => {
    await using fixture = await startListener({ exposure, memoryBytesMax: 5000 });
    const answer = await post(fixture.url, new Uint8Array(6000));
    assertEquals([answer.status, await answer.text()], [503, `{"detail":"failed to queue envelope"}`]);
    assertEquals(answer.headers.get("retry-after"), null);
    assertEquals(fixture.bodies.held, 0);
  });

  Deno.test(`${exposure}: Expect: 100-continue is answered before the body comes`, async () => {
    await using fixture = await startListener({ exposure });
    using connection = await RawHttp.connect(fixture.port);
    const [head, body] = new TextDecoder().decode(
      requestBytes("POST", PATH, { expect: "100-continue" }, EVENT),
    )
      .split("\r\n\r\n") as [string, string];
    await connection.send(`${head}\r\n\r\n`);
    assertEquals((await connection.response())?.status, 100);
    await connection.send(body);
    assertEquals((await connection.response())?.body, `{"id":"${ID}"}`);
  });

  Deno.test(`${exposure}: pipelined requests are answered in order`, async () => {
    await using fixture = await startListener({ exposure });
    using connection = await RawHttp.connect(fixture.port);
    await connection.send(
      concatBytes([
        requestBytes("POST", PATH, {}, EVENT),
        requestBytes("GET", LIVE, {}),
        requestBytes("GET", "/", {}),
      ]),
    );
    for (const status of [200, 200, 404]) assertEquals((await connection.response())?.status, status);
  });

  Deno.test(`${exposure}: a client that goes away in the middle of its body leaves nothing behind`, async () => {
    await using fixture = await startListener({ exposure });
    for (const framing of ["Content-Length: 1000", "Transfer-Encoding: chunked"]) {
      const connection = await RawHttp.connect(fixture.port);
      await connection.send(`POST ${PATH} HTTP/1.1\r\nHost: x\r\n${framing}\r\n\r\n5\r\nhello\r\n`);
      await until(() => fixture.metrics.read(METRICS.requestsInFlight) === 1);
      connection[Symbol.dispose]();
      await until(() => fixture.metrics.read(METRICS.requestsInFlight) === 0);
    }
    assertEquals(fixture.bodies.held, 0);
    assertEquals(fixture.metrics.read(METRICS.requests, "envelope", "400"), 2);
  });

  Deno.test(`${exposure}: health follows the node: section 1.4`, async () => {
    await using fixture = await startListener({ exposure });
    fixture.health.ready = false;
    const ready = await fetch(`${fixture.url}/api/relay/healthcheck/ready/`);
    assertEquals([ready.status, await ready.text()], [503, `{"is_healthy":false}`]);
    assertEquals(await (await fetch(fixture.url + LIVE)).text(), `{"is_healthy":true}`);
  });

  Deno.test(`${exposure}: with an internal port health is served there alone: section 1.4`, async () => {
    await using open = await startListener({ exposure, routes: "public" });
    await using internal = await startListener({ exposure, routes: "internal" });
    const status = async (port: number, path: string) =>
      (await rawRequest(port, requestBytes("GET", path, {})))?.status;
    const relayLive = "/api/0/relays/live/";
    assertEquals([await status(open.port, LIVE), await status(open.port, relayLive)], [404, 200]);
    assertEquals([await status(internal.port, LIVE), await status(internal.port, relayLive)], [200, 404]);
  });

  Deno.test(`${exposure}: random bytes as body never get a 5xx`, async () => {
    await using fixture = await startListener({ exposure });
    using connection = await RawHttp.connect(fixture.port);
    const header = fc.constantFrom("{}\n", `{"event_id":"${ID}"}\n`, "");
    const body = fc.tuple(header, fc.uint8Array({ maxLength: 60 })).map(([head, tail]) =>
      concatBytes([new TextEncoder().encode(head), tail])
    );
    const encoding = fc.constantFrom("", "gzip", "deflate", "identity");
    const target = fc.constantFrom(PATH, `/api/42/store/?${AUTH}`, "/api/42/envelope/");
    await fc.assert(
      fc.asyncProperty(target, encoding, body, async (target, encoding, body) => {
        await connection.send(requestBytes("POST", target, { "content-encoding": encoding }, body));
        const status = (await connection.response())?.status ?? 0;
        assert(status >= 200 && status < 500, `answered ${status}`);
      }),
      { numRuns: 300 },
    );
    assertEquals(fixture.bodies.held, 0);
  });

  Deno.test(`${exposure}: a drain lets bodies finish, then closes the port`, async () => {
    await using fixture = await startListener({ exposure });
    using slow = await RawHttp.connect(fixture.port);
    await slow.send(
      `POST ${PATH} HTTP/1.1\r\nHost: x\r\nContent-Length: ${EVENT.length}\r\n\r\n${EVENT.slice(0, 9)}`,
    );
    await until(() => fixture.metrics.read(METRICS.requestsInFlight) === 1);
    fixture.listener.stopAccepting();
    const idle = fixture.listener.waitForBodies(5000);
    await slow.send(EVENT.slice(9));
    const answer = await slow.response();
    assertEquals([answer?.body, answer?.headers.get("connection")], [`{"id":"${ID}"}`, "close"]);
    assertEquals(await idle, true);
    await fixture.listener.close(1000);
    assertEquals(await slow.closed(), true);
    await assertRejects(() => Deno.connect({ hostname: "127.0.0.1", port: fixture.port }));
  });

  Deno.test(`${exposure}: a drain does not wait for a stuck body longer than asked`, async () => {
    await using fixture = await startListener({ exposure });
    using stuck = await RawHttp.connect(fixture.port);
    await stuck.send(`POST ${PATH} HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{`);
    await until(() => fixture.metrics.read(METRICS.requestsInFlight) === 1);
    fixture.listener.stopAccepting();
    assertEquals(await fixture.listener.waitForBodies(20), false);
    await fixture.listener.close(0);
    await until(() => fixture.metrics.read(METRICS.requestsInFlight) === 0);
  });
}

const hasTimeouts = NODE_ENGINE_IS_COMPLETE;

Deno.test(
  "internet: silent and half-sent heads are answered with 408",
  { ignore: !hasTimeouts },
  async () => {
    await using fixture = await startListener({ exposure: "internet", headersTimeoutMs: 50 });
    for (const start of ["", "POST /api/42/enve", "GET / HTTP/1.1\r\nHost: x\r\n"]) {
      using connection = await RawHttp.connect(fixture.port);
      await connection.send(start);
      const answer = await connection.response();
      assertEquals([answer?.status, answer?.headers.get("server")], [408, "landfall/1.2.3"], start);
      assertEquals(await connection.closed(), true);
    }
  },
);

Deno.test("internet: a request that cannot be parsed is answered with 400 also on a used connection", async () => {
  await using fixture = await startListener({ exposure: "internet" });
  using connection = await RawHttp.connect(fixture.port);
  await connection.send(requestBytes("POST", PATH, {}, EVENT));
  assertEquals((await connection.response())?.status, 200);
  await connection.send("nonsense\r\n\r\n");
  assertEquals((await connection.response())?.status, 400);
  assertEquals(await connection.closed(), true);
});

Deno.test("internet: connections beyond their bound are reset", { ignore: !hasTimeouts }, async () => {
  await using fixture = await startListener({ exposure: "internet", connectionsMax: 1 });
  const first = await RawHttp.connect(fixture.port);
  await first.send(requestBytes("GET", LIVE, {}));
  assertEquals((await first.response())?.status, 200);
  using second = await RawHttp.connect(fixture.port);
  assertEquals(await second.closed(), true);
  first[Symbol.dispose]();
  const live = requestBytes("GET", LIVE, {});
  while ((await rawRequest(fixture.port, live))?.status !== 200);
});

Deno.test("internet: idle connections are closed", { ignore: !hasTimeouts }, async () => {
  await using fixture = await startListener({ exposure: "internet", idleTimeoutMs: 50 });
  using connection = await RawHttp.connect(fixture.port);
  await connection.send(requestBytes("POST", PATH, {}, EVENT));
  assertEquals((await connection.response())?.status, 200);
  assertEquals(await connection.closed(), true);
});

Deno.test("internet: a head beyond 16 KiB is answered with 431", { ignore: !hasTimeouts }, async () => {
  await using fixture = await startListener({ exposure: "internet" });
  const answer = await rawRequest(fixture.port, requestBytes("GET", LIVE, { "x-large": "a".repeat(20_000) }));
  assertEquals(answer?.status, 431);
});
