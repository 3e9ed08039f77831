import { assertEquals } from "@std/assert";
import { GlobalConfigFetcher } from "../../../src/control/global_config_fetcher.ts";
import { QueryError } from "../../../src/upstream/query_client.ts";
import { FakeQueries } from "../../support/fake_queries.ts";
import { ManualClock } from "../../support/manual_clock.ts";

function setUp(isAllowed = true) {
  const clock = new ManualClock();
  const queries = new FakeQueries();
  const permission = { isAllowed };
  const taken: unknown[] = [];
  const fetcher = new GlobalConfigFetcher({
    queries,
    clock,
    intervalMs: 10_000,
    isAllowed: () => permission.isAllowed,
    onChange: ({ raw }) => taken.push(raw),
  });
  fetcher.start();
  return { clock, queries, permission, taken, fetcher };
}

Deno.test("GlobalConfigFetcher: asks at once, then an interval after each answer, and tells changes alone (section 5)", async () => {
  const { clock, queries, taken, fetcher } = setUp();
  await clock.advance(0);
  assertEquals(queries.last.body, { global: true, publicKeys: [] });
  await clock.advance(25_000);
  assertEquals(queries.asked.length, 1, "one question at a time");
  for (const global of [{ options: { a: 1 } }, { options: { a: 1 } }, { options: { a: 2 } }]) {
    queries.last.answer({ global, globalStatus: "ready" });
    await clock.advance(9999);
    const { length } = queries.asked;
    await clock.advance(1);
    assertEquals(queries.asked.length, length + 1);
  }
  assertEquals(taken, [{ options: { a: 1 } }, { options: { a: 2 } }]);
  assertEquals(fetcher.ageMs, 10_000);
  await fetcher.stop();
});

Deno.test("GlobalConfigFetcher: what is not ready, no configuration or no answer is none, and is asked for again", async () => {
  const { clock, queries, taken, fetcher } = setUp();
  await clock.advance(0);
  for (const answer of [{ global: {}, globalStatus: "pending" }, {}, "nonsense"]) {
    queries.last.answer(answer);
    await clock.advance(10_000);
  }
  queries.last.fail(new QueryError("network", "refused"));
  await clock.advance(10_000);
  assertEquals([queries.asked.length, taken, fetcher.ageMs], [5, [], null]);
  await fetcher.stop();
});

Deno.test("GlobalConfigFetcher: permission to ask is used at once before the first answer, and waits its turn after", async () => {
  const { clock, queries, permission, fetcher } = setUp(false);
  await clock.advance(3000);
  assertEquals(queries.asked.length, 0);
  permission.isAllowed = true;
  fetcher.recheck();
  await clock.advance(0);
  assertEquals(queries.asked.length, 1);
  queries.last.answer({ global: {} });
  await clock.advance(1);
  fetcher.recheck();
  await clock.advance(9998);
  assertEquals(queries.asked.length, 1);
  await clock.advance(1);
  assertEquals(queries.asked.length, 2);
  await fetcher.stop();
});
