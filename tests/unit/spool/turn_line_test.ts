import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { type InLine, TurnLine } from "../../../src/spool/turn_line.ts";

interface Waiter extends InLine<Waiter> {
  readonly name: number;
}

Deno.test("TurnLine: for any joining and leaving, two lines keep the order that lists would", () => {
  const step = fc.record({ isJoin: fc.boolean(), line: fc.nat(1), who: fc.nat(4) });
  fc.assert(fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
    const lines = [new TurnLine<Waiter>(), new TurnLine<Waiter>()];
    const lists: number[][] = [[], []];
    const waiters = Array.from(
      { length: 5 },
      (_, name): Waiter => ({ name, line: null, before: null, behind: null }),
    );
    for (const { isJoin, line, who } of steps) {
      if (isJoin) {
        lines[line]!.join(waiters[who]!);
        if (!lists[line]!.includes(who)) {
          lists[1 - line] = lists[1 - line]!.filter((one) => one !== who);
          lists[line]!.push(who);
        }
      } else {
        lines[line]!.leave(waiters[who]!);
        lists[line] = lists[line]!.filter((one) => one !== who);
      }
      assertEquals(lines.map(namesOf), lists);
    }
  }));
});

function namesOf(line: TurnLine<Waiter>): number[] {
  const names: number[] = [];
  for (let one = line.first; one; one = one.behind) names.push(one.name);
  return names;
}
