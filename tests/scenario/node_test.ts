/** What the control plane does: policy handed to lanes, halves replaced, partitions adopted, questions answered. */
import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { METRICS } from "../../src/telemetry/catalogue.ts";
import { startNode } from "../support/node_fixture.ts";
import { NodeProcess, TEST_KEY } from "../support/node_process.ts";
import { postEvent } from "../support/post_event.ts";
import { ScriptedUpstream } from "../support/scripted_upstream.ts";
import { until } from "../support/until.ts";

const OTHER_KEY = "b".repeat(32);
const project = (config: object = {}, more: object = {}): string =>
  JSON.stringify({ publicKeys: [{ publicKey: TEST_KEY }], config, ...more });

for (const kind of ["forward", "ingest"] as const) {
  Deno.test(`a ${kind} half that dies is replaced, and nothing acknowledged is lost`, async () => {
    await using upstream = ScriptedUpstream.start();
    await using fixture = await startNode({ upstream: upstream.url, config: { "relay.port": freePort() } });
    const before = await postEvent(fixture.url);
    fixture.die(kind);
    await until("the half is replaced", () => fixture.node.metrics.read(METRICS.workerRestarts, kind) === 1);
    await until("the node is ready", () => fixture.node.status().phase === "ready");
    const after = await postEvent(fixture.url);
    assertEquals([before.status, after.status], [200, 200]);
    await until("both arrive", () => upstream.accepted(before.eventId) && upstream.accepted(after.eventId));
  });
}

Deno.test("static mode: unknown, disabled and foreign are refused with 403 and counted; the rest travels", async () => {
  await using upstream = ScriptedUpstream.start();
  await using fixture = await startNode({
    upstream: upstream.url,
    config: { "relay.mode": "static" },
    files: {
      "projects/1.json": project({ allowedDomains: ["*.example.com"] }),
      "projects/2.json": JSON.stringify({ disabled: true, publicKeys: [{ publicKey: OTHER_KEY }] }),
    },
  });
  const post = (projectId: number, key: string, headers: Record<string, string> = {}): Promise<Response> =>
    fetch(`${fixture.url}/api/${projectId}/envelope/?sentry_key=${key}`, {
      method: "POST",
      headers,
      body: `{"event_id":"${"c".repeat(32)}"}\n{"type":"event"}\n{}`,
    });
  const rows: [number, string, Record<string, string>, number, string][] = [
    [1, TEST_KEY, {}, 200, `{"id":"${"c".repeat(32)}"}`],
    [1, TEST_KEY, { origin: "http://www.example.com" }, 200, `{"id":"${"c".repeat(32)}"}`],
    [1, TEST_KEY, { origin: "http://evil.test" }, 403, rejected("Cors")],
    [7, TEST_KEY, {}, 403, rejected("ProjectId")],
    [2, OTHER_KEY, {}, 403, rejected("ProjectId")],
    [1, "d".repeat(32), {}, 403, rejected("ProjectId")],
  ];
  for (const [projectId, key, headers, status, body] of rows) {
    const answer = await post(projectId, key, headers);
    assertEquals([answer.status, await answer.text()], [status, body]);
  }
  const { metrics } = fixture.node;
  assertEquals(metrics.read(METRICS.outcomes, "invalid", "project_id", "error"), 3);
  assertEquals(metrics.read(METRICS.outcomes, "invalid", "cors", "error"), 1);
  await upstream.until(() => upstream.requests.length === 2);
});

Deno.test("project files are read again; one with an error is reported and changes nothing", async () => {
  await using upstream = ScriptedUpstream.start();
  const files = { "projects/1.json": project() };
  const config = { "relay.mode": "static", "cache.file_interval": 0.05, "logging.level": "off" };
  await using fixture = await startNode({ upstream: upstream.url, config, files });
  const path = `${fixture.folder}/projects/1.json`;
  assertEquals((await postEvent(fixture.url)).status, 200);
  await Deno.writeTextFile(path, project({}, { disabled: true }));
  await until("the project is refused", async () => (await postEvent(fixture.url)).status === 403);
  await Deno.writeTextFile(path, "{ this is not JSON");
  await Deno.writeTextFile(
    `${fixture.folder}/projects/2.json`,
    JSON.stringify({ publicKeys: [{ publicKey: OTHER_KEY }] }),
  );
  const other = (): Promise<Response> =>
    fetch(`${fixture.url}/api/2/envelope/?sentry_key=${OTHER_KEY}`, {
      method: "POST",
      body: "{}\n" + '{"type":"session"}\n{}',
    });
  await until("the new project is known", async () => {
    const answer = await other();
    await answer.body?.cancel();
    return answer.status === 200;
  });
  assertEquals((await postEvent(fixture.url)).status, 403);
});

