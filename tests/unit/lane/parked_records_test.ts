import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { type ParkedRecord, ParkedRecords } from "../../../src/lane/parked_records.ts";

const parked = (dueMs: number): ParkedRecord => ({
  position: { segment: 1, offset: dueMs, bytes: 1, projectHash: 1 },
  projectHash: dueMs % 3,
  dueMs,
  history: { attempts: 1, serverErrors: 0, isCounted: false, policedItems: null },
});

Deno.test("ParkedRecords: nothing is handed out before it is due", () => {
  const records = new ParkedRecords();
  assertEquals(records.take(1e9), null);
  assertEquals(records.nextDueMs, Infinity);
  records.push(parked(100));
  assertEquals(records.take(99), null);
  assertEquals(records.nextDueMs, 100);
  assertEquals(records.take(100)?.dueMs, 100);
  assertEquals(records.size, 0);
});

Deno.test("ParkedRecords: any pushes come out in the order they fall due", () => {
  fc.assert(fc.property(fc.array(fc.nat(1000)), (dues) => {
    const records = new ParkedRecords();
    for (const due of dues) records.push(parked(due));
    const taken: number[] = [];
    for (let next = records.take(1000); next; next = records.take(1000)) taken.push(next.dueMs);
    assertEquals(taken, dues.toSorted((a, b) => a - b));
  }));
});
