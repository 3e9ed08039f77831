import { assertEquals } from "@std/assert";
import { DiskBudget } from "../../../src/spool/disk_budget.ts";

Deno.test("DiskBudget: reserves up to the bound and not a byte more, for every isolate alike", () => {
  const budget = DiskBudget.create(100, 40);
  const other = DiskBudget.attach(budget.buffer);
  assertEquals(budget.tryReserve(50), true);
  assertEquals(other.tryReserve(11), false);
  assertEquals(other.tryReserve(10), true);
  assertEquals([budget.bytesUsed, budget.bytesMax], [100, 100]);
  other.release(60);
  assertEquals(budget.bytesUsed, 40);
});

Deno.test("DiskBudget: counts beyond four gigabytes", () => {
  const budget = DiskBudget.create(2 ** 45);
  assertEquals(budget.tryReserve(2 ** 44), true);
  assertEquals(budget.bytesUsed, 2 ** 44);
});