Deno.test("limits the upstream announced are enforced at the edge, for their key and category alone", async () => {
  await using upstream = ScriptedUpstream.start();
  await using fixture = await startNode({ upstream: upstream.url });
  upstream.script({ status: 429, headers: { "X-Sentry-Rate-Limits": "60:error:project:quota_hit" } });
  assertEquals((await postEvent(fixture.url)).status, 200);
  await until("events are refused", async () => (await postEvent(fixture.url)).status === 429);
  const refused = await postEvent(fixture.url);
  assertMatch(refused.headers.get("x-sentry-rate-limits") ?? "", /^(60|59|58):error:project:quota_hit$/);
  assertMatch(refused.headers.get("retry-after") ?? "", /^(60|59|58)$/);
  assertEquals((await postEvent(fixture.url, { key: OTHER_KEY })).status, 200);
  const both = await fetch(`${fixture.url}/api/1/envelope/?sentry_key=${TEST_KEY}`, {
    method: "POST",
    body: `{}\n{"type":"event"}\n{}\n{"type":"session"}\n{"sid":"1"}`,
  });
  assertEquals(both.status, 429);
  await both.body?.cancel();
  await upstream.until(() => upstream.requests.some(({ items }) => items[0]?.headers.type === "session"));
  const rest = upstream.requests.find(({ items }) => items[0]?.headers.type === "session")!;
  assertEquals(rest.items.length, 1);
  assert(fixture.node.metrics.total(METRICS.outcomes, { outcome: "rate_limited" }) >= 3);
});

Deno.test("a full spool answers 429 with a limit for everything and takes traffic again once there is room", async () => {
  await using upstream = ScriptedUpstream.start();
  upstream.behave({ status: 503 });
  const config = {
    "spool.envelopes.max_disk_size": "64KiB",
    "http.retry_delay": 0.05,
    "http.outage_grace_period": 0.1,
    "http.max_retry_interval": 0.1,
    "logging.level": "off",
  };
  await using fixture = await startNode({ upstream: upstream.url, config });
  let refused = await postEvent(fixture.url);
  for (let sent = 0; refused.status === 200 && sent < 200; sent++) refused = await postEvent(fixture.url);
  assertEquals(refused.status, 429);
  assertMatch(refused.headers.get("x-sentry-rate-limits") ?? "", /^\d+::organization:spool_full$/);
  upstream.behave({});
  await until("there is room", async () => (await postEvent(fixture.url)).status === 200);
});

Deno.test("a spool that fills up refuses replays before transactions, and errors last", async () => {
  await using upstream = ScriptedUpstream.start();
  upstream.behave({ status: 503 });
  const config = {
    "spool.envelopes.max_disk_size": "200KiB",
    "http.retry_delay": 0.05,
    "http.max_retry_interval": 0.1,
    "logging.level": "off",
  };
  await using fixture = await startNode({ upstream: upstream.url, config });
  const statusOf = async (type: string): Promise<number> => {
    const answer = await fetch(`${fixture.url}/api/1/envelope/?sentry_key=${TEST_KEY}`, {
      method: "POST",
      body: `{"event_id":"${"e".repeat(32)}"}\n{"type":"${type}"}\n{}`,
    });
    await answer.body?.cancel();
    return answer.status;
  };
  const statuses = (): Promise<number[]> =>
    Promise.all(["replay_recording", "transaction", "event"].map(statusOf));
  const fillTo = async (share: number): Promise<void> => {
    while (fixture.node.status().spool.bytes < share * 200 * 1024) await postEvent(fixture.url);
  };
  assertEquals(await statuses(), [200, 200, 200]);
  await fillTo(0.72);
  assertEquals(await statuses(), [429, 200, 200]);
  await fillTo(0.87);
  assertEquals(await statuses(), [429, 429, 200]);
  assertEquals(fixture.node.metrics.read(METRICS.outcomes, "rate_limited", "spool_pressure", "replay"), 2);
  assertEquals(
    fixture.node.metrics.read(METRICS.outcomes, "rate_limited", "spool_pressure", "transaction"),
    1,
  );
});

Deno.test("records that are too old when their turn comes are dropped with an outcome", async () => {
  await using upstream = ScriptedUpstream.start();
  upstream.behave({ status: 503 });
  const config = {
    "spool.envelopes.max_envelope_delay_secs": 1,
    "http.retry_delay": 0.5,
    "http.max_retry_interval": 0.5,
    "logging.level": "off",
  };
  await using fixture = await startNode({ upstream: upstream.url, config });
  assertEquals((await postEvent(fixture.url)).status, 200);
  const dropped = (): number => fixture.node.metrics.read(METRICS.outcomes, "invalid", "timestamp", "error");
  await until("the record is given up", () => dropped() === 1);
  assertEquals(fixture.node.status().spool.waiting, 0);
});

Deno.test("after an outage a new event arrives before those that waited", async () => {
  await using upstream = ScriptedUpstream.start();
  upstream.behave({ status: 503 });
  const config = {
    "limits.max_concurrent_requests": 1,
    "spool.fresh_for": 1,
    "http.retry_delay": 0.05,
    "http.max_retry_interval": 0.05,
    "logging.level": "off",
  };
  await using fixture = await startNode({ upstream: upstream.url, config });
  const old = await Promise.all(Array.from({ length: 40 }, () => postEvent(fixture.url)));
  const waitedSince = performance.now();
  await until("what waits is no longer fresh", () => performance.now() - waitedSince > 1100);
  const fresh = await postEvent(fixture.url);
  const tried = upstream.requests.length;
  upstream.behave({});
  await until("everything arrives", () => [...old, fresh].every(({ eventId }) => upstream.accepted(eventId)));
  const arrived = upstream.requests.slice(tried).map(({ eventId }) => eventId);
  const place = arrived.indexOf(fresh.eventId);
  assert(place < 10, `the new event came as number ${place + 1} of ${arrived.length}`);
});

