/**
 * Upstreams of several endpoints that fail in all the ways endpoints fail: what was acknowledged arrives, the dead are
 * taken out and taken back, and the operator can see it.
 */
import { assert, assertEquals, assertGreater, assertLess } from "@std/assert";
import type { DnsResolver } from "../../src/upstream/dns_resolver.ts";
import { ConnectProxy } from "../support/connect_proxy.ts";
import { type NodeFixture, startNode } from "../support/node_fixture.ts";
import { type PostedEvent, postEvent } from "../support/post_event.ts";
import { ScriptedUpstream } from "../support/scripted_upstream.ts";
import { TestAuthority } from "../support/tls_files.ts";
import { TEST_ROOT } from "../support/test_certificate.ts";
import { report } from "../support/report.ts";
import { until } from "../support/until.ts";

const HTTP = {
  "http.timeout": "1s",
  "http.connection_timeout": "1s",
  "http.retry_delay": "50ms",
  "http.max_retry_interval": "300ms",
  "http.outage_grace_period": "300ms",
};

type Upstreams = Awaited<ReturnType<typeof endpoints>>;

/** So many upstreams that are endpoints of one. */
function endpoints(count: number) {
  const all = Array.from({ length: count }, () => ScriptedUpstream.start());
  return {
    all,
    list: all.map(({ port }) => ({ address: `127.0.0.1:${port}` })),
    arrived: ({ eventId }: PostedEvent) => all.some((upstream) => upstream.accepted(eventId)),
    async [Symbol.asyncDispose]() {
      for (const upstream of all) await upstream.close();
    },
  };
}

const ENDPOINTS = { probe_interval: null, ejection: { base: "2s", max: "3s" }, slow_start: "1s" };

async function start(
  { all, list }: Upstreams,
  settings: Record<string, unknown> = {},
): Promise<NodeFixture> {
  const config = { ...HTTP, upstreams: { default: { endpoints: list, ...ENDPOINTS, ...settings } } };
  return await startNode({ upstream: all[0]!.url, config });
}

async function post(node: NodeFixture, count: number): Promise<PostedEvent[]> {
  const events: PostedEvent[] = [];
  for (let i = 0; i < count; i++) events.push(await postEvent(node.url));
  assertEquals(events.filter(({ status }) => status !== 200), []);
  return events;
}

const stateOf = (node: NodeFixture, { port }: ScriptedUpstream) =>
  node.node.status().endpoints.find(({ endpoint }) => endpoint.endsWith(`:${port}`));

Deno.test("upstreams: one dead of three is ejected, nothing waits for it, and it is taken back", async () => {
  await using upstreams = endpoints(3);
  const [, dead] = upstreams.all as [ScriptedUpstream, ScriptedUpstream];
  await using node = await start(upstreams);
  await post(node, 10);
  await dead.down();
  const startMs = performance.now();
  const events: PostedEvent[] = [];
  await until("the dead endpoint is ejected", async () => {
    events.push(...await post(node, 2));
    return stateOf(node, dead)?.state === "ejected";
  });
  const ejectedMs = performance.now() - startMs;
  await until("everything arrives", () => events.every(upstreams.arrived));
  assertEquals(node.node.status().forward.outage, 0);
  dead.up();
  const upMs = performance.now();
  await until("it is taken back", async () => {
    await post(node, 2);
    return stateOf(node, dead)!.state === "in" && stateOf(node, dead)!.answered > 0;
  });
  assertGreater(stateOf(node, dead)!.ejections, 0);
  report(
    `one dead of three: ejected after ${ejectedMs.toFixed(0)} ms, back in full after ${
      (performance.now() - upMs).toFixed(0)
    } ms`,
  );
});

Deno.test("upstreams: of three endpoints the slow one gets the least", async () => {
  await using upstreams = endpoints(3);
  const [slow, ...quick] = upstreams.all as [ScriptedUpstream, ScriptedUpstream, ScriptedUpstream];
  slow.behave({ delayMs: 500 });
  await using node = await start(upstreams);
  const clients = Array.from({ length: 8 }, () => post(node, 25));
  const events = (await Promise.all(clients)).flat();
  await until("everything arrives", () => events.every(upstreams.arrived));
  for (const { requests } of quick) assertGreater(requests.length, slow.requests.length);
  report(`one slow of three got ${slow.requests.length} of ${events.length} requests`);
});

