import { assertEquals } from "@std/assert";
import { Live } from "../../../src/core/live.ts";

Deno.test("Live: a view shows the fields of the present value, a copy those of its own time", () => {
  const live = new Live({ inner: { a: 1, b: "x" } });
  const view = live.view(({ inner }) => inner);
  const copy = { ...view };
  live.set({ inner: { a: 2, b: "y" } });
  assertEquals([view.a, view.b, copy.a], [2, "y", 1]);
  assertEquals({ ...view }, { a: 2, b: "y" });
});

Deno.test("Live: watchers hear the present value and every later one, when it is already in force", () => {
  const live = new Live(1);
  const heard: [number, number][] = [];
  live.watch((value) => heard.push([value, live.current]));
  live.set(2);
  live.set(3);
  assertEquals(heard, [[1, 1], [2, 2], [3, 3]]);
});
