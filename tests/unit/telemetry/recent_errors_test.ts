import { assertEquals } from "@std/assert";
import { RecentErrors } from "../../../src/telemetry/recent_errors.ts";

Deno.test("RecentErrors: warnings and worse, the newest first, a bounded number", () => {
  const errors = new RecentErrors();
  const entry = (timeMs: number, level: "info" | "warn" | "error") => ({
    timeMs,
    level,
    room: "spool",
    message: "m".repeat(1000),
    template: "",
    fields: {},
  });
  errors.note(entry(0, "info"));
  for (let i = 1; i <= 30; i++) errors.note(entry(i, i % 2 ? "warn" : "error"));
  errors.close();
  assertEquals([errors.newest.length, errors.newest[0]!.atMs, errors.newest.at(-1)!.atMs], [20, 30, 11]);
  assertEquals(errors.newest[0]!.message.length, 300);
});
