/** Quotas shared by nodes: control reference, section 6. */
import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import type { CountedQuota } from "../../../src/projects/quotas/quota.ts";
import { Fleet, FleetNode, type StoreMood } from "../../support/quota_fleet.ts";
import { ManualClock } from "../../support/manual_clock.ts";
import { openRedisStore } from "../../../src/control/redis_store.ts";
import { until } from "../../support/until.ts";

const DAY_SECONDS = 86_400;
const quota = (limit: number, more: Partial<CountedQuota> = {}): CountedQuota => ({
  id: "q",
  categories: ["error"],
  scope: "organization",
  reason: "spent",
  limit,
  windowSeconds: DAY_SECONDS,
  ...more,
});

Deno.test("quotas: what a lane admits binds the other lanes at once, and other nodes after an exchange", async () => {
  await using fleet = new Fleet(2, 2);
  const [one, two] = fleet.nodes as [FleetNode, FleetNode];
  const shared = quota(5);
  assertEquals([one.take(shared, 2, 0), one.take(shared, 2, 1)], [null, null]);
  assert(one.take(shared, 2, 1) !== null);
  await fleet.settle();
  assertEquals(two.take(shared), null, "it has asked for nothing yet, so it knows nothing");
  await fleet.settle();
  assertEquals(
    [two.exhaust(shared), one.exhaust(shared)],
    [0, 1],
    "the first learns when it tells something",
  );
  await fleet.settle();
  assertEquals([one.exhaust(shared), two.exhaust(shared)], [0, 0]);
});

Deno.test("quotas: a store that is away from the start lets each node have the limit, and is told later", async () => {
  await using fleet = new Fleet(2);
  const [one, two] = fleet.nodes as [FleetNode, FleetNode];
  fleet.store.mood = "away";
  await fleet.settle();
  assertEquals([one.isAway, two.isAway, one.exchanges("ok")], [true, true, 0]);
  assertEquals([one.exhaust(quota(5)), two.exhaust(quota(9), 2)], [5, 2]);
  await fleet.clock.advance(60_000);
  assertEquals([one.exhaust(quota(5)), fleet.store.total], [0, 0]);
  fleet.store.mood = "well";
  await fleet.clock.advance(5_000);
  assertEquals([one.isAway, two.isAway, fleet.store.total], [false, false, 7]);
  assertEquals(two.take(quota(9)), null);
  await fleet.settle();
  assertEquals(two.exhaust(quota(9)), 1, "eight of nine were told by then");
});

Deno.test("quotas: a store that goes away between two exchanges costs nothing that was admitted", async () => {
  await using fleet = new Fleet(2);
  const [one, two] = fleet.nodes as [FleetNode, FleetNode];
  const shared = quota(10);
  await fleet.settle();
  one.exhaust(shared, 3);
  fleet.store.mood = "away";
  await fleet.settle();
  assertEquals(
    [one.isAway, fleet.store.open],
    [true, 1],
    "its connection is closed, the other one not used yet",
  );
  one.exhaust(shared, 3);
  fleet.store.mood = "well";
  await fleet.clock.advance(5_000);
  assertEquals(fleet.store.total, 6);
  assertEquals(two.take(shared), null);
  await fleet.settle();
  assertEquals(two.exhaust(shared), 3);
});

Deno.test("quotas: a store that comes back with nothing is told everything", async () => {
  await using fleet = new Fleet(1);
  const [node] = fleet.nodes as [FleetNode];
  node.exhaust(quota(10), 3);
  await fleet.settle();
  fleet.store.windows.clear();
  fleet.store.mood = "away";
  node.exhaust(quota(10, { id: "other" }), 1);
  await fleet.settle();
  assertEquals([node.isAway, fleet.store.total], [true, 0]);
  fleet.store.mood = "well";
  await fleet.clock.advance(5_000);
  assertEquals(fleet.store.total, 4);
});

Deno.test("quotas: what is admitted while the store takes its time is told with the next exchange", async () => {
  await using fleet = new Fleet(1);
  const [node] = fleet.nodes as [FleetNode];
  await fleet.settle();
  const gate = Promise.withResolvers<void>();
  fleet.store.gate = gate.promise;
  node.exhaust(quota(10), 3);
  await fleet.settle();
  node.exhaust(quota(10), 2);
  await fleet.settle();
  assertEquals(fleet.store.total, 3);
  gate.resolve();
  await fleet.settle();
  assertEquals([fleet.store.total, node.isAway], [5, false]);
});

Deno.test("quotas: an answer that is lost is asked for again, and nothing is counted twice", async () => {
  await using fleet = new Fleet(1);
  const [node] = fleet.nodes as [FleetNode];
  await fleet.settle();
  fleet.store.mood = "forgetful";
  assertEquals(node.exhaust(quota(10), 4), 4);
  await fleet.clock.advance(10_000);
  assert(fleet.store.batches.length > 2);
  fleet.store.mood = "well";
  await fleet.clock.advance(5_000);
  assertEquals([fleet.store.total, node.exhaust(quota(10))], [4, 6]);
});

