import { assertEquals } from "@std/assert";
import { RootWaits } from "../../../src/lane/root_waits.ts";

const record = (projectHash: number, offset: number) => ({
  position: { segment: 1, offset, bytes: 10, projectHash },
  projectHash,
  history: { attempts: 0, serverErrors: 0, isCounted: false, policedItems: null },
});
const offsets = (records: readonly { readonly position: { readonly offset: number } }[]) =>
  records.map(({ position }) => position.offset);
const nobody = (): void => {};

Deno.test("RootWaits: what waits for a root goes on when it is known, and the others are asked for again", () => {
  const waits = new RootWaits();
  assertEquals([waits.add("a", record(1, 0), 0), waits.add("b", record(1, 1), 5)], [true, true]);
  assertEquals(waits.add("a", record(2, 2), 9), true);
  assertEquals([waits.size, waits.countOf(1), waits.countOf(2), waits.nextDueMs], [3, 2, 1, 60_000]);
  const asked: string[] = [];
  assertEquals(offsets(waits.takeKnown((key) => key === "b", (key) => asked.push(key))), [0, 2]);
  assertEquals([asked, waits.size, waits.countOf(1), waits.countOf(2)], [["b"], 1, 1, 0]);
  assertEquals(waits.nextDueMs, 60_005);
});

Deno.test("RootWaits: the first record starts the time; after it the root is not waited for until it is known", () => {
  const waits = new RootWaits();
  waits.add("a", record(1, 0), 0);
  waits.add("a", record(1, 1), 59_999);
  assertEquals(offsets(waits.takeOverdue(59_999)), []);
  assertEquals(offsets(waits.takeOverdue(60_000)), [0, 1]);
  assertEquals([waits.size, waits.countOf(1), waits.nextDueMs], [0, 0, Infinity]);
  assertEquals(waits.add("a", record(1, 2), 60_001), false);
  waits.takeKnown(() => true, nobody);
  assertEquals(waits.add("a", record(1, 2), 60_002), false);
  waits.takeKnown(() => false, nobody);
  // Forgotten since, and so unknown again.
  assertEquals(waits.add("a", record(1, 2), 60_003), true);
});

Deno.test("RootWaits: so many of a project wait, and so many of all; what comes on top does not", () => {
  const waits = new RootWaits();
  let waiting = 0;
  for (let project = 0; project < 13; project++) {
    let own = 0;
    while (waits.add("a", record(project, own), 0)) own++;
    assertEquals(own, Math.min(4096, 50_000 - waiting));
    waiting += own;
  }
  assertEquals([waiting, waits.size], [50_000, 50_000]);
  assertEquals(waits.takeKnown(() => false, nobody).length, 50_000);
  assertEquals([waits.size, waits.add("a", record(0, 0), 0)], [0, true]);
});

Deno.test("RootWaits: beyond ten thousand roots nothing waits for more", () => {
  const waits = new RootWaits();
  for (let n = 0; n < 10_000; n++) assertEquals(waits.add(`root ${n}`, record(n, n), n), true);
  assertEquals(waits.add("one more", record(1, 0), 10_000), false);
  assertEquals(waits.add("root 7", record(1, 0), 10_000), true);
  assertEquals(waits.takeOverdue(Infinity).length, 10_001);
  // The ones given up are bounded as well, the oldest forgotten first.
  assertEquals(waits.add("one more", record(1, 0), 10_001), true);
  waits.takeOverdue(Infinity);
  assertEquals(waits.add("root 0", record(1, 0), 10_002), true);
  assertEquals(waits.add("root 1", record(1, 0), 10_002), false);
});
