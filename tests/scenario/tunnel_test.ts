/** A whole node with a tunnel for browser SDKs, and its API, as configured. */
import { assertEquals } from "@std/assert";
import { KEY } from "../support/listener_fixture.ts";
import { startNode } from "../support/node_fixture.ts";
import { rawRequest, requestBytes } from "../support/raw_http.ts";
import { RawUpstream } from "../support/raw_upstream.ts";
import { ScriptedUpstream } from "../support/scripted_upstream.ts";
import { until } from "../support/until.ts";

const ID = "9ec79c33ec9942ab8353589fcb2e04dc";
const envelope = (dsn: string | undefined) =>
  `${JSON.stringify({ event_id: ID, dsn })}\n{"type":"event","length":2}\n{}\n`;
const dsn = (host: string, project = "42") => `https://${KEY}@${host}/${project}`;
const refused = (what: string) =>
  JSON.stringify({ detail: `the ${what} of the envelope's DSN is not allowed through this tunnel` });

for (const exposure of ["load_balancer", "internet"]) {
  Deno.test(`${exposure}: envelopes pass the tunnel to the project their DSN names, and no others do`, async () => {
    const upstream = ScriptedUpstream.start();
    {
      await using node = await startNode({
        upstream: upstream.url,
        config: {
          "listener.exposure": exposure,
          "listener.tunnel.path": "/t/monitoring",
          "listener.tunnel.allowed_hosts": ["Sentry.example.com", "*.ingest.sentry.io"],
          "listener.tunnel.project_ids": [42, "7"],
        },
      });
      const post = (body: string, path = "/t/monitoring", headers = {}) =>
        rawRequest(node.node.port, requestBytes("POST", path, headers, body));
      const accepted = [
        dsn("sentry.example.com"),
        dsn("o1.ingest.sentry.io:443", "7"),
        dsn("127.0.0.1:9", "007"),
      ];
      for (const [index, text] of accepted.entries()) {
        const answer = await post(envelope(text), index === 0 ? "/t/monitoring?o=1&sentry_x=2" : undefined);
        assertEquals([answer?.status, answer?.body], [200, `{"id":"${ID}"}`], text);
        assertEquals(answer?.headers.get("access-control-allow-origin"), "*");
      }
      const rows: readonly (readonly [string, number, string | null])[] = [
        [envelope(dsn("ingest.sentry.io")), 403, refused("host")],
        [envelope(dsn("sentry.example.com.evil.example")), 403, refused("host")],
        [envelope(dsn("sentry.example.com", "43")), 403, refused("project")],
        [envelope(undefined), 401, null],
        ["", 401, null],
        [`{"dsn":"${dsn("sentry.example.com")}"}\nnonsense`, 400, null],
      ];
      for (const [body, status, expected] of rows) {
        const answer = await post(body);
        assertEquals(answer?.status, status, body);
        if (expected !== null) assertEquals(answer?.body, expected);
        assertEquals(answer?.headers.get("access-control-allow-origin"), "*");
      }
      const preflight = await rawRequest(node.node.port, requestBytes("OPTIONS", "/t/monitoring", {}));
      assertEquals(preflight?.status, 200);
      assertEquals((await rawRequest(node.node.port, requestBytes("GET", "/t/monitoring", {})))?.status, 405);
      assertEquals((await post(envelope(dsn("sentry.example.com")), "/t/monitoring/"))?.status, 404);
      await until("all are forwarded", () => upstream.requests.length === accepted.length);
      assertEquals(upstream.requests.map(({ path }) => path).sort(), [
        "/api/42/envelope/",
        "/api/7/envelope/",
        "/api/7/envelope/",
      ]);
    }
    await upstream.close();
  });

  Deno.test(`${exposure}: a node passes on what is no telemetry, with the limits it was given`, async () => {
    await using upstream = new RawUpstream(async (call) => {
      if (call.path === "/api/0/relays/live/") return await call.answer(200, {}, "{}");
      await call.answer(200, {}, await call.text());
    });
    await using node = await startNode({
      upstream: upstream.url,
      config: { "listener.exposure": exposure, "limits.max_api_payload_size": "1KiB" },
    });
    const post = (path: string, body: string) =>
      rawRequest(node.node.port, requestBytes("POST", path, {}, body));
    assertEquals((await post("/api/0/x/", "abc"))?.body, "abc");
    assertEquals((await post("/api/0/x/", "a".repeat(1025)))?.status, 413);
    assertEquals((await post("/api/42/envelope", "abc"))?.body, "abc");
    assertEquals((await post("/t/monitoring", "abc"))?.status, 404);
  });

  Deno.test(`${exposure}: a node told not to forward answers 404`, async () => {
    await using upstream = new RawUpstream((call) => call.answer(200, {}, "{}"));
    await using node = await startNode({
      upstream: upstream.url,
      config: { "listener.exposure": exposure, "http.forward": false },
    });
    assertEquals((await rawRequest(node.node.port, requestBytes("GET", "/api/0/x/", {})))?.status, 404);
  });
}
