/** What clients are banned for, what becomes of bans and of requests that are held back, and who is told of refusals. */
import { assertEquals } from "@std/assert";
import { NODE_ENGINE_IS_COMPLETE } from "../../src/listener/node_engine.ts";
import { METRICS } from "../../src/telemetry/catalogue.ts";
import { requestFrom, statusesOf } from "../support/client_from.ts";
import { EXPOSURES } from "../support/listener_fixture.ts";
import { startNode } from "../support/node_fixture.ts";
import { NodeProcess, TEST_KEY } from "../support/node_process.ts";
import { RawHttp } from "../support/raw_http.ts";
import { ScriptedUpstream } from "../support/scripted_upstream.ts";
import { until } from "../support/until.ts";

/** The loopback is a proxy by default, and proxies are nobody. */
const NO_PROXIES = { "listener.trusted_proxies": ["10.0.0.0/8"] };
const HEAD = `POST /api/1/envelope/?sentry_key=${TEST_KEY} HTTP/1.1\r\nHost: x\r\n`;
const ignore = !NODE_ENGINE_IS_COMPLETE;

/** What is sent, and the status it is answered with. */
const OFFENDING: readonly [string, "malformed" | "timeout", string, number][] = [
  ["no HTTP", "malformed", "\x16\x03\x01 hello\r\n\r\n", 400],
  ["two lengths", "malformed", `${HEAD}Content-Length: 1\r\nContent-Length: 2\r\n\r\n`, 400],
  ["a head beyond its bound", "malformed", `${HEAD}X: ${"x".repeat(20_000)}\r\n\r\n`, 431],
  ["half a head", "timeout", HEAD, 408],
];

for (const [what, offence, bytes, status] of OFFENDING) {
  Deno.test(`guard, internet: ${what} counts towards a ban`, { ignore }, async () => {
    await using upstream = ScriptedUpstream.start();
    await using node = await startNode({
      upstream: upstream.url,
      config: {
        ...NO_PROXIES,
        "listener.exposure": "internet",
        "listener.header_timeout": "200ms",
        "guard.bans": [{ on: [offence], refusals: 2, within: "1m", ban: "1h" }],
      },
    });
    const { port } = node.node;
    assertEquals(await statusesOf(1, { port }), [200]);
    for (let i = 0; i < 2; i++) {
      using connection = await RawHttp.connect(port);
      await connection.send(bytes);
      assertEquals((await connection.response())?.status, status);
    }
    assertEquals(await statusesOf(1, { port }), [403]);
    assertEquals(await statusesOf(1, { port, from: "127.0.0.2" }), [200]);
  });
}

