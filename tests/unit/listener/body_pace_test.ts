import { assertEquals } from "@std/assert";
import { BodyPace, BodyPaces, type PaceLimits } from "../../../src/listener/body_pace.ts";
import { ManualClock } from "../../support/manual_clock.ts";

const LIMITS: PaceLimits = { timeoutMs: 8000, bytesPerSecondMin: 100, requestTimeoutMs: 60_000 };

/** Lets a client send `bytes` every `everyMs`; the time at which it was ended, or null if it got through `spanMs`. */
async function endOf(
  o: { bytes: number; everyMs: number; spanMs: number; limits?: Partial<PaceLimits>; unseen?: number },
): Promise<number | null> {
  const clock = new ManualClock();
  const paces = new BodyPaces(clock, { ...LIMITS, ...o.limits });
  const pace = new BodyPace();
  let endMs: number | null = null;
  paces.wait(pace, () => endMs = clock.monotonic(), o.unseen);
  while (endMs === null && clock.monotonic() < o.spanMs) {
    await clock.advance(o.everyMs);
    if (o.bytes > 0) paces.received(pace, o.bytes);
  }
  paces.stop(pace);
  paces.close();
  assertEquals(clock.pending, 0);
  return endMs;
}

Deno.test("a body that pauses is ended, at most an eighth of the timeout late", async () => {
  assertEquals(await endOf({ bytes: 0, everyMs: 1000, spanMs: 60_000 }), 8000);
  assertEquals(await endOf({ bytes: 1e6, everyMs: 9000, spanMs: 60_000 }), 8000);
});

Deno.test("a body below the least rate is ended after one span of it", async () => {
  assertEquals(await endOf({ bytes: 1, everyMs: 1000, spanMs: 60_000 }), 8000);
  assertEquals(await endOf({ bytes: 99, everyMs: 1000, spanMs: 60_000 }), 8000);
  assertEquals(
    await endOf({ bytes: 1, everyMs: 1000, spanMs: 50_000, limits: { bytesPerSecondMin: 0 } }),
    null,
  );
});

Deno.test("a slow upload of a large body passes, and a bursty one", async () => {
  // 16.5 KiB a second for an hour: it earns more than a second each second.
  assertEquals(await endOf({ bytes: 16_900, everyMs: 1000, spanMs: 3_600_000 }), null);
  assertEquals(await endOf({ bytes: 120_000, everyMs: 7000, spanMs: 3_600_000 }), null);
});

Deno.test("a body just above the least rate has the time of its request and what it earned", async () => {
  // 8 KiB a second earn half a second each second: twice the time, but for the last second, which came after the look.
  assertEquals(await endOf({ bytes: 8192, everyMs: 1000, spanMs: 3_600_000 }), 119_000);
});

Deno.test("a body that shows nothing before its end gets the time of the least rate", async () => {
  assertEquals(await endOf({ bytes: 0, everyMs: 1000, spanMs: 60_000, unseen: 400 }), 12_000);
});

Deno.test("time in which nobody waits for the client does not count", async () => {
  const clock = new ManualClock();
  const paces = new BodyPaces(clock, LIMITS);
  const pace = new BodyPace();
  let isLate = false;
  for (let piece = 0; piece < 20; piece++) {
    paces.wait(pace, () => isLate = true);
    await clock.advance(100);
    paces.received(pace, 500);
    paces.stop(pace);
    await clock.advance(10_000);
  }
  assertEquals([isLate, clock.pending], [false, 0]);
});

Deno.test("a body that stops being waited for in the middle of a sweep is left alone", async () => {
  const clock = new ManualClock();
  const paces = new BodyPaces(clock, LIMITS);
  const [first, second] = [new BodyPace(), new BodyPace()];
  const ended: string[] = [];
  paces.wait(first, () => {
    ended.push("first");
    paces.stop(second);
  });
  paces.wait(second, () => ended.push("second"));
  await clock.advance(20_000);
  assertEquals([ended, clock.pending], [["first"], 0]);
});
