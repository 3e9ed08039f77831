/** The guard in a whole node: what it refuses, whom it leaves alone, and how it says so. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { BanError } from "../../src/guard/ban_list.ts";
import { NODE_ENGINE_IS_COMPLETE } from "../../src/listener/node_engine.ts";
import { METRICS } from "../../src/telemetry/catalogue.ts";
import { envelope, requestFrom, statusesOf } from "../support/client_from.ts";
import { EXPOSURES } from "../support/listener_fixture.ts";
import { type NodeFixture, startNode } from "../support/node_fixture.ts";
import { NodeProcess, TEST_KEY } from "../support/node_process.ts";
import { RawHttp } from "../support/raw_http.ts";
import { ScriptedUpstream } from "../support/scripted_upstream.ts";
import { until } from "../support/until.ts";

/** Only this peer is a proxy; the rest of the loopback are clients. */
const PROXY = "127.0.0.1";
const TRUSTED = { "listener.trusted_proxies": [`${PROXY}/32`] };
/** Hardly leaks while a test runs. */
const SLOW = "6r/h";

const read = (
  { node }: NodeFixture,
  spec: Parameters<NodeFixture["node"]["metrics"]["read"]>[0],
  ...labels: string[]
) => node.metrics.read(spec, ...labels);

const zoneCount = ({ node }: NodeFixture, zone: string, result: string) =>
  node.metrics.total(METRICS.guardZone, { zone, result });

