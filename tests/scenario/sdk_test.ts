/** Real Sentry clients send through a node, from source and from the executable; everything arrives byte by byte. */
import { assert, assertEquals } from "@std/assert";
import { compiledNode } from "../support/compiled_node.ts";
import { NodeProcess } from "../support/node_process.ts";
import { RecordingProxy } from "../support/recording_proxy.ts";
import { report } from "../support/report.ts";
import { ScriptedUpstream } from "../support/scripted_upstream.ts";
import { installSdkClients } from "../support/sdk_clients.ts";
import { splitEnvelope } from "../support/split_envelope.ts";
import { sha256 } from "../support/test_cache.ts";
import { until } from "../support/until.ts";

/** What the clients together have to send; a client that stops sending one of these makes the test worthless. */
const ITEM_TYPES = ["attachment", "check_in", "event", "session", "span", "transaction", "user_report"];

const executable = await compiledNode();
if (executable.kind === "unavailable") report(`The executable is not tested: ${executable.why}`);

Deno.test("real clients: everything they send through a node from source arrives unchanged", async (t) => {
  await sendWithAll(t);
});

Deno.test({
  name: "real clients: everything they send through the executable arrives unchanged",
  ignore: executable.kind === "unavailable",
  fn: async (t) => {
    if (executable.kind === "built") await sendWithAll(t, executable.path);
  },
});

async function sendWithAll(t: Deno.TestContext, executablePath?: string): Promise<void> {
  const { clients, run } = await installSdkClients();
  await using upstream = ScriptedUpstream.start();
  await using node = await NodeProcess.start({
    upstream: upstream.url,
    ...(executablePath ? { executable: executablePath } : {}),
  });
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

function eventId(envelope: Uint8Array): string {
  return String(splitEnvelope(envelope).header.event_id ?? "");
}
