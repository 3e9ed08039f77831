import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { parseRequestRate } from "../../../src/core/request_rate.ts";
import { RateZone, type RateZoneSpec } from "../../../src/guard/rate_zone.ts";

function zone(spec: Partial<RateZoneSpec>): RateZone {
  const full: RateZoneSpec = {
    name: "zone",
    key: ["address"],
    rate: 1000,
    burst: 0,
    delay: null,
    entries: 64,
    dryRun: false,
    ...spec,
  };
  return new RateZone(full, RateZone.createBuffers(full));
}

/** Times in ms and what becomes of the request: excess in thousandths, `-` when refused. By hand from limit_req. */
const SEQUENCES: readonly [string, Partial<RateZoneSpec>, readonly (readonly [number, number | "-"])[]][] = [
  ["1r/s without a burst: one a second", { rate: 1000 }, [
    [0, 0],
    [1, "-"],
    [999, "-"],
    [1000, 0],
    [1999, "-"],
    [2000, 0],
  ]],
  ["a refused request adds nothing", { rate: 1000, burst: 1 }, [
    [0, 0],
    [0, 1000],
    [0, "-"],
    [0, "-"],
    [500, "-"],
    [1000, 1000],
    [3000, 0],
  ]],
  ["10r/s with a burst of 2", { rate: 10_000, burst: 2 }, [
    [0, 0],
    [0, 1000],
    [0, 2000],
    [0, "-"],
    [50, "-"],
    [100, 2000],
    [150, "-"],
    [400, 0],
  ]],
  ["100r/m: rounded down to 1666 thousandths", { rate: parseRequestRate("100r/m") }, [
    [0, 0],
    [600, "-"],
    [601, 0],
  ]],
  [
    "a clock that steps back stands still, after a jump one millisecond has passed",
    { rate: 1000, burst: 3 },
    [
      [100_000, 0],
      [99_000, 1000],
      [100_000, 2000],
      [20_000, 2999],
      [20_000, "-"],
    ],
  ],
];

for (const [name, spec, requests] of SEQUENCES) {
  Deno.test(`RateZone: ${name}`, () => {
    const tested = zone(spec);
    const results = requests.map(([ms]) => {
      const looked = tested.excess("a", ms);
      const excess = tested.take("a", ms);
      assertEquals(looked, excess);
      return [ms, tested.refuses(excess) ? "-" : excess];
    });
    assertEquals(results, requests.map((request) => [...request]));
  });
}

Deno.test("RateZone: never lets more pass than burst and rate allow, whatever the times", () => {
  const gaps = fc.array(fc.integer({ min: 0, max: 300 }), { minLength: 1, maxLength: 300 });
  fc.assert(
    fc.property(
      gaps,
      fc.integer({ min: 1, max: 50 }),
      fc.integer({ min: 0, max: 20 }),
      (gaps, perSecond, burst) => {
        const tested = zone({ rate: perSecond * 1000, burst });
        let now = 1000;
        let passed = 0;
        for (const gap of gaps) {
          now += gap;
          if (!tested.refuses(tested.take("a", now))) passed++;
          assert(
            passed <= 1 + burst + perSecond * (now - 1000) / 1000 + 1,
            `${passed} passed by ${now - 1000} ms`,
          );
        }
      },
    ),
  );
});

Deno.test("RateZone: delays by how far the excess is beyond what is not delayed", () => {
  const held = zone({ rate: 10_000, burst: 5, delay: 2 });
  const delays = Array.from({ length: 6 }, () => held.delayMs(held.take("a", 0)));
  assertEquals(delays, [0, 0, 0, 100, 200, 300]);
  assert(held.refuses(held.take("a", 0)));
  assertEquals(zone({ burst: 5 }).delayMs(5000), 0);
});

Deno.test("RateZone: tells how long to wait", () => {
  const slow = zone({ rate: parseRequestRate("6r/m"), burst: 0 });
  slow.take("a", 0);
  assertEquals(slow.retrySeconds(slow.take("a", 0)), 10);
  assertEquals(slow.retrySeconds(slow.take("a", 9500)), 1);
});

Deno.test("RateZone: keys do not touch each other, and a key that was evicted is forgiven", () => {
  const tested = zone({ entries: 8 });
  tested.take("a", 0);
  assert(tested.refuses(tested.take("a", 1)));
  assert(!tested.refuses(tested.take("b", 1)));
  for (let i = 0; i < 8; i++) tested.take(`other ${i}`, 2 + i);
  assert(!tested.refuses(tested.take("a", 20)));
  assertEquals([tested.used, tested.evictions > 0], [8, true]);
});

Deno.test("parseRequestRate", () => {
  assertEquals(["100r/s", "600r/m", "1r/m", "4r/h"].map(parseRequestRate), [100_000, 10_000, 16, 1]);
  for (const text of ["0r/s", "1r/d", "10", "r/s", "1.5r/s", "3r/h", "-1r/s"]) {
    let thrown: unknown;
    try {
      parseRequestRate(text);
    } catch (error) {
      thrown = error;
    }
    assert(thrown instanceof RangeError, text);
  }
});

Deno.test("RateZone: another rate for the same keys leaves what is known of them; other keys start anew", () => {
  const before = zone({ rate: 1000, burst: 3 });
  for (let i = 0; i < 3; i++) before.take("a", 0);
  before.note("refused");
  const changed = (spec: Partial<RateZoneSpec>): RateZone => {
    const next = { ...before.spec, ...spec };
    return new RateZone(next, RateZone.createBuffers(next, before));
  };
  // Two requests above the rate; at 10 a second they have leaked after 200 ms.
  const faster = changed({ rate: 10_000, burst: 2 });
  assertEquals([faster.excess("a", 100), faster.excess("a", 200)], [2000, 1000]);
  assertEquals([faster.used, faster.noted("refused")], [1, 1]);
  for (const spec of [{ entries: 128 }, { key: ["project_id"] as const }]) {
    const other = changed(spec);
    assertEquals([other.used, other.excess("a", 0), other.noted("refused")], [0, 0, 1], JSON.stringify(spec));
  }
  // What it would have refused is no refusal.
  assertEquals([changed({ dryRun: true }).noted("refused"), changed({ dryRun: true }).used], [0, 1]);
});