Deno.test("quotas: a store that does not answer is away after two seconds; what comes meanwhile is told after", async () => {
  await using fleet = new Fleet(1);
  const [node] = fleet.nodes as [FleetNode];
  await fleet.settle();
  fleet.store.mood = "silent";
  node.exhaust(quota(10), 3);
  await fleet.clock.advance(2_000);
  assertEquals(node.isAway, false);
  node.exhaust(quota(10), 2);
  await fleet.clock.advance(400);
  assertEquals([node.isAway, fleet.store.open], [true, 0]);
  fleet.store.mood = "well";
  await fleet.clock.advance(12_000);
  assertEquals([node.isAway, fleet.store.total, node.exhaust(quota(10))], [false, 5, 5]);
});

Deno.test("quotas: a connection that is never made is given up, and tried again", async () => {
  await using fleet = new Fleet(1);
  const [node] = fleet.nodes as [FleetNode];
  fleet.store.mood = "silent";
  await fleet.clock.advance(10_000);
  assertEquals([node.isAway, fleet.store.givenUp], [false, 0]);
  await fleet.clock.advance(300);
  assertEquals([node.isAway, fleet.store.givenUp, node.exchanges("error")], [true, 1, 1]);
  await fleet.clock.advance(60_000);
  assert(fleet.store.givenUp >= 4, `${fleet.store.givenUp} attempts`);
  assertEquals(node.exhaust(quota(3)), 3);
  fleet.store.mood = "well";
  await fleet.clock.advance(20_000);
  assertEquals([node.isAway, fleet.store.open], [false, 1]);
});

for (const rubbish of [[NaN], [], [-1], [Infinity], ["7"], [undefined], [1, 2]]) {
  Deno.test(`quotas: a store that answers with [${rubbish.map(String)}] counts as away`, async () => {
    await using fleet = new Fleet(1);
    const [node] = fleet.nodes as [FleetNode];
    await fleet.settle();
    fleet.store.rubbish = rubbish;
    assertEquals(node.take(quota(5)), null);
    await fleet.settle();
    assertEquals([node.isAway, node.exhaust(quota(5))], [true, 4]);
    fleet.store.rubbish = null;
    await fleet.clock.advance(5_000);
    assertEquals([node.isAway, fleet.store.total], [false, 5]);
  });
}

Deno.test("quotas: what is told after the end of its window does not count in the next one", async () => {
  await using fleet = new Fleet(2);
  const [one, two] = fleet.nodes as [FleetNode, FleetNode];
  const minute = quota(5, { windowSeconds: 60 });
  // Windows of this organisation end at second 7 of every minute.
  await fleet.clock.advance(56_950);
  assertEquals(new Date(fleet.clock.now()).getUTCSeconds(), 6);
  assertEquals([one.exhaust(minute, 4), two.exhaust(minute, 4)], [4, 4]);
  await fleet.clock.advance(60);
  assertEquals([one.exhaust(minute), two.exhaust(minute, 0)], [5, 0]);
  await fleet.settle();
  assertEquals(two.take(minute), null);
  await fleet.settle();
  assertEquals(two.exhaust(minute), 0);
  assertEquals([...fleet.store.windows.values()].map((fields) => [...fields.values()]), [[4, 4], [5, 1]]);
});

Deno.test("quotas: a clock that leaps ahead and back forgets nothing that was told", async () => {
  await using fleet = new Fleet(2);
  const [one, two] = fleet.nodes as [FleetNode, FleetNode];
  const minute = quota(6, { windowSeconds: 60 });
  assertEquals(one.exhaust(minute, 5), 5);
  await fleet.settle();
  fleet.clock.jump(3_600_000);
  await fleet.settle();
  assertEquals(one.exhaust(minute), 6);
  await fleet.settle();
  fleet.clock.jump(-3_600_000);
  assertEquals(one.take(minute), null, "its own count of that window is gone");
  await fleet.settle();
  assertEquals([one.exhaust(minute), two.take(minute)], [0, null]);
  await fleet.settle();
  assertEquals(two.exhaust(minute), 0);
  const totals = [...fleet.store.windows.values()].map((fields) => [...fields.values()]);
  assertEquals(totals, [[5, 1, 1], [6]], "told beside what was told before");
});

Deno.test("quotas: wherever the clock is set, a refusal ends with its window, which the store keeps until it is over", async () => {
  const step = fc.record({ jumpMs: fc.integer({ min: -200_000, max: 200_000 }), pauseMs: fc.nat(3_000) });
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 12 }), async (steps) => {
      await using fleet = new Fleet(1);
      const [node] = fleet.nodes as [FleetNode];
      const minute = quota(2, { windowSeconds: 60 });
      for (const { jumpMs, pauseMs } of steps) {
        fleet.clock.jump(jumpMs);
        assert(node.exhaust(minute) <= 2);
        const left = node.take(minute)!.expiresAtMs - fleet.clock.now();
        assert(left > 0 && left <= 60_000, `${left} ms`);
        await fleet.clock.advance(pauseMs);
      }
      for (const { keepMs } of fleet.store.batches.flat()) assert(keepMs >= 60_000);
    }),
    { numRuns: 40 },
  );
});

