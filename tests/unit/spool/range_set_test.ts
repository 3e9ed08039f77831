import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { RangeSet } from "../../../src/spool/range_set.ts";

Deno.test("RangeSet: touching ranges melt together, gaps stay", () => {
  const set = new RangeSet();
  set.add(10, 20);
  set.add(30, 40);
  assertEquals(set.bounds(), [10, 20, 30, 40]);
  set.add(20, 30);
  assertEquals([set.bounds(), set.prefix], [[10, 40], 0]);
  set.add(0, 10);
  assertEquals([set.bounds(), set.prefix], [[0, 40], 40]);
});

Deno.test("RangeSet: for any order of settling it equals the list of what is settled, and survives its own form", () => {
  const lengths = fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 60 });
  fc.assert(fc.property(lengths, fc.infiniteStream(fc.nat()), fc.boolean(), (sizes, random, isCopied) => {
    let end = 0;
    const records = sizes.map((size) => [end, end += size] as const);
    const order = records.map((range) => ({ range, rank: random.next().value as number }))
      .sort((a, b) => a.rank - b.rank).map(({ range }) => range);
    let set = new RangeSet();
    const settled = new Set<number>();
    for (const [from, to] of order) {
      set.add(from, to);
      settled.add(from);
      if (isCopied) set = RangeSet.from(set.bounds());
      const expected = merged(records.filter(([start]) => settled.has(start)));
      assertEquals(set.bounds(), expected.flat());
      for (let at = 0; at <= end; at++) {
        assertEquals(set.endAround(at), expected.find(([start, end]) => start <= at && at < end)?.[1]);
      }
    }
    assertEquals(set.prefix, end);
  }));
});

Deno.test("RangeSet: two projects settled in turn at far ends of a segment keep their gaps", () => {
  const set = new RangeSet();
  const expected: number[] = [];
  for (let at = 0; at < 200; at++) {
    set.add(10 + at * 20, 20 + at * 20);
    set.add(100_000 - at * 20, 100_010 - at * 20);
    expected.push(10 + at * 20, 20 + at * 20, 100_000 - at * 20, 100_010 - at * 20);
  }
  assertEquals(set.bounds(), expected.sort((a, b) => a - b));
});

function merged(ranges: readonly (readonly [number, number])[]): [number, number][] {
  const result: [number, number][] = [];
  for (const [from, to] of ranges) {
    const last = result.at(-1);
    if (last && last[1] === from) last[1] = to;
    else result.push([from, to]);
  }
  return result;
}

Deno.test("RangeSet: a range that overlaps others fills what is between them", () => {
  const bound = fc.integer({ min: 0, max: 60 });
  const range = fc.tuple(bound, bound).map(([a, b]) => [Math.min(a, b), Math.max(a, b) + 1] as const);
  fc.assert(fc.property(fc.array(range, { minLength: 1, maxLength: 12 }), (ranges) => {
    const set = new RangeSet();
    const bytes = new Set<number>();
    for (const [from, to] of ranges) {
      set.fill(from, to);
      for (let at = from; at < to; at++) bytes.add(at);
    }
    const filled = [...bytes].sort((a, b) => a - b).map((at) => [at, at + 1] as const);
    assertEquals(set.bounds(), merged(filled).flat());
  }));
});
