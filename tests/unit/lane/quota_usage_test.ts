import { assertEquals } from "@std/assert";
import { QuotaUsageTeller } from "../../../src/lane/quota_usage.ts";
import type { CountedQuota } from "../../../src/projects/quotas/quota.ts";
import { QuotaCounters, type QuotaUsage } from "../../../src/projects/quotas/quota_counters.ts";
import { ManualClock } from "../../support/manual_clock.ts";

const IDS = { organization: null, project: "42", key: "9" };
const quota = (id: string): CountedQuota => ({
  id,
  categories: ["error"],
  scope: "key",
  reason: null,
  limit: 5,
  windowSeconds: 60,
});

function teller() {
  const clock = new ManualClock();
  const told: [string, number][][] = [];
  const tell = (usage: readonly QuotaUsage[]) =>
    void told.push(usage.map(({ name, quantity }) => [name.split(":")[0]!, quantity]));
  const usage = new QuotaUsageTeller(new QuotaCounters().buffer, clock, tell);
  const take = (id: string, quantity: number): boolean =>
    usage.counters.take([{ quota: quota(id), quantity }], IDS, clock.now()) === null;
  return { clock, told, usage, take };
}

Deno.test("QuotaUsageTeller: what is admitted within 100 ms is told together, what is refused is not", async () => {
  const { clock, told, take } = teller();
  assertEquals([take("a", 2), take("b", 1), take("a", 2), take("a", 2)], [true, true, true, false]);
  await clock.advance(99);
  assertEquals(told, []);
  await clock.advance(1);
  assertEquals(told, [[["a", 4], ["b", 1]]]);
  await clock.advance(1000);
  assertEquals([told.length, clock.pending], [1, 0]);
  take("a", 1);
  await clock.advance(100);
  assertEquals(told[1], [["a", 1]]);
});

Deno.test("QuotaUsageTeller: windows are told apart, with the moment their window ends", async () => {
  const clock = new ManualClock(59_950);
  const told: QuotaUsage[] = [];
  const usage = new QuotaUsageTeller(new QuotaCounters().buffer, clock, (usage) => void told.push(...usage));
  const take = () => usage.counters.take([{ quota: quota("a"), quantity: 1 }], IDS, clock.now());
  take();
  await clock.advance(60);
  take();
  await clock.advance(100);
  assertEquals(told.map(({ window, windowEndMs, quantity }) => [window, windowEndMs, quantity]), [
    [0, 60_000, 1],
    [1, 120_000, 1],
  ]);
});

Deno.test("QuotaUsageTeller: a half that ends tells the rest, once", async () => {
  const { clock, told, usage, take } = teller();
  take("a", 3);
  usage.close();
  assertEquals(told, [[["a", 3]]]);
  await clock.advance(1000);
  usage.close();
  assertEquals(told.length, 1);
});

Deno.test("QuotaUsageTeller: nothing is gathered where nobody wants to know", () => {
  const clock = new ManualClock();
  const usage = new QuotaUsageTeller(new QuotaCounters().buffer, clock, null);
  usage.counters.take([{ quota: quota("a"), quantity: 1 }], IDS, clock.now());
  assertEquals(clock.pending, 0);
  usage.close();
});
