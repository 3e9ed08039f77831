/** Host names: those a node serves, and the organisations that subdomains name. */
import { assertEquals } from "@std/assert";
import { METRICS } from "../../src/telemetry/catalogue.ts";
import { requestFrom, statusesOf } from "../support/client_from.ts";
import { EXPOSURES } from "../support/listener_fixture.ts";
import { startNode } from "../support/node_fixture.ts";
import { ScriptedUpstream } from "../support/scripted_upstream.ts";

for (const exposure of EXPOSURES) {
  Deno.test(`hosts, ${exposure}: others than those configured are misdirected, health checks are not`, async () => {
    await using upstream = ScriptedUpstream.start();
    await using node = await startNode({
      upstream: upstream.url,
      config: {
        "listener.exposure": exposure,
        "listener.hosts": ["sentry.example.com", "*.ingest.example.com"],
      },
    });
    const { port } = node.node;
    const statuses: Record<string, number> = {
      "sentry.example.com": 200,
      "Sentry.Example.COM.:3000": 200,
      "o1.ingest.example.com": 200,
      "ingest.example.com": 421,
      "evil-ingest.example.com": 421,
      "sentry.example.com.evil.test": 421,
      "127.0.0.1": 421,
    };
    for (const [host, status] of Object.entries(statuses)) {
      assertEquals((await requestFrom({ port, host })).status, status, host);
    }
    const { status, body } = await requestFrom({ port, host: "evil.test" });
    assertEquals([status, body], [421, ""]);
    assertEquals(node.node.metrics.read(METRICS.requests, "other", "421"), 5);
    for (const path of ["/api/relay/healthcheck/live/", "/api/relay/healthcheck/ready/"]) {
      assertEquals(await statusesOf(1, { port, host: "10.0.0.7", method: "GET", path }), [200], path);
    }
  });

  Deno.test(`hosts, ${exposure}: a zone of organisations tells subdomains apart, and leaves other hosts alone`, async () => {
    await using upstream = ScriptedUpstream.start();
    await using node = await startNode({
      upstream: upstream.url,
      config: {
        "listener.exposure": exposure,
        "guard.zones": [{ name: "tenants", key: "organization", rate: "6r/h", burst: 1 }],
      },
    });
    const client = { port: node.node.port, host: "o42.ingest.example.com" };
    assertEquals(await statusesOf(3, client), [200, 200, 429]);
    // Another name of the same organisation.
    const { status, headers } = await requestFrom({ ...client, host: "O42.ingest.us.example.com" });
    assertEquals([status, headers["x-sentry-rate-limits"]], [
      429,
      `${headers["retry-after"]}::organization:rate_zone`,
    ]);
    assertEquals(await statusesOf(2, { ...client, host: "o43.ingest.example.com" }), [200, 200]);
    assertEquals(await statusesOf(4, { ...client, host: "ingest.example.com" }), [200, 200, 200, 200]);
    assertEquals(node.node.metrics.total(METRICS.guardZone, { zone: "tenants", result: "refused" }), 2);
    assertEquals(node.node.metrics.total(METRICS.guardZoneKeys, { zone: "tenants" }), 2);
  });
}