for (const exposure of EXPOSURES) {
  Deno.test(`guard, ${exposure}: who loses its connection in the middle of a body is not banned`, async () => {
    await using upstream = ScriptedUpstream.start();
    await using node = await startNode({
      upstream: upstream.url,
      config: {
        ...NO_PROXIES,
        "listener.exposure": exposure,
        "guard.bans": [{ on: ["malformed", "timeout"], refusals: 1, within: "1m", ban: "1h" }],
      },
    });
    const { port, metrics } = node.node;
    const connection = await RawHttp.connect(port);
    await connection.send(`${HEAD}Content-Length: 100\r\n\r\n{}`);
    await until("it is in flight", () => metrics.read(METRICS.requestsInFlight) === 1);
    connection[Symbol.dispose]();
    await until("it is over", () => metrics.read(METRICS.requestsInFlight) === 0);
    assertEquals(await statusesOf(1, { port }), [200]);
    // What is really broken does ban.
    assertEquals(await statusesOf(2, { port, body: "{" }), [400, 403]);
  });

  // The other engine does not look at a connection whose body nobody reads.
  Deno.test(`guard, ${exposure}: a request that is held back is let go when its client leaves`, {
    ignore: ignore || exposure === "load_balancer",
  }, async () => {
    await using upstream = ScriptedUpstream.start();
    await using node = await startNode({
      upstream: upstream.url,
      config: {
        "listener.exposure": exposure,
        "guard.zones": [{ key: "project_id", rate: "6r/h", burst: 5, delay: 0 }],
      },
    });
    const { port, metrics } = node.node;
    assertEquals(await statusesOf(1, { port }), [200]);
    for (const sent of ["Content-Length: 9\r\n\r\n{}\n{}\n{}\n", "Content-Length: 100\r\n\r\n{}"]) {
      const connection = await RawHttp.connect(port);
      await connection.send(HEAD + sent);
      await until("it is held", () => metrics.read(METRICS.guardHeld) === 1);
      connection[Symbol.dispose]();
      await until("it is let go", () => metrics.read(METRICS.guardHeld) === 0);
      await until("it is over", () => metrics.read(METRICS.requestsInFlight) === 0);
    }
  });

  Deno.test(`guard, ${exposure}: the upstream is told what a zone refused, for keys that exist`, async () => {
    await using upstream = ScriptedUpstream.start();
    const project = { publicKeys: [{ publicKey: TEST_KEY }], config: {} };
    await using node = await startNode({
      upstream: upstream.url,
      config: {
        "listener.exposure": exposure,
        "relay.mode": "static",
        "outcomes.report_interval": "50ms",
        "guard.zones": [{ key: "project_id", rate: "6r/h", burst: 0 }],
      },
      files: { "projects/1.json": JSON.stringify(project) },
    });
    const client = { port: node.node.port };
    assertEquals(await statusesOf(1, client), [200]);
    // Refused first, so that a report of it would have come by the time the others have.
    assertEquals(await statusesOf(1, { ...client, key: "b".repeat(32) }), [429]);
    assertEquals(await statusesOf(2, client), [429, 429]);
    assertEquals(await statusesOf(1, { ...client, path: `/api/1/store/?sentry_key=${TEST_KEY}` }), [429]);
    const told = () =>
      upstream.requests.flatMap(({ items }) => items).filter(({ headers }) =>
        headers.type === "client_report"
      )
        .flatMap(({ payload }) => JSON.parse(new TextDecoder().decode(payload)).rate_limited_events ?? []);
    const sum = () => told().reduce((sum, { quantity }) => sum + quantity, 0);
    await upstream.until(() => sum() >= 3);
    assertEquals(sum(), 3);
    assertEquals(
      new Set(told().map(({ reason, category }) => `${reason} ${category}`)),
      new Set(["rate_zone default", "rate_zone error"]),
    );
    const { metrics } = node.node;
    assertEquals(metrics.read(METRICS.outcomesReported), 3);
    assertEquals(metrics.read(METRICS.outcomes, "rate_limited", "rate_zone", "default"), 3);
    assertEquals(metrics.read(METRICS.outcomes, "rate_limited", "rate_zone", "error"), 1);
  });
}

Deno.test("guard: a ban is on disk soon after it began, and outlives kill -9", async () => {
  await using upstream = ScriptedUpstream.start();
  await using node = await NodeProcess.start({
    upstream: upstream.url,
    config: {
      listener: { exposure: "load_balancer", trusted_proxies: ["10.0.0.0/8"] },
      guard: { bans: [{ on: ["not_found"], refusals: 2, within: "1m", ban: "1h" }] },
    },
  });
  const bad = { port: node.port, from: "127.0.0.2", path: "/nothing", method: "GET" };
  assertEquals(await statusesOf(3, bad), [404, 404, 403]);
  const files = () => [...Deno.readDirSync(`${node.folder}/spool`)].map(({ name }) => name);
  await until("the ban is on disk", () => files().includes("bans.json"));
  await node.kill();
  await node.startAgain();
  assertEquals((await requestFrom(bad)).status, 403);
  assertEquals((await requestFrom({ ...bad, from: "127.0.0.3" })).status, 404);
});
