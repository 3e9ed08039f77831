import { assertEquals } from "@std/assert";
import type { LogEntry } from "../../../src/telemetry/log_entry.ts";
import { BURST, RepeatFilter } from "../../../src/telemetry/repeat_filter.ts";

const entry = (timeMs: number, template = "refused", message = template): LogEntry => ({
  timeMs,
  level: "warn",
  room: "upstream",
  message,
  template,
  fields: { reason: "x" },
});

function filter(): {
  filter: { push(entry: LogEntry): void } & Pick<RepeatFilter, "flush">;
  written: LogEntry[];
} {
  const written: LogEntry[] = [];
  const repeats = new RepeatFilter((entry) => written.push(entry));
  const push = (entry: LogEntry): void => repeats.push(entry.template, entry.timeMs, () => entry);
  return { filter: { push, flush: (...now) => repeats.flush(...now) }, written };
}

Deno.test("RepeatFilter: a burst passes, the rest of the minute is told as a number", () => {
  const { filter: one, written } = filter();
  for (let i = 0; i < 4231; i++) one.push(entry(i, "refused", `refused: ${i}`));
  assertEquals(written.length, BURST);
  one.flush(59_999);
  assertEquals(written.length, BURST);
  one.flush(60_000);
  assertEquals(written.at(-1), {
    ...entry(60_000),
    message: "repeated 4,211 times in 60 s: refused: 4230",
    fields: { reason: "x", repeated: 4211, seconds: 60 },
  });
  one.push(entry(60_001));
  assertEquals(written.length, BURST + 2);
});

Deno.test("RepeatFilter: the next entry of its kind ends a minute, too; kinds do not touch each other", () => {
  const { filter: one, written } = filter();
  for (let i = 0; i <= BURST; i++) one.push(entry(0));
  one.push(entry(1, "another"));
  assertEquals(written.length, BURST + 1);
  one.push(entry(60_000));
  assertEquals(written.slice(-2).map(({ message }) => message), [
    "repeated 1 times in 60 s: refused",
    "refused",
  ]);
});

Deno.test("RepeatFilter: at the end everything is told; what passed is not told twice", () => {
  const { filter: one, written } = filter();
  for (let i = 0; i < BURST + 5; i++) one.push(entry(0));
  one.push(entry(0, "once"));
  one.flush(2000, true);
  one.flush(2000, true);
  assertEquals(written.length, BURST + 2);
  assertEquals(written.at(-1)!.message, "repeated 5 times in 2 s: refused");
});

Deno.test("RepeatFilter: of ten thousand kinds a thousand are remembered, and none is lost uncounted", () => {
  const { filter: one, written } = filter();
  const each = BURST + 1;
  for (let kind = 0; kind < 10_000; kind++) {
    for (let i = 0; i < each; i++) one.push(entry(kind, `kind ${kind}`));
  }
  assertEquals(written.length, 10_000 * BURST + 9000);
  one.flush(10_000, true);
  const told = written.filter(({ fields }) => fields.repeated !== undefined);
  assertEquals(told.length, 10_000);
});
