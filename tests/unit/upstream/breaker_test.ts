import { assert, assertEquals } from "@std/assert";
import { Breaker, CONSECUTIVE_MAX } from "../../../src/upstream/breaker.ts";

function opened(atMs = 0): Breaker {
  const breaker = new Breaker();
  for (let i = 0; i < CONSECUTIVE_MAX; i++) breaker.end(false, atMs);
  return breaker;
}

Deno.test("Breaker opens after failures in a row, not one earlier", () => {
  const breaker = new Breaker();
  for (let i = 0; i < CONSECUTIVE_MAX - 1; i++) breaker.end(false, 0);
  assert(breaker.allows(0));
  breaker.end(true, 0);
  for (let i = 0; i < CONSECUTIVE_MAX - 1; i++) breaker.end(false, 0);
  assert(breaker.allows(0), "a success in between starts the row over");
  breaker.end(false, 0);
  assertEquals(breaker.state, { kind: "open", untilMs: 1000, opens: 1 });
  assert(!breaker.allows(999));
});

Deno.test("Breaker opens when half of the requests of ten seconds failed, however they are mixed", () => {
  const breaker = new Breaker();
  for (let i = 0; i < 20; i++) breaker.end(i % 2 === 0, i * 100);
  assertEquals(breaker.state.kind, "open");
  const few = new Breaker();
  for (let i = 0; i < 18; i++) few.end(i % 2 === 0, i * 100);
  assertEquals(few.state.kind, "closed", "too few to judge");
  const slow = new Breaker();
  for (let i = 0; i < 40; i++) slow.end(i % 2 === 0, i * 1000);
  assertEquals(slow.state.kind, "closed", "never enough within the window");
});

Deno.test("Breaker lets one trial through when its time is over, and closes or opens for longer by it", () => {
  const breaker = opened();
  assert(breaker.allows(1000));
  breaker.begin(1000);
  assert(!breaker.allows(1000), "one at a time");
  breaker.end(false, 1100);
  assertEquals(breaker.state, { kind: "open", untilMs: 3100, opens: 2 });
  breaker.begin(3100);
  breaker.end(true, 3200);
  assertEquals(breaker.state.kind, "closed");
  assert(breaker.allows(3200));
});

Deno.test("Breaker is not kept half open by a trial that was given up", () => {
  const breaker = opened();
  breaker.begin(1000);
  breaker.forget();
  assert(breaker.allows(1000));
});

Deno.test("Breaker never stays open longer than half a minute", () => {
  const breaker = opened();
  let nowMs = 0;
  for (let i = 0; i < 50; i++) {
    const { state } = breaker;
    assert(state.kind === "open" && state.untilMs - nowMs <= 30_000);
    nowMs = state.untilMs;
    breaker.begin(nowMs);
    breaker.end(false, nowMs);
  }
});
