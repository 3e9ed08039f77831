/**
 * Every way an upstream can be bad, and the same three questions each time: do clients get their answers while it is
 * bad, does everything acknowledged arrive once it is well, and does the node find that out by itself.
 */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { join } from "node:path";
import { NodeProcess } from "../support/node_process.ts";
import { type PostedEvent, postEvent } from "../support/post_event.ts";
import { type Behaviour, ScriptedUpstream } from "../support/scripted_upstream.ts";
import { TEST_ROOT } from "../support/test_certificate.ts";
import { until } from "../support/until.ts";

const EVENTS = 20;

/** Short waits, so that a recovery takes a test no longer than it must. */
const HTTP = {
  timeout: "1s",
  connection_timeout: "1s",
  retry_delay: "100ms",
  max_retry_interval: "500ms",
  outage_grace_period: "500ms",
};

/** What passes: nothing acknowledged may be lost. */
const PASSING: readonly { readonly name: string; readonly bad: Behaviour | "refused" }[] = [
  { name: "refuses connections", bad: "refused" },
  { name: "never answers", bad: { blackHole: true } },
  { name: "answers slowly", bad: { delayMs: 900 } },
  { name: "answers later than http.timeout", bad: { delayMs: 3_000 } },
  { name: "resets connections in the middle of a body", bad: { resetAfterBytes: 100 } },
  { name: "breaks off its answers", bad: { partialBody: 5 } },
  { name: "answers 502", bad: { status: 502 } },
  { name: "answers 503", bad: { status: 503 } },
  { name: "answers 504", bad: { status: 504 } },
  { name: "answers garbage", bad: { garbage: "\x00\x01 this is not HTTP\r\n\r\n" } },
];

for (const { name, bad } of PASSING) {
  Deno.test(`an upstream that ${name}: clients are answered, and everything arrives once it is well`, async () => {
    await using upstream = ScriptedUpstream.start();
    await using node = await NodeProcess.start({ upstream: upstream.url, config: { http: HTTP } });
    await postAcknowledged(node, upstream);
    if (bad === "refused") upstream.down();
    else upstream.behave(bad);

    const events = await postMany(node);
    assertEquals(
      events.map(({ status }) => status),
      events.map(() => 200),
      "answers while the upstream is bad",
    );
    assertEquals(await node.readiness(), 200);

    if (bad === "refused") upstream.up();
    else {
      upstream.behave({});
      upstream.dropConnections();
    }
    await until("everything arrives", () => events.every(({ eventId }) => upstream.accepted(eventId)));
    await until("nothing waits any more", async () => await metric(node, "spool_waiting_records") === 0);
    await postAcknowledged(node, upstream);
  });
}

