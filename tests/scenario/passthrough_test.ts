/** Requests that reach routes of the upstream other than that of envelopes: through a whole node, over its disk. */
import { assertEquals } from "@std/assert";
import * as zlib from "node:zlib";
import { METRICS } from "../../src/telemetry/catalogue.ts";
import { startNode } from "../support/node_fixture.ts";
import { TEST_KEY } from "../support/node_process.ts";
import { postEvent } from "../support/post_event.ts";
import { ScriptedUpstream, type UpstreamCall } from "../support/scripted_upstream.ts";
import { until } from "../support/until.ts";

const EVENT_ID = "c".repeat(32);
const EVENT = JSON.stringify({ event_id: EVENT_ID, message: "x" });
const auth = { "x-sentry-auth": `sentry sentry_key=${TEST_KEY}` };
const TRACES = "/api/1/integration/otlp/v1/traces";
const LOGS = "/api/1/integration/otlp/v1/logs";
const OTLP = /^\/api\/\d+\/integration\/otlp\/v1\/(traces|logs)$/;

const project = (id: number) => ({
  [`projects/${id}.json`]: JSON.stringify({ publicKeys: [{ publicKey: TEST_KEY }] }),
});

async function post(
  url: string,
  body: string | Uint8Array,
  headers: Record<string, string>,
): Promise<Response> {
  const answer = await fetch(url, { method: "POST", body: body as BodyInit, headers });
  await answer.body?.cancel();
  return answer;
}

const exporting = (node: { url: string }, path: string, body = "{}"): Promise<Response> =>
  post(`${node.url}${path}`, body, { "content-type": "application/json", ...auth });

const header = (call: UpstreamCall | undefined, name: string) => call?.headers.get(name);

Deno.test("traces arrive at the upstream's own route, in the bytes and encoding of the client", async () => {
  await using upstream = ScriptedUpstream.start({ routes: OTLP });
  await using node = await startNode({ upstream: upstream.url });
  // Large enough that an envelope would be compressed, and old enough that it would be aged.
  const body = new Uint8Array(zlib.gzipSync(crypto.getRandomValues(new Uint8Array(8192))));
  const answer = await post(`${node.url}${TRACES}/?x=1`, body, {
    "content-type": "application/x-protobuf; a=b",
    "content-encoding": "gzip",
    "user-agent": "OTel-OTLP-Exporter/1",
    "sec-ch-ua-model": "x",
    ...auth,
  });
  assertEquals(answer.status, 200);
  await upstream.until(() => upstream.others.length === 1);
  const [call] = upstream.others;
  assertEquals([call?.method, call?.path, call?.rawBody], ["POST", TRACES, body]);
  assertEquals(header(call, "content-type"), "application/x-protobuf");
  assertEquals(header(call, "content-encoding"), "gzip");
  assertEquals(header(call, "x-sentry-auth"), `Sentry sentry_key=${TEST_KEY}, sentry_version=7`);
  assertEquals(header(call, "user-agent"), "OTel-OTLP-Exporter/1");
  assertEquals(header(call, "sec-ch-ua-model"), "x");
  assertEquals(header(call, "x-forwarded-for"), "127.0.0.1");
  await until(
    "the span is counted",
    () => node.node.metrics.read(METRICS.outcomes, "accepted", "none", "span") === 1,
  );
});

Deno.test("a large body without encoding is not compressed on the way, and a 415 to it costs no encoding", async () => {
  await using upstream = ScriptedUpstream.start({ routes: OTLP });
  const config = { "http.encoding": "gzip", "logging.level": "off" };
  await using node = await startNode({ upstream: upstream.url, config });
  upstream.script({ status: 415 }, { status: 415 });
  await exporting(node, LOGS, " ".repeat(20_000));
  await upstream.until(() => upstream.others.length === 1);
  assertEquals(header(upstream.others[0], "content-encoding"), undefined);
  const type = { "content-type": "application/json", "content-encoding": "gzip", ...auth };
  await post(`${node.url}${TRACES}`, new Uint8Array(zlib.gzipSync("{}")), type);
  await upstream.until(() => upstream.others.length === 2);
  await postEvent(node.url);
  await upstream.until(() => upstream.requests.length === 1);
  assertEquals(header(upstream.requests[0], "content-encoding"), "gzip");
  const { metrics } = node.node;
  await until(
    "it is counted",
    () => metrics.read(METRICS.outcomes, "invalid", "upstream_rejected", "log_item") === 1,
  );
  assertEquals(metrics.read(METRICS.outcomes, "invalid", "upstream_rejected", "log_byte"), 20_000);
});

Deno.test("what the upstream limits is refused at the edge, and given up where it waits", async () => {
  await using upstream = ScriptedUpstream.start({ routes: OTLP });
  const config = { "limits.max_concurrent_requests": 1, "http.timeout": 30 };
  await using node = await startNode({ upstream: upstream.url, config });
  const limit = { status: 429, headers: { "X-Sentry-Rate-Limits": "60:log_byte:project" } };
  upstream.script({ ...limit, delayMs: 300 });
  assertEquals((await exporting(node, LOGS)).status, 200);
  assertEquals((await exporting(node, LOGS)).status, 200);
  await until("logs are refused", async () => (await exporting(node, LOGS)).status === 429);
  const { metrics } = node.node;
  const limited = () => metrics.read(METRICS.outcomes, "rate_limited", "none", "log_item");
  await until("the log that waited is given up", () => limited() >= 2);
  assertEquals((await exporting(node, TRACES)).status, 200);
  await upstream.until(() => upstream.others.length >= 2);
  assertEquals(upstream.others.at(-1)?.path, TRACES);
});

Deno.test("an unknown project's traces are refused with 403; a moved project's go where it is", async () => {
  await using upstream = ScriptedUpstream.start({ routes: OTLP });
  const config = { "relay.mode": "static", "relay.override_project_ids": true };
  await using node = await startNode({ upstream: upstream.url, config, files: project(7) });
  assertEquals((await exporting(node, TRACES)).status, 200);
  await upstream.until(() => upstream.others.length === 1);
  assertEquals(upstream.others[0]?.path, "/api/7/integration/otlp/v1/traces");
  const other = { "x-sentry-auth": `Sentry sentry_key=${"b".repeat(32)}` };
  const answer = await post(`${node.url}${TRACES}`, "{}", { "content-type": "application/json", ...other });
  assertEquals(answer.status, 403);
});

Deno.test("an event without a project goes to the project of its key, or to the upstream's route without one", async () => {
  await using upstream = ScriptedUpstream.start({ routes: /^\/api\/store\/$/ });
  {
    await using node = await startNode({ upstream: upstream.url });
    assertEquals((await post(`${node.url}/api/store/`, EVENT, auth)).status, 200);
    await upstream.until(() => upstream.others.length === 1);
    const [call] = upstream.others;
    assertEquals(header(call, "content-type"), "application/x-sentry-envelope");
    assertEquals(new TextDecoder().decode(call!.body).split("\n").slice(0, 1), [
      `{"event_id":"${EVENT_ID}"}`,
    ]);
  }
  await using node = await startNode({ upstream: upstream.url, files: project(7) });
  assertEquals((await post(`${node.url}/api/store/`, EVENT, auth)).status, 200);
  await upstream.until(() => upstream.requests.length === 1);
  assertEquals([upstream.requests[0]?.path, upstream.requests[0]?.eventId], ["/api/7/envelope/", EVENT_ID]);
});
