import { assertEquals, assertRejects } from "@std/assert";
import { type KnownRelay, readRelay, RelayKeys, RelayLookupError } from "../../../src/control/relay_keys.ts";
import { SecretKey } from "../../../src/protocol/signature.ts";
import { METRIC_LAYOUT } from "../../../src/telemetry/catalogue.ts";
import { Metrics } from "../../../src/telemetry/registry.ts";
import { QueryError } from "../../../src/upstream/query_client.ts";
import { FakeQueries } from "../../support/fake_queries.ts";
import { ManualClock } from "../../support/manual_clock.ts";

const { publicKey } = SecretKey.generate();
const shown = (relay: KnownRelay | null) => relay && [relay.publicKey.text, relay.internal];

function setUp(statics: [string, KnownRelay][] = []) {
  const clock = new ManualClock();
  const queries = new FakeQueries();
  const relays = new RelayKeys({
    statics: new Map(statics),
    queries,
    clock,
    metrics: new Metrics(METRIC_LAYOUT),
    expiryMs: 3_600_000,
    missExpiryMs: 60_000,
    batchIntervalMs: 100,
  });
  return { clock, queries, relays };
}

Deno.test("RelayKeys: relays of the configuration are known without asking", async () => {
  const { queries, relays } = setUp([["a", { publicKey, internal: true }]]);
  assertEquals(shown(await relays.find("a")), [publicKey.text, true]);
  assertEquals(queries.asked.length, 0);
});

Deno.test("RelayKeys: others are asked for together, known ones for an hour, unknown ones for a minute", async () => {
  const { clock, queries, relays } = setUp();
  const found = Promise.all([relays.find("a"), relays.find("b"), relays.find("a")]);
  await clock.advance(100);
  assertEquals(queries.asked.map(({ query, body }) => [query, body]), [["public_keys", {
    relay_ids: ["a", "b"],
  }]]);
  queries.last.answer({ relays: { a: { publicKey: publicKey.text, internal: false }, b: null } });
  assertEquals((await found).map(shown), [[publicKey.text, false], null, [publicKey.text, false]]);
  await clock.advance(59_999);
  assertEquals([shown(await relays.find("b")), queries.asked.length], [null, 1]);
  await clock.advance(1);
  const again = relays.find("b");
  await clock.advance(100);
  assertEquals(queries.last.body, { relay_ids: ["b"] });
  queries.last.answer({ relays: { b: { publicKey: publicKey.text, internal: true } } });
  assertEquals(shown(await again), [publicKey.text, true]);
  await clock.advance(3_600_000 - 60_101);
  assertEquals(shown(await relays.find("a")), [publicKey.text, false]);
  await clock.advance(1000);
  void relays.find("a").catch(() => {});
  await clock.advance(100);
  assertEquals(queries.last.body, { relay_ids: ["a"] });
  await relays.stop();
});

Deno.test("RelayKeys: an upstream that does not answer says nothing about a relay", async () => {
  const { clock, queries, relays } = setUp();
  const found = relays.find("a");
  await clock.advance(100);
  queries.last.fail(new QueryError("network", "refused"));
  await assertRejects(() => found, RelayLookupError, "refused");
  const again = relays.find("a");
  await clock.advance(100);
  queries.last.answer({ relays: { a: { publicKey: publicKey.text } } });
  assertEquals(shown(await again), [publicKey.text, false]);
});

const answers: [what: string, answer: unknown, expected: unknown][] = [
  ["today's form", { relays: { a: { publicKey: publicKey.text, internal: true } } }, [publicKey.text, true]],
  ["the legacy form", { public_keys: { a: publicKey.text } }, [publicKey.text, false]],
  ["null", { relays: { a: null } }, null],
  ["nothing", {}, null],
  ["no answer", null, null],
  ["a broken key", { relays: { a: { publicKey: "short", internal: true } } }, null],
];
for (const [what, answer, expected] of answers) {
  Deno.test(`readRelay: ${what}`, () => assertEquals(shown(readRelay(answer, "a")), expected));
}