Deno.test("an upstream whose TLS handshake fails: clients are answered, and everything arrives once it is well", async () => {
  const broken = ScriptedUpstream.start();
  const { port } = broken;
  const folder = await Deno.makeTempDir({ prefix: "landfall-test-" });
  const root = join(folder, "root.pem");
  await Deno.writeTextFile(root, TEST_ROOT);
  try {
    await using node = await NodeProcess.start({
      upstream: `https://localhost:${port}`,
      config: { http: HTTP },
      env: { DENO_CERT: root },
    });
    const events = await postMany(node);
    assertEquals(events.map(({ status }) => status), events.map(() => 200));
    await until("the node tried", () => broken.connections > 0);
    // What a client hello looks like to a plain HTTP server is no fault of the node.
    await broken.close().catch(() => {});

    await using upstream = ScriptedUpstream.start({ port, tls: true });
    await until("everything arrives", () => events.every(({ eventId }) => upstream.accepted(eventId)));
  } finally {
    await broken.close().catch(() => {});
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("an upstream that answers 500 a few times: the events arrive", async () => {
  await using upstream = ScriptedUpstream.start();
  await using node = await NodeProcess.start({ upstream: upstream.url, config: { http: HTTP } });
  upstream.script({ status: 500 }, { status: 500 });
  const { eventId } = await postEvent(node.url);
  await until("the third attempt", () => upstream.byEventId().get(eventId)?.length === 3);
  await until(
    "it is delivered",
    async () => await metric(node, 'forwarded_requests_total{result="delivered"}') === 1,
  );
});

Deno.test("an upstream that goes on answering 500: the events are kept as dead letters and counted", async () => {
  await using upstream = ScriptedUpstream.start();
  await using node = await NodeProcess.start({ upstream: upstream.url, config: { http: HTTP } });
  upstream.behave({ status: 500 });
  const events = await postMany(node);
  assertEquals(events.map(({ status }) => status), events.map(() => 200));
  await until(
    "all are dead letters",
    async () => await metric(node, "dead_letter_records_total") === events.length,
  );
  upstream.behave({});
  await postAcknowledged(node, upstream);
});

Deno.test("an upstream that answers 429 with a header: matching events are refused at the edge until it expires", async () => {
  await using upstream = ScriptedUpstream.start();
  await using node = await NodeProcess.start({ upstream: upstream.url, config: { http: HTTP } });
  upstream.script({ status: 429, headers: { "X-Sentry-Rate-Limits": "2:error:project:over_quota" } });
  await postEvent(node.url);

  const refused = await untilRefused(node);
  assertMatch(refused.headers.get("x-sentry-rate-limits") ?? "", /^[12]:error:project:over_quota$/);
  assertMatch(refused.headers.get("retry-after") ?? "", /^[12]$/);
  await until("the limit expires", async () => (await postEvent(node.url)).status === 200);
  await postAcknowledged(node, upstream);
  assert(await metric(node, "outcomes_total") > 0, "what was limited is counted");
});

Deno.test("an upstream that answers 429 without headers: that key alone is refused at the edge", async () => {
  await using upstream = ScriptedUpstream.start();
  await using node = await NodeProcess.start({ upstream: upstream.url, config: { http: HTTP } });
  upstream.script({ status: 429 });
  await postEvent(node.url);

  const refused = await untilRefused(node);
  assertMatch(refused.headers.get("retry-after") ?? "", /^(60|5\d)$/);
  await postAcknowledged(node, upstream, "b".repeat(32));
});

Deno.test("an upstream that answers 400: the event is kept as a dead letter, others go on", async () => {
  await using upstream = ScriptedUpstream.start();
  await using node = await NodeProcess.start({ upstream: upstream.url, config: { http: HTTP } });
  upstream.script({ status: 400 });
  await postEvent(node.url);
  await until("it is a dead letter", async () => await metric(node, "dead_letter_records_total") === 1);
  await postAcknowledged(node, upstream);
});

function postMany(node: NodeProcess): Promise<PostedEvent[]> {
  return Promise.all(Array.from({ length: EVENTS }, () => postEvent(node.url)));
}

/** One event that is acknowledged and arrives. */
async function postAcknowledged(node: NodeProcess, upstream: ScriptedUpstream, key?: string): Promise<void> {
  const { eventId, status } = await postEvent(node.url, key ? { key } : {});
  assertEquals(status, 200);
  await until("the event arrives", () => upstream.accepted(eventId));
}

async function untilRefused(node: NodeProcess): Promise<PostedEvent> {
  let last = await postEvent(node.url);
  await until("events are refused at the edge", async () => {
    if (last.status === 200) last = await postEvent(node.url);
    return last.status === 429;
  });
  return last;
}

/** Sum of all series of a metric whose line starts like this, without the common prefix. */
async function metric(node: NodeProcess, start: string): Promise<number> {
  const text = await (await fetch(`http://127.0.0.1:${node.adminPort}/metrics`)).text();
  const lines = text.split("\n").filter((line) => line.startsWith(`landfall_${start}`));
  return lines.reduce((sum, line) => sum + Number(line.split(" ").at(-1)), 0);
}
