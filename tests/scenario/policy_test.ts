/** What a node decides about envelopes by what is in them. Sections are those of the ingestion reference. */
import { assertEquals } from "@std/assert";
import { METRICS } from "../../src/telemetry/catalogue.ts";
import { type NodeFixture, startNode } from "../support/node_fixture.ts";
import { TEST_KEY } from "../support/node_process.ts";
import { ScriptedUpstream } from "../support/scripted_upstream.ts";

const EVENT_ID = "c".repeat(32);
const auth = { "x-sentry-auth": `Sentry sentry_key=${TEST_KEY}` };

async function send(node: NodeFixture, body: string): Promise<[number, string]> {
  const answer = await fetch(`${node.url}/api/1/envelope/`, { method: "POST", body, headers: auth });
  return [answer.status, await answer.text()];
}

Deno.test("an envelope that asks for features a project does not have is refused: section 5.1", async () => {
  await using upstream = ScriptedUpstream.start();
  const files = {
    "projects/1.json": JSON.stringify({
      publicKeys: [{ publicKey: TEST_KEY }],
      config: { features: ["organizations:a"] },
    }),
  };
  await using node = await startNode({ upstream: upstream.url, config: { "relay.mode": "static" }, files });
  const asking = (feature: string) =>
    send(node, `{"event_id":"${EVENT_ID}","required_features":["${feature}"]}\n{"type":"event"}\n{}`);
  assertEquals(await asking("organizations:b"), [
    403,
    `{"detail":"event submission rejected with_reason: FeatureDisabled(organizations:b)"}`,
  ]);
  assertEquals((await asking("organizations:a"))[0], 200);
  await upstream.until(() => upstream.requests.length === 1);
});

for (const isAccepted of [true, false]) {
  const fate = isAccepted ? "forwarded" : "left out, and counted";
  Deno.test(`with routing.accept_unknown_items ${isAccepted} unknown items are ${fate}: section 3.4`, async () => {
    await using upstream = ScriptedUpstream.start();
    const config = { "routing.accept_unknown_items": isAccepted };
    await using node = await startNode({ upstream: upstream.url, config });
    const event = `{"type":"event"}\n{}`;
    const future = `{"type":"future","length":3}\na\nb`;
    assertEquals(await send(node, `{}\n${future}`), [200, "{}"]);
    assertEquals(await send(node, `{"event_id":"${EVENT_ID}"}\n${event}\n${future}`), [
      200,
      `{"id":"${EVENT_ID}"}`,
    ]);
    await upstream.until(() => upstream.requests.some(({ eventId }) => eventId === EVENT_ID));
    const types = upstream.requests.map(({ items }) => items.map(({ headers }) => headers.type).join());
    assertEquals(types.toSorted(), isAccepted ? ["event,future", "future"] : ["event"]);
    const dropped = node.node.metrics.read(METRICS.outcomes, "invalid", "unknown_item", "default");
    assertEquals(dropped, isAccepted ? 0 : 2);
  });
}