Deno.test("a record the upstream rejects goes to the dead letter, its outcome is counted, the next one travels", async () => {
  await using upstream = ScriptedUpstream.start();
  upstream.script({ status: 400, body: '{"detail":"bad"}' });
  await using fixture = await startNode({ upstream: upstream.url, config: { "logging.level": "off" } });
  await postEvent(fixture.url);
  await until("it is dead", () => fixture.node.metrics.read(METRICS.deadLetters) === 1);
  const next = await postEvent(fixture.url);
  await until("the next one arrives", () => upstream.accepted(next.eventId));
  assertEquals(fixture.node.metrics.read(METRICS.outcomes, "invalid", "upstream_rejected", "error"), 1);
});

Deno.test("the admin listener shows the status page, the status and the metrics, all of it with a strict policy", async () => {
  await using upstream = ScriptedUpstream.start();
  await using fixture = await startNode({ upstream: upstream.url });
  const admin = `http://127.0.0.1:${fixture.node.adminPort}`;
  await postEvent(fixture.url);
  await upstream.until(() => upstream.requests.length === 1);
  const page = await fetch(admin);
  assertStringIncludes(await page.text(), "<title>Landfall</title>");
  assertStringIncludes(page.headers.get("content-security-policy") ?? "", "default-src 'none'");
  const status = await (await fetch(`${admin}/status.json`)).json();
  assertEquals([status.phase, status.accepted, status.problems], ["ready", 1, []]);
  const metrics = await (await fetch(`${admin}/metrics`)).text();
  assertStringIncludes(metrics, 'landfall_requests_total{route="envelope",status="200"} 1\n');
  const other = await fetch(`${admin}/no-such-page`);
  await other.body?.cancel();
  assertEquals(other.status, 404);
});

Deno.test("fewer lanes after a restart: what waited in the others is adopted and sent", async () => {
  await using upstream = ScriptedUpstream.start();
  const retry = { retry_delay: 1, outage_grace_period: 1, max_retry_interval: 1 };
  await using node = await NodeProcess.start({ upstream: upstream.url, config: { lanes: 3, http: retry } });
  await upstream.down();
  const sent = await Promise.all(Array.from({ length: 60 }, () => postEvent(node.url)));
  assertEquals(sent.map(({ status }) => status), sent.map(() => 200));
  assertEquals(await node.terminate(), 0);
  const path = `${node.folder}/config.yml`;
  const config = JSON.parse(await Deno.readTextFile(path));
  await Deno.writeTextFile(path, JSON.stringify({ ...config, lanes: 1 }));
  upstream.up();
  await node.startAgain();
  await until("all events arrive", () => sent.every(({ eventId }) => upstream.accepted(eventId)));
  const folders = [...Deno.readDirSync(`${node.folder}/spool`)].filter(({ isDirectory }) => isDirectory);
  assertEquals(folders.map(({ name }) => name), ["p0"]);
});

Deno.test("a second node on the same spool fails, and says which process has it", async () => {
  await using upstream = ScriptedUpstream.start();
  await using first = await NodeProcess.start({ upstream: upstream.url });
  const spool = { envelopes: { path: `${first.folder}/spool` } };
  const second = NodeProcess.start({ upstream: upstream.url, config: { spool } });
  const { message } = await second.then(() => new Error("it started"), (error: Error) => error);
  assertStringIncludes(message, `The spool folder ${first.folder}/spool is in use by`);
  assertEquals(await first.readiness(), 200);
});

function rejected(name: string): string {
  return JSON.stringify({ detail: `event submission rejected with_reason: ${name}` });
}

function freePort(): number {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  listener.close();
  return listener.addr.port;
}

Deno.test("with too little free on the volume events are refused as by a full spool, and readiness says why", async () => {
  await using upstream = ScriptedUpstream.start();
  const config = { "spool.free_space": "1000TiB" };
  await using fixture = await startNode({ upstream: upstream.url, config });
  const answer = await fetch(`${fixture.url}/api/1/envelope/?sentry_key=${TEST_KEY}`, {
    method: "POST",
    body: `{"event_id":"${"a".repeat(32)}"}\n{"type":"event"}\n{}`,
  });
  await answer.body?.cancel();
  assertEquals(answer.status, 429);
  assertMatch(answer.headers.get("x-sentry-rate-limits") ?? "", /^\d+::organization:spool_full$/);
  const { phase, problems } = fixture.node.status();
  assertEquals([phase, problems], ["unready", ["too little is free on the spool's volume"]]);
  assert(fixture.node.metrics.read(METRICS.spoolFreeBytes) > 0);
});
