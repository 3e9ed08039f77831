/** The forwarder with its real client against an upstream that misbehaves in every way, and then recovers. */
import { assert, assertEquals } from "@std/assert";
import { systemClock } from "../../../src/core/clock.ts";
import { METRIC_LAYOUT, METRICS } from "../../../src/telemetry/catalogue.ts";
import { Metrics } from "../../../src/telemetry/registry.ts";
import { BodyEncoder } from "../../../src/upstream/body_encoding.ts";
import { upstreamTarget } from "../../../src/upstream/dial.ts";
import { Forwarder } from "../../../src/upstream/forwarder.ts";
import { RequestSigner } from "../../../src/upstream/request_signer.ts";
import { HttpClient } from "../../../src/upstream/http_client.ts";
import { eventIdOf, JobSource } from "../../support/job_source.ts";
import { type Behaviour, ScriptedUpstream } from "../../support/scripted_upstream.ts";
import { soleTarget } from "../../support/sole_target.ts";
import { TEST_ROOT } from "../../support/test_certificate.ts";

const RECORDS = Array.from({ length: 20 }, (_, i) => `r${i}`);

function setUp(url: string, caCerts: readonly string[] = []) {
  const metrics = new Metrics(METRIC_LAYOUT);
  const source = new JobSource(systemClock);
  const client = new HttpClient({
    target: upstreamTarget(url, null),
    clock: systemClock,
    metrics,
    connectTimeoutMs: 200,
    totalTimeoutMs: 200,
    idleTimeoutMs: 5000,
    connectionsMax: 5,
    headBytesMax: 4096,
    bodyBytesMax: 4096,
    caCerts,
  });
  const shared = { clock: systemClock, metrics, maxConcurrent: 4, retryDelayMs: 10, retryIntervalMsMax: 40 };
  const targets = soleTarget({
    large: { send: () => Promise.reject(new Error("no record is large")), close() {} },
    client,
    encoder: new BodyEncoder("auto", 1024 * 1024),
    signer: new RequestSigner(null, systemClock),
    outageGraceMs: 100,
    ...shared,
  });
  const forwarder = new Forwarder({ source, targets, timing: shared, ...shared });
  forwarder.start();
  return { metrics, source, forwarder };
}

/** Resolves once the forwarder probes, which it does in an outage alone. */
async function outage(forwarder: Pick<Forwarder, "state">): Promise<void> {
  while (forwarder.state.outage.kind !== "outage") await systemClock.sleep(2);
  assert(forwarder.state.connections.open <= 5);
}

const PASSING: readonly (readonly [string, Behaviour])[] = [
  ["never answers", { blackHole: true }],
  ["answers too late", { delayMs: 60_000 }],
  ["answers 503", { status: 503 }],
  ["answers 502 with a page", {
    status: 502,
    body: "<html>bad gateway</html>",
    headers: { "Content-Type": "text/html" },
  }],
  ["breaks off inside the answer", { partialBody: 5 }],
  ["resets while it is sent to", { resetAfterBytes: 10 }],
  ["answers garbage", { garbage: "\0\x01 not HTTP \r\n\r\n" }],
  ["closes without an answer", { garbage: "" }],
];

for (const [name, behaviour] of PASSING) {
  Deno.test(`Forwarder delivers everything in the end to an upstream that ${name} at first`, async () => {
    await using upstream = ScriptedUpstream.start();
    upstream.behave(behaviour);
    const { source, forwarder, metrics } = setUp(upstream.url);
    source.add(RECORDS);
    await outage(forwarder);
    upstream.behave({});
    await source.ended(RECORDS.length);
    assertEquals([...source.settled.values()].every(({ kind }) => kind === "delivered"), true);
    assertEquals(source.dead.size, 0);
    for (const record of RECORDS) assert(upstream.accepted(eventIdOf(record)));
    assertEquals(metrics.read(METRICS.forwarded, "delivered"), RECORDS.length);
    assertEquals(forwarder.state.outage.kind, "reachable");
    await forwarder.stop(1000);
  });
}

Deno.test("Forwarder delivers everything to an upstream that refuses connections at first", async () => {
  await using upstream = ScriptedUpstream.start();
  await upstream.down();
  const { source, forwarder } = setUp(upstream.url);
  source.add(RECORDS);
  await outage(forwarder);
  upstream.up();
  await source.ended(RECORDS.length);
  assertEquals(source.settled.size, RECORDS.length);
  await forwarder.stop(1000);
});

Deno.test("Forwarder delivers everything to an upstream that flaps", async () => {
  await using upstream = ScriptedUpstream.start();
  const { source, forwarder } = setUp(upstream.url);
  upstream.script(
    {},
    { status: 503 },
    {},
    { partialBody: 1 },
    {},
    { garbage: "?" },
    {},
    {},
    { status: 500 },
    {},
  );
  source.add(RECORDS);
  await source.ended(RECORDS.length);
  assertEquals(source.settled.size, RECORDS.length);
  for (const record of RECORDS) assert(upstream.accepted(eventIdOf(record)));
  await forwarder.stop(1000);
});

Deno.test("Forwarder keeps records while the upstream's certificate is not trusted", async () => {
  await using upstream = ScriptedUpstream.start({ tls: true });
  const { source, forwarder } = setUp(upstream.url);
  source.add(RECORDS);
  await outage(forwarder);
  await forwarder.stop(1000);
  source.close();
  assertEquals([source.settled.size, source.dead.size, upstream.requests.length], [0, 0, 0]);
});

Deno.test("Forwarder delivers over TLS", async () => {
  await using upstream = ScriptedUpstream.start({ tls: true });
  const { source, forwarder } = setUp(upstream.url, [TEST_ROOT]);
  source.add(RECORDS);
  await source.ended(RECORDS.length);
  assertEquals(upstream.requests.length, RECORDS.length);
  await forwarder.stop(1000);
});

const FINAL: readonly (readonly [string, Behaviour, string])[] = [
  ["429 with limits", { status: 429, headers: { "X-Sentry-Rate-Limits": "60:error:key" } }, "rate_limited"],
  ["429 without headers", { status: 429 }, "rate_limited"],
  ["413 before the body was read", { status: 413, early: true }, "dead rejected"],
  ["400", { status: 400, body: '{"detail":"bad"}' }, "dead rejected"],
  ["403", { status: 403 }, "dead rejected"],
  ["a redirect", { status: 308, headers: { Location: "https://other.test/" } }, "dead rejected"],
  ["500", { status: 500 }, "dead server_error"],
];

for (const [name, behaviour, end] of FINAL) {
  Deno.test(`Forwarder ends a record with "${end}" when the upstream answers ${name}`, async () => {
    await using upstream = ScriptedUpstream.start();
    upstream.behave(behaviour);
    const { source, forwarder } = setUp(upstream.url);
    source.add(["a"]);
    await source.ended(1);
    assertEquals(source.log.at(-1), `a ${end}`);
    assertEquals(source.retries.length, end === "dead server_error" ? 2 : 0);
    assertEquals(forwarder.state.outage.kind, "reachable");
    await forwarder.stop(1000);
  });
}

Deno.test("Forwarder.stop gives up what an upstream does not answer", async () => {
  await using upstream = ScriptedUpstream.start();
  upstream.behave({ blackHole: true });
  const { source, forwarder } = setUp(upstream.url);
  source.add(["a"]);
  await upstream.until(() => upstream.requests.length === 1);
  await forwarder.stop(10);
  assertEquals(source.log, []);
});
