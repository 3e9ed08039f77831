import { assert, assertEquals } from "@std/assert";
import { Backoff } from "../../../src/core/backoff.ts";

Deno.test("Backoff: grows by the factor up to the ceiling and starts over after reset", () => {
  const backoff = new Backoff({ baseMs: 1000, factor: 1.5, maxMs: 4000 });
  assertEquals([1, 2, 3, 4, 5].map(() => backoff.next()), [1000, 1500, 2250, 3375, 4000]);
  assertEquals(backoff.attempts, 5);
  backoff.reset();
  assertEquals(backoff.next(), 1000);
});

Deno.test("Backoff: jitter takes away at most its share", () => {
  const least = new Backoff({ baseMs: 100, factor: 2, maxMs: 1000, jitter: 0.25, random: () => 1 });
  const most = new Backoff({ baseMs: 100, factor: 2, maxMs: 1000, jitter: 0.25, random: () => 0 });
  assertEquals([least.next(), least.next()], [75, 150]);
  assertEquals([most.next(), most.next()], [100, 200]);
});

Deno.test("Backoff: stays at the ceiling after thousands of attempts", () => {
  const backoff = new Backoff({ baseMs: 1, factor: 2, maxMs: 60_000, jitter: 1 });
  for (let attempt = 0; attempt < 5000; attempt++) assert(backoff.next() <= 60_000);
});

Deno.test("Backoff: may start at once and grow from the second delay on", () => {
  const backoff = new Backoff({ baseMs: 1000, factor: 1.5, maxMs: 2000, startsAtOnce: true });
  assertEquals([1, 2, 3, 4].map(() => backoff.next()), [0, 1000, 1500, 2000]);
  backoff.reset();
  assertEquals(backoff.next(), 0);
});
