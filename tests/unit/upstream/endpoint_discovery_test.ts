import { assertEquals } from "@std/assert";
import type { DnsResolver } from "../../../src/upstream/dns_resolver.ts";
import { EndpointDiscovery, type EndpointEntry } from "../../../src/upstream/endpoint_discovery.ts";
import { bypassesProxy } from "../../../src/upstream/proxy_tunnel.ts";
import { ManualClock } from "../../support/manual_clock.ts";
import { configureLogging } from "../../../src/telemetry/log.ts";

configureLogging({ level: "off", format: "json" });

const entry = (
  kind: EndpointEntry["kind"],
  name: string,
  more: Partial<EndpointEntry> = {},
): EndpointEntry => ({
  kind,
  name,
  port: 443,
  priority: 0,
  weight: 1,
  ...more,
});

function setUp(
  entries: readonly EndpointEntry[],
  readEntries: (() => readonly EndpointEntry[]) | null = null,
) {
  const clock = new ManualClock();
  const answers: Record<string, readonly string[] | Error> = {};
  let changes = 0;
  const answer = (key: string) => {
    const found = answers[key] ?? new Error("NXDOMAIN");
    return found instanceof Error ? Promise.reject(found) : Promise.resolve(found);
  };
  const resolver: DnsResolver = {
    addresses: (name, type) => answer(`${type} ${name}`),
    services: async (name) =>
      (await answer(`SRV ${name}`)).map((text) => {
        const [priority, weight, port, target] = text.split(" ");
        return { priority: Number(priority), weight: Number(weight), port: Number(port), target: target! };
      }),
  };
  const discovery = new EndpointDiscovery({
    upstream: "default",
    entries,
    readEntries,
    intervalMs: 1000,
    clock,
    resolver,
    random: () => 0,
    onChange: () => changes++,
  });
  const ids = () => discovery.endpoints.map(({ id }) => id);
  return { clock, answers, discovery, ids, changes: () => changes };
}

Deno.test("EndpointDiscovery: addresses are there at once, and nothing is asked for them", async () => {
  const { discovery, ids, clock, changes } = setUp([entry("address", "b"), entry("address", "fd00::1")]);
  assertEquals(ids(), ["[fd00::1]:443", "b:443"]);
  await discovery.start();
  assertEquals([clock.pending, changes()], [0, 0]);
});

Deno.test("EndpointDiscovery: names are asked again, and the last good answer counts", async () => {
  const { discovery, ids, clock, answers, changes } = setUp([
    entry("a", "up.test"),
    entry("aaaa", "up.test"),
  ]);
  answers["A up.test"] = ["192.0.2.2", "192.0.2.1"];
  await discovery.start();
  assertEquals(ids(), ["192.0.2.1:443", "192.0.2.2:443"]);
  answers["AAAA up.test"] = ["2001:db8::1"];
  answers["A up.test"] = [];
  await clock.advance(1000);
  assertEquals(ids(), ["192.0.2.1:443", "192.0.2.2:443", "[2001:db8::1]:443"]);
  answers["A up.test"] = new Error("SERVFAIL");
  await clock.advance(100_000);
  assertEquals(ids().length, 3);
  answers["A up.test"] = ["192.0.2.3"];
  await clock.advance(1000);
  assertEquals(ids(), ["192.0.2.3:443", "[2001:db8::1]:443"]);
  assertEquals(changes(), 3);
  discovery.stop();
  await clock.advance(0);
});

Deno.test("EndpointDiscovery: service records carry port, priority and weight of their own", async () => {
  const { discovery, answers } = setUp([entry("srv", "_s._tcp.test", { priority: 1, weight: 2 })]);
  answers["SRV _s._tcp.test"] = ["0 5 8443 one.test.", "10 0 443 two.test."];
  await discovery.start();
  assertEquals(discovery.endpoints, [
    { id: "one.test:8443", hostname: "one.test", port: 8443, priority: 1, weight: 10 },
    { id: "two.test:443", hostname: "two.test", port: 443, priority: 11, weight: 0.02 },
  ]);
  discovery.stop();
});

Deno.test("EndpointDiscovery: a file that changes is followed, one that is wrong changes nothing", async () => {
  let list: readonly EndpointEntry[] | null = [entry("address", "a")];
  const { discovery, ids, clock } = setUp([], () => {
    if (list === null) throw new Error("half written");
    return list;
  });
  await discovery.start();
  assertEquals(ids(), ["a:443"]);
  list = null;
  await clock.advance(1000);
  assertEquals(ids(), ["a:443"]);
  list = [entry("address", "b"), entry("address", "c")];
  await clock.advance(1000);
  assertEquals(ids(), ["b:443", "c:443"]);
  discovery.stop();
});

for (
  const [host, list, isPassed] of [
    ["sentry.example.com", ["example.com"], true],
    ["sentry.example.com", [".example.com"], true],
    ["sentry.example.com", ["*.example.com"], true],
    ["badexample.com", ["example.com"], false],
    ["10.1.2.3", ["10.0.0.0/8"], true],
    ["11.1.2.3", ["10.0.0.0/8", "not/a/network"], false],
    ["anything", ["*"], true],
    ["anything", [""], false],
    ["::1", ["::1"], true],
  ] as const
) {
  Deno.test(`bypassesProxy: ${host} with no_proxy ${list} is ${isPassed}`, () => {
    assertEquals(bypassesProxy(host, list), isPassed);
  });
}
