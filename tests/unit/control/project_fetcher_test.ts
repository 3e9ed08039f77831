import { assertEquals } from "@std/assert";
import { ProjectFetcher } from "../../../src/control/project_fetcher.ts";
import { ProjectCache } from "../../../src/projects/project_cache.ts";
import { METRIC_LAYOUT, METRICS } from "../../../src/telemetry/catalogue.ts";
import { Metrics } from "../../../src/telemetry/registry.ts";
import { QueryError } from "../../../src/upstream/query_client.ts";
import { FakeQueries } from "../../support/fake_queries.ts";
import { ManualClock } from "../../support/manual_clock.ts";

const key = (n: number) => String(n).padStart(32, "0");

function setUp(o: { batchSize?: number; requestsMax?: number; isAllowed?: boolean } = {}) {
  const clock = new ManualClock();
  const queries = new FakeQueries();
  const metrics = new Metrics(METRIC_LAYOUT);
  const cache = new ProjectCache({
    expiryMs: 300_000,
    graceMs: 120_000,
    refreshMs: null,
    projectsMax: 1000,
    retryMsMax: 60_000,
    random: () => 0,
  });
  const permission = { isAllowed: o.isAllowed ?? true };
  const fetcher = new ProjectFetcher({
    cache,
    queries,
    clock,
    metrics,
    batchIntervalMs: 100,
    batchSize: o.batchSize ?? 500,
    requestsMax: o.requestsMax ?? 5,
    fullConfig: false,
    retryIntervalMsMax: 60_000,
    failureIntervalMs: 90_000,
    random: () => 0,
    isAllowed: () => permission.isAllowed,
    onChange: () => {},
  });
  fetcher.start();
  return { clock, queries, metrics, cache, fetcher, permission };
}

const keysOf = ({ body }: { body: Readonly<Record<string, unknown>> }) => body.publicKeys as string[];

Deno.test("ProjectFetcher: keys that are wanted within the interval go together", async () => {
  const { clock, queries, fetcher } = setUp();
  fetcher.want([key(1)]);
  await clock.advance(50);
  fetcher.want([key(2), key(1)]);
  await clock.advance(49);
  assertEquals(queries.asked.length, 0);
  await clock.advance(1);
  assertEquals(queries.last.body, {
    publicKeys: [key(1), key(2)],
    revisions: [null, null],
    fullConfig: false,
    noCache: false,
  });
  queries.last.answer({ configs: {} });
  await clock.advance(1000);
  assertEquals(queries.asked.length, 1);
  await fetcher.stop();
});

Deno.test("ProjectFetcher: a round is split into requests, and the next one waits for all of their answers", async () => {
  const { clock, queries, fetcher } = setUp({ batchSize: 2, requestsMax: 2 });
  fetcher.want([1, 2, 3, 4, 5].map(key));
  await clock.advance(100);
  assertEquals(queries.asked.map(keysOf), [[key(1), key(2)], [key(3), key(4)]]);
  queries.asked[0]!.answer({ configs: {} });
  await clock.advance(500);
  assertEquals(queries.asked.length, 2);
  queries.asked[1]!.answer({ configs: {} });
  await clock.advance(100);
  assertEquals(keysOf(queries.last), [key(5)]);
  await fetcher.stop();
});

Deno.test("ProjectFetcher: only a round without any answer makes the next one wait longer", async () => {
  const { clock, queries, fetcher, metrics } = setUp({ batchSize: 1, requestsMax: 2 });
  const network = new QueryError("network", "refused");
  fetcher.want([key(1), key(2)]);
  await clock.advance(100);
  queries.asked[0]!.fail(network);
  queries.asked[1]!.answer({ configs: {} });
  await clock.advance(100);
  assertEquals(queries.asked.length, 3, "one was answered: no pause");
  for (const pauseMs of [1000, 1500]) {
    queries.last.fail(network);
    const before = queries.asked.length;
    await clock.advance(100 + pauseMs - 1);
    assertEquals(queries.asked.length, before);
    await clock.advance(1);
    assertEquals(queries.asked.length, before + 1);
  }
  assertEquals(metrics.read(METRICS.projectFetches, "failed"), 3);
  queries.last.answer({ configs: {} });
  await clock.advance(0);
  assertEquals(metrics.read(METRICS.projectFetches, "disabled"), 2);
  assertEquals(metrics.read(METRICS.projectsCached, "disabled"), 2);
  await fetcher.stop();
});

Deno.test("ProjectFetcher: a key that waits for its turn does not keep others waiting", async () => {
  const { clock, queries, fetcher } = setUp();
  fetcher.want([key(1)]);
  await clock.advance(100);
  for (let n = 0; n < 8; n++) {
    queries.last.answer({ pending: [key(1)] });
    const before = queries.asked.length;
    while (queries.asked.length === before) await clock.advance(100);
  }
  queries.last.answer({ pending: [key(1)] });
  await clock.advance(200);
  const before = queries.asked.length;
  fetcher.want([key(2)]);
  await clock.advance(100);
  assertEquals(queries.asked.slice(before).map(keysOf), [[key(2)]]);
  await fetcher.stop();
});

Deno.test("ProjectFetcher: an answer that is none counts as no answer", async () => {
  const { clock, queries, cache, fetcher } = setUp();
  fetcher.want([key(1)]);
  await clock.advance(100);
  queries.last.answer({ configs: 7 });
  await clock.advance(0);
  assertEquals([cache.lookup(key(1)), cache.counts.pending], [null, 1]);
  await fetcher.stop();
});

Deno.test("ProjectFetcher: asks nothing without permission, and goes on when there is one", async () => {
  const { clock, queries, fetcher, permission } = setUp({ isAllowed: false });
  fetcher.want([key(1)]);
  await clock.advance(10_000);
  assertEquals(queries.asked.length, 0);
  permission.isAllowed = true;
  fetcher.recheck();
  await clock.advance(100);
  assertEquals(queries.asked.length, 1);
  await fetcher.stop();
  assertEquals(clock.pending, 0);
});
