import { assertEquals } from "@std/assert";
import { AccessList } from "../../../src/guard/access_list.ts";

const KEY = "a".repeat(32);

Deno.test("AccessList: by network, key or user agent", () => {
  const list = new AccessList({
    addresses: ["192.0.2.0/24", "2001:db8::/32"],
    projectKeys: [KEY],
    userAgents: ["*Bot*"],
  });
  const cases: readonly [string, string, string | null, boolean][] = [
    ["192.0.2.7", "", null, true],
    ["2001:db8:9::1", "", null, true],
    ["198.51.100.1", "", null, false],
    ["198.51.100.1", KEY, null, true],
    ["198.51.100.1", "b".repeat(32), "sentry.python/2", false],
    ["198.51.100.1", "", "evilbot/1", true],
    ["", "", "", false],
  ];
  for (const _ of [1, 2]) {
    for (const [address, key, agent, expected] of cases) {
      assertEquals(list.has(address, key, agent), expected);
    }
  }
  assertEquals([list.isEmpty, list.hasKeys], [false, true]);
  const none = new AccessList({ addresses: [], projectKeys: [], userAgents: [] });
  assertEquals([none.isEmpty, none.has("192.0.2.7", "", "x")], [true, false]);
});

Deno.test("AccessList: goes on answering when more clients came than it remembers", () => {
  const list = new AccessList({ addresses: ["10.0.0.0/16"], projectKeys: [], userAgents: [] });
  for (let i = 0; i < 10_000; i++) {
    assertEquals(list.has(`10.${i % 2}.${i >> 8}.${i & 255}`, "", null), i % 2 === 0);
  }
});