Deno.test("upstreams: all dead and back again loses nothing, and the backlog leaves at a rate that climbs", async () => {
  await using upstreams = endpoints(3);
  await using node = await start(upstreams);
  await post(node, 5);
  for (const upstream of upstreams.all) await upstream.down();
  const events = await post(node, 300);
  await until("an outage is noticed", () => node.node.status().forward.outage === 1);
  const before = new Set(upstreams.all.flatMap(({ requests }) => requests));
  for (const upstream of upstreams.all) upstream.up();
  const startMs = performance.now();
  await until("everything arrives", () => events.every(upstreams.arrived));
  const recoveredMs = performance.now() - startMs;
  const arrivals = upstreams.all.flatMap(({ requests }) => requests)
    .filter((request) => !before.has(request)).map(({ atMs }) => atMs).sort((a, b) => a - b);
  const within = (fromMs: number, toMs: number) =>
    arrivals.filter((atMs) => atMs - arrivals[0]! >= fromMs && atMs - arrivals[0]! < toMs).length;
  assertLess(within(0, 500), 100, "not all at once");
  assertGreater(within(500, 5000), within(0, 500));
  report(`all dead: 300 records gone ${recoveredMs.toFixed(0)} ms after the first endpoint was back`);
});

Deno.test("upstreams: endpoints of a lower tier are used while those above are gone", async () => {
  await using upstreams = endpoints(2);
  const [first, second] = upstreams.all as [ScriptedUpstream, ScriptedUpstream];
  const list = [{ ...upstreams.list[0]! }, { ...upstreams.list[1]!, priority: 1 }];
  await using node = await start(upstreams, { endpoints: list });
  await post(node, 10);
  assertEquals(second.requests.length, 0);
  await first.down();
  const events = await post(node, 10);
  await until("everything arrives", () => events.every(upstreams.arrived));
  assertGreater(second.requests.length, 0);
});

Deno.test("upstreams: names that change under load are followed, and kept when DNS fails", async () => {
  await using upstreams = endpoints(3);
  let [answer, failing, questions] = [[0, 1], false, 0];
  const resolver: DnsResolver = {
    addresses: () => Promise.reject(new Error("no such name")),
    services(name) {
      questions++;
      if (failing || name !== "_sentry._tcp.test") return Promise.reject(new Error("SERVFAIL"));
      const records = answer.map((at) => ({
        priority: 0,
        weight: 1,
        port: upstreams.all[at]!.port,
        target: "127.0.0.1.",
      }));
      return Promise.resolve(records);
    },
  };
  const settings = { ...ENDPOINTS, endpoints: [{ srv: "_sentry._tcp.test" }], refresh_interval: "100ms" };
  const config = { ...HTTP, upstreams: { default: settings } };
  await using node = await startNode({ upstream: "http://unused.test:1", config, resolver });
  const events = await post(node, 20);
  answer = [2];
  await until("the new endpoint is known", () => node.node.status().endpoints.length === 1);
  events.push(...await post(node, 20));
  failing = true;
  const asked = questions;
  await until("DNS is asked again", () => questions > asked + 1);
  events.push(...await post(node, 20));
  await until("everything arrives", () => events.every(upstreams.arrived));
  for (const { requests } of upstreams.all) assertGreater(requests.length, 0);
  assertEquals(stateOf(node, upstreams.all[2]!)?.state, "in");
});

Deno.test("upstreams: shares of keys move between upstreams without a restart, and back", async () => {
  await using upstreams = endpoints(2);
  const [old, next] = upstreams.all as [ScriptedUpstream, ScriptedUpstream];
  await using node = await startNode({ upstream: old.url, config: HTTP });
  const keys = Array.from({ length: 40 }, (_, i) => (i + 1).toString(16).padStart(32, "a"));
  const sides = async (): Promise<Set<string>> => {
    const sent = await Promise.all(keys.map(async (key) => ({ key, ...await postEvent(node.url, { key }) })));
    await until("everything arrives", () => sent.every(upstreams.arrived));
    return new Set(sent.filter(({ eventId }) => next.accepted(eventId)).map(({ key }) => key));
  };
  let before = new Set<string>();
  for (const percent of [0, 10, 50, 100, 50, 10, 0]) {
    const config = {
      upstreams: { default: { weight: 100 - percent }, next: { url: next.url, weight: percent } },
    };
    await Deno.writeTextFile(`${node.folder}/config.yml`, JSON.stringify(config));
    await node.node.reload("signal");
    const moved = await sides();
    const [fewer, more] = moved.size < before.size ? [moved, before] : [before, moved];
    assert(fewer.isSubsetOf(more), "no key goes back and forth");
    assert(Math.abs(moved.size / keys.length - percent / 100) < 0.25, `${percent}: ${moved.size}`);
    before = moved;
  }
  assertEquals(before.size, 0);
});

