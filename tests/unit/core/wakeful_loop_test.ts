import { assertEquals } from "@std/assert";
import { WakefulLoop } from "../../../src/core/wakeful_loop.ts";
import { ManualClock } from "../../support/manual_clock.ts";

/** A loop whose turns last until they are woken, or a second. */
function setUp() {
  const clock = new ManualClock();
  const loop = new WakefulLoop();
  const turns: number[] = [];
  loop.start(async (woken) => {
    turns.push(clock.monotonic());
    await clock.sleep(1000, woken);
  });
  return { clock, loop, turns };
}

Deno.test("WakefulLoop: a turn follows the other, news ends the pause of one alone", async () => {
  const { clock, loop, turns } = setUp();
  await clock.advance(1500);
  loop.wake();
  await clock.advance(1999);
  assertEquals(turns, [0, 1000, 1500, 2500]);
  await loop.stop();
});

Deno.test("WakefulLoop: stopping waits for the turn under way, and no other follows", async () => {
  const loop = new WakefulLoop();
  const work = Promise.withResolvers<void>();
  let turns = 0;
  loop.start(() => (turns++, work.promise));
  let isOver = false;
  const stopping = loop.stop().then(() => isOver = true);
  await Promise.resolve();
  assertEquals([isOver, loop.stopped.aborted], [false, true]);
  work.resolve();
  await stopping;
  assertEquals(turns, 1);
});

Deno.test("WakefulLoop: what was never started can be stopped", async () => {
  await new WakefulLoop().stop();
});
