import { assert, assertAlmostEquals, assertEquals } from "@std/assert";
import { History, HISTORY_FIELDS, type HistorySample, quantile } from "../../../src/telemetry/history.ts";
import { TopProjects } from "../../../src/telemetry/top_projects.ts";

const sample = (value: number): HistorySample =>
  Object.fromEntries(HISTORY_FIELDS.map((name) => [name, value])) as unknown as HistorySample;

Deno.test("History: ten minutes of seconds and a day of minutes, no more", () => {
  const history = new History();
  for (let second = 0; second < 60 * 1500; second++) history.push(sample(second));
  const { minutes, day } = history.spans;
  assertEquals([minutes.values.requests.length, day.values.requests.length], [600, 1440]);
  assertEquals([minutes.values.requests[0], minutes.values.requests.at(-1)], [89_400, 89_999]);
  assertEquals(day.values.accepted.at(-1), 89_969.5);
  assertEquals(day.values.accepted[0], 60 * 60 + 29.5);
});

Deno.test("quantile: linear within a bucket, the last bound for what is beyond it, 0 for nothing", () => {
  assertEquals(quantile(0.5, [1, 2], [0, 0, 0]), 0);
  assertEquals(quantile(0.5, [1, 2], [2, 0, 0]), 0.5);
  assertEquals(quantile(0.75, [1, 2], [2, 2, 0]), 1.5);
  assertEquals(quantile(0.99, [1, 2], [0, 0, 5]), 2);
});

Deno.test("TopProjects: the busiest are found among 100,000, in fixed memory, and fade", () => {
  const top = new TopProjects();
  let now = 1_000_000;
  for (let i = 0; i < 300_000; i++) {
    now += 0.1;
    top.note(String(1000 + i % 100_000), true, 10, now);
    if (i % 10 === 0) top.note("7", i % 20 === 0, 100, now);
  }
  const [first] = TopProjects.busiest([new TopProjects(top.buffer)], 10, now);
  assertEquals(first!.project, "7");
  assertAlmostEquals(first!.accepted + first!.refused, 1000 * (1 - Math.exp(-0.5)), 80);
  assert(first!.refused > 0.4 * (first!.accepted + first!.refused));
  assertEquals(TopProjects.busiest([top], 10, now + 30 * 60_000), []);
});
