import { assert, assertEquals, assertGreater, assertLess } from "@std/assert";
import { AdaptiveConcurrency } from "../../../src/upstream/adaptive_concurrency.ts";
import { DrainProgress } from "../../../src/upstream/drain_progress.ts";
import { IdleLimit } from "../../../src/upstream/idle_limit.ts";
import { ProbeHealth } from "../../../src/upstream/endpoint_prober.ts";
import { FIRST_PER_SECOND, RAMP_MS, RecoveryRamp } from "../../../src/upstream/recovery_ramp.ts";
import { PER_SECOND, RetryBudget, SAVED_MAX } from "../../../src/upstream/retry_budget.ts";

Deno.test("RetryBudget: a share of the requests, some for nothing, and no more than what can be saved up", () => {
  const budget = new RetryBudget(0.25);
  const spendAll = (nowMs: number) => {
    let spent = 0;
    while (budget.spend(nowMs)) spent++;
    return spent;
  };
  assertEquals(spendAll(0), SAVED_MAX);
  for (let i = 0; i < 40; i++) budget.earn(0);
  assertEquals(spendAll(0), 10);
  assertEquals(spendAll(3000), 3 * PER_SECOND);
  for (let i = 0; i < 10_000; i++) budget.earn(3000);
  assertEquals(spendAll(3000), SAVED_MAX);
});

/** Requests are sent as many at once as allowed, to an upstream whose time grows beyond `capacity` of them. */
function settleAt(capacity: number, options: { from?: number; failing?: boolean } = {}): number[] {
  const concurrency = new AdaptiveConcurrency(4, () => 100);
  if (options.from === 4) concurrency.restart();
  const limits: number[] = [];
  for (let nowMs = 0; nowMs < 300_000;) {
    const { limit } = concurrency;
    const ms = 50 * Math.max(1, limit / capacity);
    nowMs += ms;
    for (let i = 0; i < limit; i++) concurrency.ended(options.failing ?? false, ms, limit, nowMs);
    limits.push(concurrency.limit);
  }
  return limits;
}

Deno.test("AdaptiveConcurrency stays at the ceiling while answers are quick", () => {
  const limits = settleAt(1000);
  assertEquals(limits.slice(10, 1000).filter((limit) => limit !== 100), []);
  const measuring = limits.filter((limit) => limit === 4);
  assertEquals(
    new Set(limits),
    new Set([4, 100]),
    "but for moments in which it is measured how quick they can be",
  );
  assertLess(measuring.length, limits.length / 100);
});

Deno.test("AdaptiveConcurrency falls to what an upstream can take without its time doubling, and no lower", () => {
  const limits = settleAt(10).filter((limit) => limit !== 4).slice(50);
  for (const limit of limits) assert(limit >= 10 && limit <= 50, String(limits));
});

Deno.test("AdaptiveConcurrency climbs from the floor to the ceiling", () => {
  const limits = settleAt(1000, { from: 4 }).slice(0, 500);
  assertLess(limits[9]!, 100);
  assertEquals(limits.at(-1), 100);
  assertEquals(limits, limits.toSorted((a, b) => a - b));
});

Deno.test("AdaptiveConcurrency falls to the floor while requests fail", () => {
  assertEquals(settleAt(1000, { failing: true }).at(-1), 4);
});

Deno.test("AdaptiveConcurrency does not climb on what was never used", () => {
  const concurrency = new AdaptiveConcurrency(4, () => 100);
  concurrency.restart();
  for (let nowMs = 0; nowMs < 60_000; nowMs += 100) concurrency.ended(false, 20, 1, nowMs);
  assertEquals(concurrency.limit, 4);
});

Deno.test("RecoveryRamp starts low, doubles, and ends", () => {
  const ramp = new RecoveryRamp();
  assertEquals(ramp.nextMs(0), -Infinity);
  ramp.start(0);
  const perSecond: number[] = [];
  let [sent, since] = [0, 0];
  for (let nowMs = 0; nowMs < RAMP_MS; nowMs++) {
    while (ramp.nextMs(nowMs) <= nowMs && nowMs < RAMP_MS) {
      ramp.sent(nowMs);
      sent++;
    }
    if ((nowMs + 1) % 1000 === 0) {
      perSecond.push(sent - since);
      since = sent;
    }
  }
  assert(perSecond[0]! >= FIRST_PER_SECOND && perSecond[0]! < 2 * FIRST_PER_SECOND, String(perSecond));
  for (let i = 1; i < perSecond.length; i++) {
    const growth = perSecond[i]! / perSecond[i - 1]!;
    assert(growth > 1.7 && growth < 2.3, String(perSecond));
  }
  assertEquals(ramp.nextMs(RAMP_MS), -Infinity);
});

Deno.test("RecoveryRamp makes up for no pause with a burst", () => {
  const ramp = new RecoveryRamp();
  ramp.start(0);
  let burst = 0;
  while (ramp.nextMs(3000) <= 3000) {
    ramp.sent(3000);
    burst++;
  }
  assertLess(burst, 0.06 * ramp.perSecond(3000) + 2);
});

Deno.test("IdleLimit learns from connections that were closed, and forgets", () => {
  const idle = new IdleLimit(15_000);
  assertEquals(idle.ms(0), 15_000);
  idle.closedAfter(4000, 0);
  assertEquals(idle.ms(0), 3000);
  idle.closedAfter(5000, 1000);
  assertEquals(idle.ms(1000), 3000, "as expected, and nothing new");
  idle.closedAfter(2000, 2000);
  assertEquals(idle.ms(2000), 1500);
  assertEquals(idle.ms(62_000), 3000);
  assertEquals(idle.ms(10 * 60_000), 15_000);
  idle.closedAfter(0, 700_000);
  assertGreater(idle.ms(700_000), 0);
});

Deno.test("ProbeHealth needs three silences to go down and two signs of life to come back", () => {
  const health = new ProbeHealth();
  const after = (...signs: boolean[]) => signs.map((sign) => [health.report(sign), health.isUp][1]);
  assertEquals(after(false, false, true, false, false, false), [true, true, true, true, true, false]);
  assertEquals(after(true, false, true, true), [false, false, false, true]);
});

Deno.test("DrainProgress tells rate and end of a backlog, growth included", () => {
  const progress = new DrainProgress();
  progress.sample(500, 0);
  assertEquals(progress.drain, null);
  let waiting = 10_000;
  for (let nowMs = 250; nowMs <= 60_000; nowMs += 250) progress.sample(waiting -= 25, nowMs);
  const { perSecond, secondsLeft, peak } = progress.drain!;
  assert(Math.abs(perSecond - 100) < 1 && Math.abs(secondsLeft! - waiting / 100) < 1);
  assertEquals(peak, 9975);
  for (let nowMs = 60_250; nowMs <= 120_000; nowMs += 250) progress.sample(waiting += 25, nowMs);
  assertEquals(progress.drain!.secondsLeft, null);
  progress.sample(900, 121_000);
  assertEquals(progress.drain, null);
});
