import { assertEquals } from "@std/assert";
import { redact, showValue } from "../../../src/config/redact.ts";

Deno.test("redact: user parts of URLs and whole secrets are left out, everything else stays", () => {
  const rows: readonly (readonly [unknown, unknown])[] = [
    ["https://key:pw@host/1", "https://[redacted]@host/1"],
    ["redis://:pw@a, redis://:pw@b", "redis://[redacted]@a, redis://[redacted]@b"],
    ["https://host/a@b", "https://host/a@b"],
    ["me@example.org", "me@example.org"],
    [{ a: ["http://u@h/"] }, { a: ["http://[redacted]@h/"] }],
    [5, 5],
    [null, null],
  ];
  for (const [value, shown] of rows) assertEquals(redact(value), shown);
  assertEquals(redact("x", true), "[redacted]");
  assertEquals(redact(null, true), null);
});

Deno.test("showValue: cut to a line", () => {
  assertEquals(showValue("x".repeat(500)).length, 81);
  assertEquals(showValue({ a: "\n" }), '{"a":"\\n"}');
  assertEquals(showValue("x".repeat(500), true), "[redacted]");
});