for (const exposure of EXPOSURES) {
  const start = (upstream: ScriptedUpstream, config: Record<string, unknown>, folder?: string) =>
    startNode({
      upstream: upstream.url,
      config: {
        "listener.exposure": exposure,
        ...TRUSTED,
        ...folder === undefined ? {} : { "spool.envelopes.path": folder },
        ...config,
      },
    });

  Deno.test(`guard, ${exposure}: a flood from one address leaves the others alone`, async () => {
    await using upstream = ScriptedUpstream.start();
    const zones = [{ key: "address", rate: SLOW, burst: 4 }];
    await using node = await start(upstream, { "guard.zones": zones });
    const { port } = node.node;
    const flood = await Promise.all(
      Array.from({ length: 40 }, () => requestFrom({ port, from: "127.0.0.2" })),
    );
    assertEquals(flood.filter(({ status }) => status === 200).length, 5);
    assertEquals(await statusesOf(5, { port, from: "127.0.0.3" }), [200, 200, 200, 200, 200]);
    // The same behind a proxy, by the address it forwards for.
    const client = { port, from: PROXY, forwardedFor: "198.51.100.1" };
    assertEquals(await statusesOf(6, client), [200, 200, 200, 200, 200, 429]);
    assertEquals(await statusesOf(1, { ...client, forwardedFor: "198.51.100.2" }), [200]);
    // The proxy itself is nobody's address.
    assertEquals(new Set(await statusesOf(10, { port, from: PROXY })), new Set([200]));
    assertEquals(zoneCount(node, "address", "refused"), 36);
    assertEquals(read(node, METRICS.outcomes, "rate_limited", "rate_zone", "default"), 36);
    assertEquals(read(node, METRICS.guardRefused, "rate_zone"), 36);
  });

  Deno.test(`guard, ${exposure}: the refusal of a zone is one that SDKs understand, and keeps the connection`, async () => {
    await using upstream = ScriptedUpstream.start();
    const zones = [{ key: "project_key+address", rate: "6r/m", burst: 0 }];
    await using node = await start(upstream, { "guard.zones": zones });
    const client = { port: node.node.port, from: "127.0.0.2" };
    assertEquals(await statusesOf(1, client), [200]);
    const { status, headers, body } = await requestFrom(client);
    assertEquals(status, 429);
    const wait = headers["retry-after"]!;
    assertMatch(wait, /^(9|10)$/);
    assertEquals(headers["x-sentry-rate-limits"], `${wait}::key:rate_zone`);
    assertEquals(headers["access-control-allow-origin"], "*");
    assertMatch(JSON.parse(body).detail, /^Sentry dropped data due to a quota or internal rate limit/);
    // Another key has a bucket of its own; a request without a key has none.
    assertEquals(await statusesOf(1, { ...client, key: "b".repeat(32) }), [200]);

    using connection = await RawHttp.connect(node.node.port);
    const proxied = `X-Forwarded-For: 127.0.0.2\r\n`;
    const post =
      `POST /api/1/envelope/?sentry_key=${TEST_KEY} HTTP/1.1\r\nHost: x\r\n${proxied}Content-Length: 9\r\n\r\n{}\n{}\n{}\n`;
    for (let i = 0; i < 3; i++) {
      await connection.send(post);
      assertEquals((await connection.response())?.status, 429);
    }
  });

  Deno.test(`guard, ${exposure}: dry_run counts and refuses nothing; a delay holds back`, async () => {
    await using upstream = ScriptedUpstream.start();
    const zones = [
      { name: "watched", key: "address", rate: SLOW, burst: 1, dry_run: true },
      { key: "project_id", rate: "10r/s", burst: 20, delay: 0 },
    ];
    await using node = await start(upstream, { "guard.zones": zones });
    const client = { port: node.node.port, from: "127.0.0.2" };
    const began = performance.now();
    const answers = await Promise.all(Array.from({ length: 5 }, () => requestFrom(client)));
    assertEquals(answers.map(({ status }) => status), [200, 200, 200, 200, 200]);
    // Five at once at ten a second: the last one waits for 400 ms.
    assert(performance.now() - began >= 390);
    assertEquals(zoneCount(node, "watched", "refused_dry_run"), 3);
    assertEquals(zoneCount(node, "project_id", "delayed"), 4);
    assertEquals(read(node, METRICS.guardHeld), 0);
  });

  Deno.test(`guard, ${exposure}: lists; who is allowed passes zones and bans, who is denied does not pass`, async () => {
    await using upstream = ScriptedUpstream.start();
    await using node = await start(upstream, {
      "guard.zones": [{ key: "address", rate: SLOW, burst: 0 }],
      "guard.allow.addresses": ["127.0.0.7"],
      "guard.deny.addresses": ["127.0.0.8/30"],
      "guard.deny.project_keys": ["d".repeat(32)],
      "guard.deny.user_agents": ["*BadBot*"],
    });
    const { port } = node.node;
    node.node.guard.ban("127.0.0.7", 60_000, "test");
    assertEquals(await statusesOf(3, { port, from: "127.0.0.7" }), [200, 200, 200]);
    for (
      const denied of [
        { from: "127.0.0.9" },
        { from: "127.0.0.2", key: "d".repeat(32) },
        { from: "127.0.0.3", userAgent: "evil badbot/1" },
      ]
    ) {
      const { status, body } = await requestFrom({ port, ...denied });
      assertEquals([status, body], [403, `{"detail":"access denied"}`]);
    }
    assertEquals(read(node, METRICS.outcomes, "abuse", "denied", "default"), 3);
  });

  Deno.test(`guard, ${exposure}: health checks are never refused`, async () => {
    await using upstream = ScriptedUpstream.start();
    await using node = await start(upstream, {
      "guard.zones": [{ key: "address", rate: SLOW, burst: 0 }],
      "guard.deny.addresses": ["127.0.0.9"],
    });
    const { port } = node.node;
    for (
      const path of ["/api/relay/healthcheck/live/", "/api/relay/healthcheck/ready/", "/api/0/relays/live/"]
    ) {
      assertEquals(await statusesOf(3, { port, from: "127.0.0.9", method: "GET", path }), [200, 200, 200]);
    }
  });

  Deno.test(`guard, ${exposure}: rules ban, bans outlive the node, and no forged header moves one`, async () => {
    await using upstream = ScriptedUpstream.start();
    const folder = await Deno.makeTempDir({ prefix: "landfall-bans-" });
    try {
      const config = {
        "guard.bans": [{ on: ["not_found", "malformed"], refusals: 3, within: "1m", ban: "1h" }],
      };
      {
        await using node = await start(upstream, config, `${folder}/spool`);
        const { port } = node.node;
        const bad = { port, path: "/nothing", method: "GET" };
        // A client that forges its address is banned itself, and nobody else is.
        assertEquals(await statusesOf(5, { ...bad, from: "127.0.0.2", forwardedFor: "198.51.100.9" }), [
          404,
          404,
          404,
          403,
          403,
        ]);
        assertEquals(await statusesOf(1, { port, from: PROXY, forwardedFor: "198.51.100.9" }), [200]);
        // A proxy is believed about its clients, up to the first address that is not a proxy's.
        const forged = { ...bad, from: PROXY, forwardedFor: "203.0.113.5, 198.51.100.7" };
        assertEquals(await statusesOf(4, forged), [404, 404, 404, 403]);
        assertEquals(await statusesOf(1, { port, from: PROXY, forwardedFor: "203.0.113.5" }), [200]);
        // The proxy itself is never banned.
        assertEquals(await statusesOf(5, { ...bad, from: PROXY }), [404, 404, 404, 404, 404]);
        assertEquals(await statusesOf(1, { port, from: PROXY }), [200]);
        await until("the control plane knows", () => node.node.guard.bans().length === 2);
        assertEquals(node.node.guard.bans().map(({ address }) => address), ["127.0.0.2", "198.51.100.7"]);
      }
      {
        await using node = await start(upstream, config, `${folder}/spool`);
        const { port } = node.node;
        assertEquals(await statusesOf(1, { port, from: "127.0.0.2" }), [403]);
        using connection = await RawHttp.connect(port);
        await connection.send("GET /x HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 198.51.100.7\r\n\r\n");
        const answer = await connection.response();
        assertEquals([answer?.status, answer?.headers.get("connection") === "close"], [
          403,
          exposure === "internet",
        ]);
        if (exposure === "internet") assertEquals(await connection.closed(), true);
        assertEquals(node.node.guard.unban("127.0.0.2"), true);
        assertEquals(await statusesOf(1, { port, from: "127.0.0.2" }), [200]);
        let refused: unknown;
        try {
          node.node.guard.ban(PROXY, 1000, "");
        } catch (error) {
          refused = error;
        }
        assert(refused instanceof BanError);
      }
      assertEquals(JSON.parse(await Deno.readTextFile(`${folder}/spool/bans.json`)).bans.length, 1);
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  });

  Deno.test(`guard, ${exposure}: requests in flight are bounded, and counted out however they end`, async () => {
    await using upstream = ScriptedUpstream.start();
    await using node = await start(upstream, {
      "guard.requests_max": 4,
      "guard.requests_per_address": 2,
      "guard.requests_per_project": 3,
    });
    const { port } = node.node;
    const halfSent = async (address: string, project: number): Promise<RawHttp> => {
      const connection = await RawHttp.connect(port);
      await connection.send(
        `POST /api/${project}/envelope/?sentry_key=${TEST_KEY} HTTP/1.1\r\nHost: x\r\n` +
          `X-Forwarded-For: ${address}\r\nContent-Length: 100\r\n\r\n{}`,
      );
      return connection;
    };
    const inFlight = (count: number) =>
      until(`${count} in flight`, () => read(node, METRICS.requestsInFlight) === count);
    const ask = async (forwardedFor: string, projectId: number): Promise<[number, string | undefined]> => {
      const { status, headers } = await requestFrom({ port, from: PROXY, forwardedFor, projectId });
      return [status, headers["x-sentry-rate-limits"]];
    };
    const open = [await halfSent("198.51.100.1", 1), await halfSent("198.51.100.1", 1)];
    await inFlight(2);
    assertEquals(await ask("198.51.100.1", 2), [429, "1::organization:in_flight"]);
    assertEquals(await ask("198.51.100.2", 1), [200, undefined]);
    open.push(await halfSent("198.51.100.2", 1));
    await inFlight(3);
    assertEquals(await ask("198.51.100.3", 1), [429, "1::project:in_flight"]);
    open.push(await halfSent("198.51.100.4", 4));
    await inFlight(4);
    assertEquals(await ask("198.51.100.5", 5), [503, undefined]);
    // All clients go away in the middle of their bodies.
    for (const connection of open) connection[Symbol.dispose]();
    await inFlight(0);
    assertEquals(await ask("198.51.100.1", 1), [200, undefined]);
  });

  Deno.test(`guard, ${exposure}: under pressure what is missed least is refused first`, async () => {
    await using upstream = ScriptedUpstream.start();
    // The process uses half of what it may.
    const bounds = { "health.max_memory_bytes": 2 * Deno.memoryUsage().rss, "guard.shed.everything_from": 1 };
    const answersAt = async (bulky: number, costly: number): Promise<number[]> => {
      await using node = await start(upstream, {
        ...bounds,
        "guard.shed.bulky_from": bulky,
        "guard.shed.costly_from": costly,
      });
      await until("the pressure is known", () => read(node, METRICS.pressure, "memory") > 0);
      const types: readonly [string, string][] = [["attachment", "{}"], ["transaction", "{}"], [
        "event",
        "{}",
      ]];
      const statuses: number[] = [];
      for (const [type, payload] of types) {
        const body = envelope(type, payload);
        statuses.push((await requestFrom({ port: node.node.port, from: "127.0.0.2", body })).status);
      }
      return statuses;
    };
    assertEquals(await answersAt(0.99, 0.99), [200, 200, 200]);
    assertEquals(await answersAt(0.3, 0.99), [429, 200, 200]);
    assertEquals(await answersAt(0.2, 0.3), [429, 429, 200]);
  });

  Deno.test(`guard, ${exposure}: at the bound everything but health checks is refused, and the node says it is not ready`, async () => {
    await using upstream = ScriptedUpstream.start();
    await using node = await start(upstream, { "health.max_memory_bytes": 1 });
    const client = { port: node.node.port, from: "127.0.0.2" };
    await until("the pressure is known", () => read(node, METRICS.pressure, "highest") === 1);
    const { status, headers } = await requestFrom(client);
    assertEquals([status, headers["x-sentry-rate-limits"]], [429, "10::organization:overload"]);
    const ready = { ...client, method: "GET", path: "/api/relay/healthcheck/ready/" };
    assertEquals((await requestFrom(ready)).status, 503);
    assertEquals((await requestFrom({ ...ready, path: "/api/relay/healthcheck/live/" })).status, 200);
    assertEquals(node.node.status().problems, ["memory is used up"]);
  });

  const ignore = exposure === "internet" && !NODE_ENGINE_IS_COMPLETE;
  Deno.test(`guard, ${exposure}: two lanes agree on a zone and on bans`, { ignore }, async () => {
    await using upstream = ScriptedUpstream.start();
    const burst = 50;
    const config = {
      lanes: 2,
      listener: { exposure, trusted_proxies: [`${PROXY}/32`] },
      guard: {
        zones: [{ key: "address", rate: SLOW, burst }],
        bans: [{ on: ["rate"], refusals: 200, within: "1m", ban: "1h" }],
      },
    };
    await using node = await NodeProcess.start({ upstream: upstream.url, config });
    const { port } = node;
    const answers = await Promise.all(
      Array.from({ length: 150 }, () => requestFrom({ port, from: "127.0.0.2" })),
    );
    const count = (status: number): number => answers.filter((answer) => answer.status === status).length;
    assertEquals([count(200), count(429)], [burst + 1, 150 - burst - 1]);
    // Refusals in both lanes add up to a ban in both.
    await until("every connection is refused as banned", async () => {
      const all = await Promise.all(
        Array.from({ length: 32 }, () => requestFrom({ port, from: "127.0.0.2" })),
      );
      return all.every(({ status }) => status === 403);
    });
    assertEquals((await requestFrom({ port, from: "127.0.0.3" })).status, 200);
  });
}
