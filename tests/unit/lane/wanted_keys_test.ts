import { assertEquals } from "@std/assert";
import { WantedKeys } from "../../../src/lane/wanted_keys.ts";
import { ManualClock } from "../../support/manual_clock.ts";

function fixture() {
  const clock = new ManualClock();
  const told: (readonly string[])[] = [];
  return { clock, told, wanted: new WantedKeys({ clock, tell: (keys) => told.push(keys) }) };
}

Deno.test("WantedKeys: told in one batch, each key once, and again after a while", async () => {
  const { clock, told, wanted } = fixture();
  for (const key of ["a", "b", "a"]) wanted.want(key);
  assertEquals(told, []);
  await clock.advance(10);
  assertEquals(told, [["a", "b"]]);
  for (const key of ["b", "c"]) wanted.want(key);
  await clock.advance(10);
  assertEquals(told, [["a", "b"], ["c"]]);
  await clock.advance(10_000);
  wanted.want("a");
  await clock.advance(10);
  assertEquals(told.at(-1), ["a"]);
});

Deno.test("WantedKeys: bounded in a time, and silent once closed", async () => {
  const { clock, told, wanted } = fixture();
  for (let n = 0; n < 30_000; n++) wanted.want(`${n}`);
  await clock.advance(10);
  assertEquals(told.map(({ length }) => length), [10_000]);
  await clock.advance(10_000);
  wanted.want("late");
  wanted.close();
  await clock.advance(10);
  assertEquals([told.length, clock.pending], [1, 0]);
});
