import { assertEquals } from "@std/assert";
import fc from "fast-check";
import {
  createPermits,
  permitFloor,
  resizePermits,
  SharedPermits,
} from "../../../src/core/shared_permits.ts";

function holders(total: number, count: number): { buffer: SharedArrayBuffer; all: SharedPermits[] } {
  const buffer = createPermits(total, count);
  const floor = permitFloor(total, count);
  return {
    buffer,
    all: Array.from({ length: count }, (_, index) => new SharedPermits(buffer, index, floor)),
  };
}
const takeAll = (permits: SharedPermits): number => {
  let taken = 0;
  while (permits.tryTake()) taken++;
  return taken;
};

Deno.test("SharedPermits: one that works alone gets all but the floors of the others, which stay theirs", () => {
  const { all: [first, second] } = holders(100, 2);
  assertEquals(takeAll(first!), 88);
  assertEquals(takeAll(second!), 12);
  for (let n = 0; n < 30; n++) first!.give();
  assertEquals(takeAll(second!), 30);
  assertEquals([takeAll(holders(100, 1).all[0]!), takeAll(holders(1, 3).all[2]!)], [100, 1]);
});

Deno.test("SharedPermits: what a dead holder had comes back with its successor", () => {
  const { buffer, all: [first, second] } = holders(100, 2);
  takeAll(first!);
  const successor = new SharedPermits(buffer, 0, permitFloor(100, 2));
  assertEquals(takeAll(second!), 88);
  assertEquals(takeAll(successor), 12);
});

Deno.test("SharedPermits: however they are taken and given, there are never more than there were", () => {
  const step = fc.record({ holder: fc.nat(2), takes: fc.boolean() });
  fc.assert(fc.property(fc.integer({ min: 3, max: 40 }), fc.array(step), (total, steps) => {
    const { all } = holders(total, 3);
    const taken = [0, 0, 0];
    for (const { holder, takes } of steps) {
      if (takes) taken[holder]! += all[holder]!.tryTake() ? 1 : 0;
      else if (taken[holder]! > 0) {
        all[holder]!.give();
        taken[holder]!--;
      }
      const sum = taken.reduce((a, b) => a + b);
      if (sum > total) throw new Error(`${sum} of ${total} taken`);
    }
    for (const [index, permits] of all.entries()) while (taken[index]!-- > 0) permits.give();
    assertEquals(takeAll(all[0]!), total - 2 * permitFloor(total, 3));
  }));
});

Deno.test("SharedPermits: another number counts for all holders, whatever they have taken, and none is lost", () => {
  const step = fc.record({ holder: fc.nat(1), takes: fc.boolean() });
  const totals = fc.integer({ min: 2, max: 60 });
  fc.assert(fc.property(totals, totals, fc.array(step, { maxLength: 80 }), (before, after, steps) => {
    const { buffer, all } = holders(before, 2);
    const taken = [0, 0];
    for (const { holder, takes } of steps) {
      if (takes) taken[holder]! += all[holder]!.tryTake() ? 1 : 0;
      else if (taken[holder]! > 0) all[holder]!.give(), taken[holder]!--;
    }
    resizePermits(buffer, before, after, 2);
    for (const permits of all) permits.setFloor(permitFloor(after, 2));
    // Those that are out stay out, and count.
    const more = all.map(takeAll);
    for (const [index, count] of more.entries()) taken[index]! += count;
    const sum = taken[0]! + taken[1]!;
    if (more[0]! + more[1]! > 0 && sum > Math.max(before, after)) throw new Error(`${sum} of ${after} taken`);
    for (const [index, permits] of all.entries()) while (taken[index]!-- > 0) permits.give();
    assertEquals(takeAll(all[0]!), after - permitFloor(after, 2));
    assertEquals(takeAll(all[1]!), permitFloor(after, 2));
  }));
});
