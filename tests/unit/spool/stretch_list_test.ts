import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { type RecordStretch, StretchList, StretchPool } from "../../../src/spool/stretch_list.ts";

const stretch = (from: number, oldestMs = 0, segment = 1): RecordStretch => ({
  segment,
  from,
  to: from + 10,
  records: 1,
  oldestMs,
});
const drained = (list: StretchList): RecordStretch[] => {
  const all: RecordStretch[] = [];
  for (let next = list.shift(); next; next = list.shift()) all.push(next);
  return all;
};

Deno.test("StretchList.push: neighbours of one segment and of about one time share a stretch", () => {
  const list = new StretchList(new StretchPool());
  const took = [
    stretch(0, 5),
    stretch(10, 6),
    stretch(30, 6),
    stretch(40, 4),
    stretch(50, 90),
    stretch(60, 95, 2),
  ]
    .map((each) => list.push(each, 20));
  assertEquals(took, [true, false, true, true, true, true]);
  assertEquals([list.length, list.records, list.bytes], [5, 6, 60]);
  assertEquals(list.shift(), { segment: 1, from: 0, to: 20, records: 2, oldestMs: 5 });
});

Deno.test("StretchList: any operations on lists that share memory are those on arrays", () => {
  const operation = fc.record({
    kind: fc.constantFrom("push", "unshift", "shift", "append"),
    list: fc.nat(2),
    other: fc.nat(2),
  });
  fc.assert(fc.property(fc.array(operation, { maxLength: 200 }), (operations) => {
    const pool = new StretchPool();
    const lists = [0, 1, 2].map(() => new StretchList(pool));
    const arrays: RecordStretch[][] = [[], [], []];
    let from = 0;
    for (const { kind, list, other } of operations) {
      const next = stretch(from += 20, from);
      if (kind === "push") arrays[list]!.push(next), lists[list]!.push(next);
      else if (kind === "unshift") arrays[list]!.unshift(next), lists[list]!.unshift(next);
      else if (kind === "shift") assertEquals(lists[list]!.shift(), arrays[list]!.shift() ?? null);
      else if (list !== other) {
        arrays[list]!.push(...arrays[other]!.splice(0));
        lists[list]!.append(lists[other]!);
      }
      assertEquals(lists.map(({ length }) => length), arrays.map(({ length }) => length));
    }
    assertEquals(pool.used, arrays.flat().length);
    assertEquals(lists.map(drained), arrays);
    assertEquals([pool.used, ...lists.map(({ bytes, records }) => bytes + records)], [0, 0, 0, 0]);
  }));
});

Deno.test("StretchPool: places are used again, also beyond one block", () => {
  const pool = new StretchPool();
  const list = new StretchList(pool);
  for (let round = 0; round < 3; round++) {
    for (let n = 0; n < 20_000; n++) list.push(stretch(n * 20));
    assertEquals(pool.used, 20_000);
    for (let n = 0; n < 20_000; n++) assertEquals(list.shift()?.from, n * 20);
  }
  assertEquals(list.shift(), null);
});
