/** Endpoints that come, go, fall silent and return while a node is under load. */
import { assert, assertEquals, assertGreater } from "@std/assert";
import { EventLoad } from "../support/event_load.ts";
import { startNode } from "../support/node_fixture.ts";
import { postEvent } from "../support/post_event.ts";
import { report } from "../support/report.ts";
import { ScriptedUpstream } from "../support/scripted_upstream.ts";
import { until } from "../support/until.ts";

const HTTP = { "http.retry_delay": "50ms", "http.max_retry_interval": "300ms" };

Deno.test("endpoints: a file that changes is followed under load; one that is broken changes nothing", async () => {
  await using first = ScriptedUpstream.start();
  await using second = ScriptedUpstream.start();
  await using third = ScriptedUpstream.start();
  const all = [first, second, third];
  const file = await Deno.makeTempFile({ prefix: "landfall-test-" });
  const write = (text: string) => Deno.writeTextFile(file, text);
  const list = (...some: ScriptedUpstream[]) =>
    JSON.stringify(some.map(({ port }) => ({ address: `127.0.0.1:${port}` })));
  await write(list(first));
  const settings = { endpoints_file: file, refresh_interval: "100ms", probe_interval: null };
  const config = { ...HTTP, upstreams: { default: settings } };
  {
    await using node = await startNode({ upstream: "http://unused.test", config });
    const ports = () => node.node.status().endpoints.map(({ endpoint }) => Number(endpoint.split(":")[1]));
    const load = new EventLoad(node.url, 5);
    await until("the first is used", () => first.requests.length > 20);
    await write(list(second, third));
    await until("the others are used", () => second.requests.length > 20 && third.requests.length > 20);
    const sent = first.requests.length;
    await write("- {address");
    const goal = load.acknowledged.size + 100;
    await until("the load goes on", () => load.acknowledged.size > goal);
    assertEquals(new Set(ports()), new Set([second.port, third.port]));
    await write(list(third));
    await until("one is left", () => ports().length === 1);
    assertEquals(first.requests.length, sent, "nothing goes to an endpoint that left");
    await load.stop();
    assertEquals([load.failed, ports()], [0, [third.port]]);
    const ids = [...load.acknowledged];
    await until("everything arrives", () => ids.every((id) => all.some((upstream) => upstream.accepted(id))));
  }
  await Deno.remove(file);
});

Deno.test("endpoints: probes take one out that is silent, and it returns with a share that grows", async () => {
  await using well = ScriptedUpstream.start();
  await using silent = ScriptedUpstream.start();
  const endpoints = [well, silent].map(({ port }) => ({ address: `127.0.0.1:${port}` }));
  const settings = {
    endpoints,
    probe_interval: "100ms",
    slow_start: "2s",
    ejection: { failures: 1_000_000 },
  };
  const config = { ...HTTP, upstreams: { default: settings } };
  await using node = await startNode({ upstream: well.url, config });
  const status = () =>
    node.node.status().endpoints.find(({ endpoint }) => endpoint.endsWith(`:${silent.port}`))!;
  await until("both are probed", () => well.probes.length > 0 && silent.probes.length > 0);
  await silent.down();
  const downMs = performance.now();
  await until("it is out", () => status().state === "probe_failed");
  const outMs = performance.now() - downMs;
  const events = await Promise.all(Array.from({ length: 20 }, () => postEvent(node.url)));
  await until("nothing waits for it", () => events.every(({ eventId }) => well.accepted(eventId)));
  assertEquals(status().share, 0);
  silent.up();
  const upMs = performance.now();
  await until("it is back", () => status().state === "slow_start");
  const backMs = performance.now() - upMs;
  const shares: number[] = [];
  await until("it has all of its weight", () => shares.push(status().share) > 0 && status().state === "in");
  const wholeMs = performance.now() - upMs;
  assert(shares[0]! < 0.9, `it starts low: ${shares[0]}`);
  assertEquals(shares, shares.toSorted((a, b) => a - b));
  assertGreater(new Set(shares).size, 3);
  report(
    `probes every 100 ms, slow start 2 s: out after ${outMs.toFixed(0)} ms, back after ` +
      `${backMs.toFixed(0)} ms, whole after ${wholeMs.toFixed(0)} ms`,
  );
});
