import { assert, assertEquals, assertThrows } from "@std/assert";
import { BanError, BanList } from "../../../src/guard/ban_list.ts";
import { BanTable } from "../../../src/guard/ban_table.ts";
import { ManualClock } from "../../support/manual_clock.ts";

const RULE = { on: ["rate", "malformed"], refusals: 3, withinMs: 10_000, banMs: 60_000 } as const;

Deno.test("BanTable: a rule bans after so many refusals within its window, in all views", () => {
  const buffers = BanTable.createBuffers(8);
  const lane = new BanTable(buffers, [RULE]);
  const other = new BanTable(buffers, [RULE]);
  assertEquals([lane.offend("a", "rate", 0), other.offend("a", "malformed", 1)], [null, null]);
  assertEquals(lane.offend("a", "not_found", 2), null);
  assertEquals(other.has("a", 3), false);
  assertEquals(lane.offend("a", "rate", 3), {
    address: "a",
    banMs: 60_000,
    reason: "3 refusals (rate, malformed) within 10 s",
  });
  assertEquals([other.has("a", 4), other.has("b", 4), other.has("a", 60_003)], [true, false, false]);
  // Who is banned is not banned again by what was still on its way.
  assertEquals(other.offend("a", "rate", 5), null);
});

Deno.test("BanTable: refusals that are spread wider than the window do not add up", () => {
  const table = new BanTable(BanTable.createBuffers(8), [RULE]);
  for (let now = 0; now < 200_000; now += 5000) {
    assertEquals(table.offend("a", "rate", now), null, `at ${now}`);
  }
});

/** A list with a file in memory. */
async function list(o: { clock: ManualClock; file?: { text: string | null }; bansMax?: number }) {
  const file = o.file ?? { text: null };
  const buffers = BanTable.createBuffers(o.bansMax ?? 10);
  const bans = await BanList.open({
    buffers,
    clock: o.clock,
    bansMax: o.bansMax ?? 10,
    trustedProxies: ["10.0.0.0/8"],
    file: {
      read: () => Promise.resolve(file.text),
      write: (text) => Promise.resolve(void (file.text = text)),
    },
  });
  return { bans, table: new BanTable(buffers), file };
}

Deno.test("BanList: bans hold until they are over or removed, by the clock that does not jump", async () => {
  const clock = new ManualClock();
  const { bans, table } = await list({ clock });
  bans.add("192.0.2.1", 60_000, "test");
  bans.add("2001:db8::1", 5000, "test");
  assertEquals(bans.all().map(({ address }) => address), ["2001:db8:0:0::/64", "192.0.2.1"]);
  assert(table.has("192.0.2.1", clock.now()));
  clock.jump(-3_600_000);
  await clock.advance(59_999);
  bans.tick();
  assertEquals(bans.all().map(({ address }) => address), ["192.0.2.1"]);
  assert(table.has("192.0.2.1", clock.now()));
  await clock.advance(1);
  bans.tick();
  assertEquals([bans.size, table.has("192.0.2.1", clock.now())], [0, false]);
  bans.add("192.0.2.1", 60_000, "test");
  assertEquals([bans.remove("192.0.2.1"), bans.remove("192.0.2.1")], [true, false]);
  assert(!table.has("192.0.2.1", clock.now()));
  await bans.close();
});

Deno.test("BanList: survives a restart, and what it says of times is not believed beyond the ban's length", async () => {
  const clock = new ManualClock();
  const first = await list({ clock });
  first.bans.add("192.0.2.1", 60_000, "one");
  first.bans.add("192.0.2.2", 1000, "two");
  first.bans.takeOver({ address: "192.0.2.3", banMs: 600_000, reason: "three" });
  await first.bans.close();
  const later = new ManualClock(clock.now() + 30_000);
  const second = await list({ clock: later, file: first.file });
  assertEquals(second.bans.all(), [
    { address: "192.0.2.1", untilMs: clock.now() + 60_000, reason: "one" },
    { address: "192.0.2.3", untilMs: clock.now() + 600_000, reason: "three" },
  ]);
  assert(second.table.has("192.0.2.3", later.now()));
  const yearEarlier = new ManualClock(clock.now() - 365 * 86_400_000);
  const third = await list({ clock: yearEarlier, file: first.file });
  assertEquals(third.bans.all().at(-1)?.untilMs, yearEarlier.now() + 600_000);
  for (const { bans } of [second, third]) await bans.close();
});

Deno.test("BanList: a damaged file bans nobody and is replaced by the next change", async () => {
  for (const text of ["{", "{}", '{"bans":[null,{"address":1}]}']) {
    const { bans, file } = await list({ clock: new ManualClock(), file: { text } });
    assertEquals(bans.all(), []);
    bans.add("192.0.2.1", 1000, "x");
    await bans.close();
    assertEquals(JSON.parse(file.text!).bans.length, 1);
  }
});

Deno.test("BanList: refuses what is no address, trusted proxies, absurd times and more than there is room for", async () => {
  const { bans } = await list({ clock: new ManualClock(), bansMax: 2 });
  for (const address of ["nobody", "", "10.1.2.3", "192.0.2.0/24"]) {
    assertThrows(() => bans.add(address, 1000, ""), BanError);
  }
  assertThrows(() => bans.add("192.0.2.1", 0, ""), BanError);
  bans.add("192.0.2.1", 1000, "");
  bans.add("192.0.2.2", 1000, "");
  bans.add("192.0.2.2", 5000, "longer");
  assertThrows(() => bans.add("192.0.2.3", 1000, ""), BanError);
  await bans.close();
});

Deno.test("BanTable: counts go on when a rule takes another number of refusals, whatever else changes around it", () => {
  const buffers = BanTable.createBuffers(8);
  const before = new BanTable(buffers, [RULE]);
  for (let now = 0; now < 2; now++) assertEquals(before.offend("a", "rate", now), null);
  const other = { ...RULE, on: ["timeout"], refusals: 1 } as const;
  const stricter = new BanTable(buffers, [other, { ...RULE, banMs: 5 }]);
  assertEquals(stricter.offend("a", "rate", 2)?.banMs, 5);
  // Two rules that count the same things count for themselves.
  const twice = new BanTable(BanTable.createBuffers(8), [RULE, { ...RULE, refusals: 4, banMs: 7 }]);
  for (let now = 0; now < 2; now++) assertEquals(twice.offend("b", "rate", now), null);
  assertEquals(twice.offend("b", "rate", 2)?.banMs, RULE.banMs);
});

Deno.test("BanList: more room is made while it runs, nobody is let go, and new proxies are spared", async () => {
  const clock = new ManualClock();
  const { bans, table } = await list({ clock, bansMax: 1 });
  bans.add("192.0.2.1", 60_000, "one");
  assertThrows(() => bans.add("192.0.2.2", 60_000, "two"), BanError, "no room");
  const buffers = BanTable.createBuffers(64);
  bans.configure({ buffers, bansMax: 64, trustedProxies: ["192.0.2.9"] });
  bans.add("192.0.2.2", 60_000, "two");
  assertThrows(() => bans.add("192.0.2.9", 60_000, "three"), BanError, "trusted proxy");
  const moved = new BanTable(buffers);
  const held = ["192.0.2.1", "192.0.2.2"].map((address) => moved.has(address, clock.now()));
  assertEquals(held, [true, true]);
  // Lanes that have not been told yet still hold what they held.
  assert(table.has("192.0.2.1", clock.now()));
  await clock.advance(60_001);
  bans.tick();
  assertEquals([bans.size, moved.isEmpty], [0, true]);
  await bans.close();
});
