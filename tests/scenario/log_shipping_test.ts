/** Logs of a node on their way to receivers of each kind, which are in trouble at first. */
import { assert, assertEquals } from "@std/assert";
import { startNode } from "../support/node_fixture.ts";
import { postEvent } from "../support/post_event.ts";
import { ScriptedUpstream } from "../support/scripted_upstream.ts";
import { until } from "../support/until.ts";
import { METRICS } from "../../src/telemetry/catalogue.ts";

const PATHS = { http: "/", loki: "/loki/api/v1/push", elasticsearch: "/_bulk", otlp: "/v1/logs" } as const;

/** Event ids in a body, whatever its protocol. */
function eventsIn(body: string): string[] {
  return [...body.matchAll(/\bevent\\?"(?::\\?|,"value":\{"stringValue":)"([0-9a-f]{32})/g)].map(([, id]) =>
    id!
  );
}

Deno.test("log shipping: four protocols over real sockets, through an outage; answers do not wait, every line arrives", async () => {
  await using upstream = ScriptedUpstream.start();
  const received: Record<string, string[]> = {};
  const wrong: string[] = [];
  let isDown = true;
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, async (request) => {
    const { pathname } = new URL(request.url);
    if (request.headers.get("authorization") !== "Bearer of-the-receiver") wrong.push("no credentials");
    if (request.headers.get("content-encoding") !== "gzip") wrong.push("not compressed");
    const stream = request.body!.pipeThrough(new DecompressionStream("gzip"));
    const text = await new Response(stream).text();
    if (isDown) return new Response("down", { status: 503 });
    (received[pathname] ??= []).push(...eventsIn(text));
    return Response.json({ errors: false });
  });
  const sinks = Object.entries(PATHS).map(([type, path]) => ({
    name: type,
    type,
    url: `http://127.0.0.1:${server.addr.port}${path}`,
    headers: { authorization: "Bearer of-the-receiver" },
    batch_interval: "50ms",
  }));
  {
    await using fixture = await startNode({ upstream: upstream.url, config: { log_shipping: sinks } });
    const { node } = fixture;
    const ids: string[] = [];
    for (let i = 0; i < 20; i++) {
      const { eventId, status } = await postEvent(fixture.url);
      assertEquals(status, 200);
      ids.push(eventId);
    }
    await until(
      "batches wait on disk",
      () => [...node.metrics.series(METRICS.logShippingBytes)].every(({ values }) => values[0]! > 0),
    );
    isDown = false;
    await until(
      "all arrives",
      () => Object.values(PATHS).every((path) => (received[path]?.length ?? 0) >= ids.length),
    );
    for (const path of Object.values(PATHS)) assertEquals(new Set(received[path]), new Set(ids));
    await until(
      "it is counted",
      () => [...node.metrics.series(METRICS.logShipped)].every(({ values }) => values[0]! >= ids.length),
    );
    assertEquals([...node.metrics.series(METRICS.logShippingDropped)], []);
    assert([...node.metrics.series(METRICS.logShipped)].length === 4);
  }
  await server.shutdown();
  assertEquals(wrong, []);
});