/** Takes of random lanes, between which the store may change its mind. */
const takes = fc.array(
  fc.record({
    node: fc.nat(2),
    lane: fc.nat(1),
    quantity: fc.integer({ min: 1, max: 5 }),
    mood: fc.constantFrom<StoreMood>("well", "well", "well", "away", "forgetful", "silent"),
  }),
  { maxLength: 40 },
);

Deno.test("quotas: three nodes that settle between takes admit beyond the limit one take each at most", async () => {
  await fc.assert(
    fc.asyncProperty(takes, fc.integer({ min: 1, max: 40 }), async (steps, limit) => {
      await using fleet = new Fleet(3, 2);
      for (const { node, lane, quantity } of steps) {
        fleet.nodes[node]!.take(quota(limit), quantity, lane);
        await fleet.settle();
      }
      assert(fleet.admitted <= limit + 3 * 5, `${fleet.admitted} of ${limit}`);
      assertEquals(fleet.store.total, fleet.admitted);
    }),
    { numRuns: 60 },
  );
});

Deno.test("quotas: whatever the store does, no node admits more than the limit, and all of it is told in the end", async () => {
  await fc.assert(
    fc.asyncProperty(takes, fc.integer({ min: 1, max: 40 }), async (steps, limit) => {
      await using fleet = new Fleet(3, 2);
      for (const { node, lane, quantity, mood } of steps) {
        fleet.store.mood = mood;
        fleet.nodes[node]!.take(quota(limit), quantity, lane);
        await fleet.clock.advance(150);
        for (const { admitted } of fleet.nodes) assert(admitted <= limit, `${admitted} of ${limit}`);
      }
      fleet.store.mood = "well";
      await fleet.clock.advance(30_000);
      assertEquals(fleet.store.total, fleet.admitted);
      for (const node of fleet.nodes) assertEquals(node.isAway, false);
    }),
    { numRuns: 60 },
  );
});

Deno.test("quotas: a node that starts anew counts what it admitted before as another's", async () => {
  await using fleet = new Fleet(1);
  await fleet.settle();
  fleet.nodes[0]!.exhaust(quota(5), 4);
  await fleet.nodes[0]!.stop();
  const again = new FleetNode(fleet.clock, fleet.store, 1);
  assertEquals(again.take(quota(5)), null);
  await fleet.settle();
  assertEquals(again.exhaust(quota(5)), 0);
  await again.stop();
});

Deno.test("quotas: a drain tells what was admitted last, and waits for no store that does not answer", async () => {
  const fleet = new Fleet(2);
  const [one, two] = fleet.nodes as [FleetNode, FleetNode];
  await fleet.settle();
  one.exhaust(quota(5), 3);
  await one.stop();
  assertEquals([fleet.store.total, fleet.store.open], [3, 1]);
  two.take(quota(5));
  fleet.store.mood = "silent";
  await two.stop();
  assertEquals(fleet.store.open, 0);
});

Deno.test("quotas: without a store nothing is told, and each node has the limit", async () => {
  const clock = new ManualClock();
  const node = new FleetNode(clock, null, 2);
  assertEquals(node.exhaust(quota(5)), 5);
  assertEquals([clock.pending, node.exchanges("ok"), node.isAway], [0, 0, false]);
  await node.stop();
});

Deno.test("quotas: windows are told in round trips of a thousand, beyond 65,536 they are not followed", async () => {
  await using fleet = new Fleet(1);
  const [node] = fleet.nodes as [FleetNode];
  const windowEndMs = fleet.clock.now() + 60_000;
  const usages = Array.from({ length: 65_537 }, (_, n) => ({
    name: `q${n}`,
    window: 1,
    windowEndMs,
    quantity: 1,
  }));
  node.exchange.include(usages);
  await fleet.clock.advance(400);
  // The clock lets promises settle now and then only.
  for (let turn = 0; turn < 100; turn++) await fleet.clock.advance(0);
  assertEquals(fleet.store.windows.size, 65_536);
  assertEquals(Math.max(...fleet.store.batches.map(({ length }) => length)), 1000);
  await fleet.clock.advance(120_001);
  node.exchange.include([usages[65_536]!]);
  await fleet.clock.advance(400);
  assertEquals(fleet.store.windows.size, 65_536, "windows that are over make room, and are not told");
});

Deno.test("openRedisStore: a server that takes connections and says nothing holds none of them", async () => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const ended: Promise<unknown>[] = [];
  const accepting = (async () => {
    for await (const connection of listener) {
      ended.push(connection.readable.pipeTo(new WritableStream()).catch(() => {}));
    }
  })();
  const givingUp = new AbortController();
  const opening = openRedisStore(`redis://:x@127.0.0.1:${listener.addr.port}`, null, givingUp.signal);
  const refused = opening.then(() => null, (error) => error);
  await until("it has connected", () => ended.length > 0);
  givingUp.abort();
  assert(await refused instanceof Error);
  await ended[0];
  listener.close();
  await accepting;
});