Deno.test("upstreams: copies go to a second upstream, whose failures matter to nobody", async () => {
  await using upstreams = endpoints(2);
  const [first, copy] = upstreams.all as [ScriptedUpstream, ScriptedUpstream];
  const settings = { default: { copy_to: "copy" }, copy: { url: copy.url } };
  await using node = await startNode({ upstream: first.url, config: { ...HTTP, upstreams: settings } });
  const events = await post(node, 10);
  await until("the copies arrive", () => events.every(({ eventId }) => copy.accepted(eventId)));
  assert(events.every(({ eventId }) => first.accepted(eventId)));
  copy.behave({ status: 500 });
  const more = await post(node, 10);
  await until("the first has everything", () => more.every(({ eventId }) => first.accepted(eventId)));
  await copy.down();
  const last = await post(node, 10);
  await until("the first has everything", () => last.every(({ eventId }) => first.accepted(eventId)));
  assertEquals(node.node.status().forward.deadLetters, 0);
});

Deno.test("upstreams: own roots, a name that is not the address, and through a proxy that wants to know who", async () => {
  await using upstream = ScriptedUpstream.start({ tls: true });
  await using proxy = new ConnectProxy({ credentials: "node:secret" });
  const settings = {
    url: "https://localhost/",
    endpoints: [{ address: `127.0.0.1:${upstream.port}` }],
    tls: { ca: TEST_ROOT },
    proxy: `http://node:secret@127.0.0.1:${proxy.port}`,
    no_proxy: [],
    authorization: "Bearer door",
  };
  const config = { ...HTTP, upstreams: { default: settings } };
  await using node = await startNode({ upstream: "http://unused.test", config });
  const events = await post(node, 3);
  await until("everything arrives", () => events.every(({ eventId }) => upstream.accepted(eventId)));
  assertEquals(new Set(proxy.tunnels), new Set([`127.0.0.1:${upstream.port}`]));
  assertEquals(upstream.requests[0]!.headers.get("host"), "localhost");
  assertEquals(upstream.requests[0]!.headers.get("authorization"), "Bearer door");
});

const BAD_CERTIFICATES: readonly [what: string, host: string, days: number][] = [
  ["is of another host", "other.test", 1],
  ["has expired", "up.test", -1],
];

for (const [what, host, days] of BAD_CERTIFICATES) {
  Deno.test(`upstreams: an endpoint whose certificate ${what} is out of reach until it is renewed`, async () => {
    const folder = await Deno.makeTempDir({ prefix: "landfall-test-" });
    const authority = await TestAuthority.create(folder);
    const wrong = await authority.issue("wrong", "wrong", [host], days);
    const right = await authority.issue("right", "up", ["up.test"]);
    let served = wrong;
    const serve = (port: number) => {
      const options = {
        hostname: "127.0.0.1",
        port,
        cert: served.certificate,
        key: served.key,
        onListen() {},
      };
      return Deno.serve(options, async (request) => {
        const body = await request.text();
        if (body !== "") received.push(body);
        return new Response("{}");
      });
    };
    const received: string[] = [];
    let server = serve(0);
    const { port } = server.addr;
    const settings = {
      url: "https://up.test/",
      endpoints: [{ address: `127.0.0.1:${port}` }],
      tls: { ca: authority.root },
    };
    const config = { ...HTTP, "http.encoding": "identity", upstreams: { default: settings } };
    {
      await using node = await startNode({ upstream: "http://unused.test", config });
      const events = await post(node, 3);
      await until("the upstream is held for down", () => node.node.status().forward.outage === 1);
      assertEquals(received, []);
      await server.shutdown();
      served = right;
      server = serve(port);
      const has = ({ eventId }: PostedEvent) => received.some((body) => body.includes(eventId));
      await until("everything arrives", () => events.every(has));
    }
    await server.shutdown();
    await Deno.remove(folder, { recursive: true });
  });
}

Deno.test("upstreams: connections that the upstream closes while they idle are closed here as well", async () => {
  await using upstream = ScriptedUpstream.start();
  await using node = await startNode({ upstream: upstream.url, config: HTTP });
  upstream.behave({ halfClose: true });
  const events = (await Promise.all(Array.from({ length: 8 }, () => post(node, 5)))).flat();
  await until("everything arrives", () => events.every(({ eventId }) => upstream.accepted(eventId)));
  await until("no socket waits to be closed", () => closeWaiting(upstream.port) === 0, 5000);
});

/** Sockets to a port whose peer has closed and whose owner has not, from the kernel's table. */
function closeWaiting(port: number): number {
  const CLOSE_WAIT = "08";
  const remote = `:${port.toString(16).toUpperCase().padStart(4, "0")}`;
  // Deno itself reads nothing below /proc without being allowed everything.
  const { stdout } = new Deno.Command("cat", { args: ["/proc/net/tcp"] }).outputSync();
  return new TextDecoder().decode(stdout).split("\n").map((line) => line.trim().split(/\s+/))
    .filter(([, , address, state]) => address?.endsWith(remote) && state === CLOSE_WAIT).length;
}
