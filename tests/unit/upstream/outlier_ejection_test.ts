import { assertEquals } from "@std/assert";
import { OutlierEjection } from "../../../src/upstream/outlier_ejection.ts";

const OPTIONS = { failuresMax: 5, baseMs: 30_000, maxMs: 300_000 };

function judge(...ids: string[]): OutlierEjection {
  const ejection = new OutlierEjection(OPTIONS);
  ejection.setMembers(ids);
  ejection.evaluate(0);
  return ejection;
}

const failing = (failed: number) => ({ answered: 0, failed, trailing: failed });
const kinds = (ejection: OutlierEjection, ...ids: string[]) => ids.map((id) => ejection.stateOf(id)?.kind);

Deno.test("OutlierEjection ejects after failures in a row, also over several looks", () => {
  const ejection = judge("a", "b");
  ejection.observe("a", failing(3));
  assertEquals(ejection.evaluate(100), []);
  ejection.observe("a", failing(2));
  assertEquals(ejection.evaluate(200), ["a"]);
  assertEquals(ejection.stateOf("a"), { kind: "out", untilMs: 30_200, ejections: 1 });
});

Deno.test("OutlierEjection counts only failures since the last answer", () => {
  const ejection = judge("a", "b");
  ejection.observe("a", { answered: 1, failed: 100, trailing: 4 });
  assertEquals(ejection.evaluate(100), []);
  ejection.observe("a", { answered: 1, failed: 5, trailing: 5 });
  assertEquals(ejection.evaluate(200), ["a"]);
});

Deno.test("OutlierEjection never ejects the last endpoint", () => {
  const ejection = judge("a", "b", "c");
  for (const id of ["a", "b", "c"]) ejection.observe(id, failing(50));
  assertEquals(ejection.evaluate(100), ["a", "b"]);
  assertEquals(kinds(ejection, "a", "b", "c"), ["out", "out", "in"]);
  const sole = judge("a");
  sole.observe("a", failing(1000));
  assertEquals(sole.evaluate(100), []);
});

Deno.test("OutlierEjection lasts longer each time, within bounds, and forgives", () => {
  const ejection = judge("a", "b");
  let nowMs = 0;
  const lengths: number[] = [];
  for (let i = 0; i < 12; i++) {
    ejection.observe("a", failing(5));
    ejection.evaluate(nowMs);
    const state = ejection.stateOf("a")!;
    if (state.kind !== "out") throw new Error("not ejected");
    lengths.push((state.untilMs - nowMs) / 1000);
    nowMs = state.untilMs;
    assertEquals(ejection.evaluate(nowMs), ["a"], "returned");
  }
  assertEquals(lengths, [30, 60, 90, 120, 150, 180, 210, 240, 270, 300, 300, 300]);
  nowMs += 12 * 300_000;
  for (let at = 0; at <= 12; at++) ejection.evaluate(nowMs + at * 300_000);
  assertEquals(ejection.stateOf("a")?.ejections, 0);
});

Deno.test("OutlierEjection ejects who answers much worse than the others, at most half of them", () => {
  const ejection = judge("a", "b", "c", "d");
  const rates: Record<string, number> = { a: 0.99, b: 1, c: 0.98, d: 0.5 };
  const observe = () => {
    for (const [id, rate] of Object.entries(rates)) {
      ejection.observe(id, { answered: 100 * rate, failed: 100 * (1 - rate), trailing: 0 });
    }
  };
  observe();
  assertEquals(ejection.evaluate(10_000), ["d"]);
  Object.assign(rates, { a: 0.5, b: 0.5, c: 0.5 });
  observe();
  assertEquals(ejection.evaluate(20_000), [], "all alike: nobody stands out");
});

Deno.test("OutlierEjection does not compare endpoints with little traffic", () => {
  const ejection = judge("a", "b", "c");
  for (const id of ["a", "b"]) ejection.observe(id, { answered: 100, failed: 0, trailing: 0 });
  ejection.observe("c", { answered: 10, failed: 15, trailing: 1 });
  assertEquals(ejection.evaluate(10_000), []);
});

Deno.test("OutlierEjection lets everybody in when only those that are out remain", () => {
  const ejection = judge("a", "b");
  ejection.observe("a", failing(5));
  ejection.evaluate(100);
  ejection.setMembers(["a"]);
  assertEquals(kinds(ejection, "a", "b"), ["in", undefined]);
});
