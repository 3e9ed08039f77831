/** Real Sentry clients send through a node, from source and from the executable; everything arrives byte by byte. */
import { assert, assertEquals } from "@std/assert";
import { type NodeVariant, testEachNode } from "../support/each_node.ts";
import { NodeProcess, TEST_KEY } from "../support/node_process.ts";
import { RecordingProxy } from "../support/recording_proxy.ts";
import { ScriptedUpstream } from "../support/scripted_upstream.ts";
import { installSdkClients } from "../support/sdk_clients.ts";
import { splitEnvelope } from "../support/split_envelope.ts";
import { sha256 } from "../support/test_cache.ts";
import { until } from "../support/until.ts";

/** What the clients together have to send; a client that stops sending one of these makes the test worthless. */
const ITEM_TYPES = [
  "attachment",
  "check_in",
  "event",
  "log",
  "profile_chunk",
  "session",
  "span",
  "trace_metric",
  "transaction",
  "user_report",
];

testEachNode("Real clients: every envelope they send through a node arrives unchanged", sendWithAll);

testEachNode(
  "OpenTelemetry exporters: what they send arrives at the upstream's own routes",
  sendWithOtel,
);

async function sendWithAll(t: Deno.TestContext, variant: NodeVariant): Promise<void> {
  const { clients, run } = await installSdkClients();
  await using upstream = ScriptedUpstream.start();
  await using node = await NodeProcess.start({ ...variant, upstream: upstream.url });
  const types = new Set<unknown>();

  for (const client of clients) {
    await t.step(client.name, async () => {
      await using wire = new RecordingProxy(node.port);
      const before = upstream.requests.length;
      await run(client, node.dsn(1, wire.port));

      const sent = wire.requests();
      assert(sent.length > 0, "the client sent something");
      assertEquals(wire.statuses(), sent.map(() => 200));
      await until("everything arrives", () => upstream.requests.length >= before + sent.length);

      const arrived = upstream.requests.slice(before);
      assertEquals(
        arrived.map(({ body }) => eventId(body)).toSorted(),
        sent.map(({ body }) => eventId(body)).toSorted(),
      );
      assertEquals(
        arrived.map(({ body }) => sha256(body)).toSorted(),
        sent.map(({ body }) => sha256(body)).toSorted(),
      );
      for (const { body } of sent) {
        splitEnvelope(body).items.forEach(({ headers }) => types.add(headers.type));
      }
    });
  }
  assertEquals(ITEM_TYPES.filter((type) => !types.has(type)), []);
}

async function sendWithOtel(_t: Deno.TestContext, variant: NodeVariant): Promise<void> {
  const { otel, run } = await installSdkClients();
  await using upstream = ScriptedUpstream.start({
    routes: /^\/api\/1\/integration\/otlp\/v1\/(traces|logs)$/,
  });
  await using node = await NodeProcess.start({ ...variant, upstream: upstream.url });
  await using wire = new RecordingProxy(node.port);
  await run(otel, node.dsn(1, wire.port));

  const sent = wire.requests();
  assertEquals(wire.statuses(), [200, 200, 200]);
  await until("everything arrives", () => upstream.others.length >= sent.length);
  const seen = upstream.others.map(({ path, headers, body }) =>
    `${path} ${headers.get("content-type")} ${sha256(body)}`
  );
  assertEquals(
    seen.toSorted(),
    sent.map(({ target, headers, body }) => `${target} ${headers.get("content-type")} ${sha256(body)}`)
      .toSorted(),
  );
  for (const { headers } of upstream.others) {
    assertEquals(headers.get("x-sentry-auth"), `Sentry sentry_key=${TEST_KEY}, sentry_version=7`);
  }
}

function eventId(envelope: Uint8Array): string {
  return String(splitEnvelope(envelope).header.event_id ?? "");
}
