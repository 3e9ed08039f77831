import { assert, assertEquals } from "@std/assert";
import { Outage } from "../../../src/upstream/outage.ts";

Deno.test("Outage begins with a network error at the end of the grace window or later", () => {
  const outage = new Outage(() => 10_000);
  assertEquals(outage.state, { kind: "reachable" });
  assert(!outage.failed(1000));
  assertEquals(outage.state, { kind: "grace", sinceMs: 1000 });
  assert(!outage.failed(10_999));
  assert(outage.failed(11_000));
  assertEquals(outage.state, { kind: "outage", sinceMs: 1000 });
  assert(outage.isActive);
  assert(!outage.failed(12_000), "it is one already");
});

Deno.test("Outage starts over when anything is received inside the grace window", () => {
  const outage = new Outage(() => 10_000);
  outage.failed(0);
  assert(!outage.received(), "there was none to end");
  assert(!outage.failed(10_000));
  assertEquals(outage.state, { kind: "grace", sinceMs: 10_000 });
});

Deno.test("Outage ends with any answer", () => {
  const outage = new Outage(() => 0);
  assert(outage.failed(5), "without grace the first error is enough");
  assert(outage.received());
  assertEquals(outage.state, { kind: "reachable" });
});
