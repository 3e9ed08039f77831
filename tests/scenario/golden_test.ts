/**
 * Captured requests of real clients, sent again byte by byte: each gets the answer a Relay gives, and the upstream gets
 * exactly the envelope or the request that the reference promises.
 */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { systemClock } from "../../src/core/clock.ts";
import { type Expectation, expectationOf, type ExpectedEnvelope } from "../support/golden_expectation.ts";
import { goldenEntries, type GoldenRequest, goldenRequest } from "../support/golden_request.ts";
import { NodeProcess, TEST_KEY } from "../support/node_process.ts";
import { RawHttp, type RawResponse } from "../support/raw_http.ts";
import { report } from "../support/report.ts";
import { ScriptedUpstream, type UpstreamCall } from "../support/scripted_upstream.ts";
import { sha256 } from "../support/test_cache.ts";

/** Routes of the upstream that captures are passed on to. */
const ROUTES = /^\/api\/(1\/(nel\/|integration\/otlp\/v1\/(traces|logs)\/?)|embed\/error-page\/\?.*)$/;

for (const exposure of ["internet", "load_balancer"]) {
  Deno.test(`every captured request is answered as by a Relay with exposure ${exposure}, and the upstream gets what it should`, async (t) => {
    await replayAll(t, exposure);
  });
}

async function replayAll(t: Deno.TestContext, exposure: string): Promise<void> {
  await using upstream = ScriptedUpstream.start({ routes: ROUTES });
  await using node = await NodeProcess.start({ upstream: upstream.url, config: { listener: { exposure } } });
  const families = new Map<string, number>();
  let [envelopes, others] = [0, 0];

  for (const entry of goldenEntries()) {
    await t.step(entry.name, async () => {
      const request = goldenRequest(entry, `127.0.0.1:${node.port}`);
      const expected = expectationOf(request);
      if (entry.family === "embed") upstream.script({ body: "{}" });
      const answer = await exchange(node.port, request.bytes);
      assertAnswer(answer, expected);

      const isForward = expected.upstream[0]?.kind === "forward";
      if (isForward) others += expected.upstream.length;
      else envelopes += expected.upstream.length;
      await upstream.until(() => upstream.requests.length >= envelopes && upstream.others.length >= others);
      assertEquals([upstream.requests.length, upstream.others.length], [envelopes, others]);

      const calls = (isForward ? upstream.others : upstream.requests).slice(
        -expected.upstream.length || Infinity,
      );
      calls.forEach((call, index) => assertCall(call, expected, index, request, answer));
    });
    const family = `${entry.method} ${entry.family}`;
    families.set(family, (families.get(family) ?? 0) + 1);
  }
  const counts = [...families].map(([family, count]) => `${count} ${family}`).join(", ");
  report(`captures sent again: ${counts}; ${envelopes} envelopes and ${others} other requests arrived`);
}

function assertAnswer(answer: RawResponse, expected: Expectation): void {
  assertEquals(answer.status, expected.status, answer.body);
  if (expected.body === "uuid") {
    assertMatch(answer.body, /^[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}$/);
  } else assertEquals(answer.body, expected.body);
  for (const [name, value] of Object.entries(expected.headers)) {
    assertEquals(answer.headers.get(name) ?? null, value, name);
  }
  if (expected.isIngestion) {
    assertEquals(answer.headers.get("access-control-allow-origin"), "*");
    assertEquals(
      answer.headers.get("access-control-expose-headers"),
      "x-sentry-error,x-sentry-rate-limits,retry-after",
    );
  }
  assertEquals(answer.headers.get("cross-origin-resource-policy"), "cross-origin");
  assert(answer.headers.get("server")?.startsWith("landfall/"));
  assertEquals(answer.headers.get("retry-after"), undefined);
}

function assertCall(
  call: UpstreamCall,
  { upstream }: Expectation,
  index: number,
  request: GoldenRequest,
  answer: RawResponse,
): void {
  const expected = upstream[index]!;
  if (expected.kind === "forward") {
    assertEquals(`${call.method} ${call.path}`, `${expected.method} ${expected.target}`);
    for (const [name, value] of Object.entries(expected.headers)) {
      assertEquals(call.headers.get(name), value, name);
    }
    assertEquals(sha256(call.body), expected.body);
    if (request.entry.family === "embed") {
      return assertEquals(call.headers.get("x-forwarded-for"), "127.0.0.1");
    }
  } else {
    assertEquals(call.path, "/api/1/envelope/");
    assertEnvelope(call, expected);
    if (answer.status === 200 && answer.body.length === 36) {
      assertEquals(answer.body.replaceAll("-", ""), call.eventId);
    }
  }
  assertSender(call, request);
}

/** Ingestion reference, sections 1.3 and 6.2. */
function assertEnvelope(call: UpstreamCall, expected: ExpectedEnvelope): void {
  if (expected.bytes !== null) assertEquals(sha256(call.body), expected.bytes, "passed on byte by byte");
  const { eventId } = expected;
  if (eventId === "random") assertMatch(call.eventId ?? "", /^[0-9a-f]{32}$/);
  else assertEquals(call.eventId, eventId);
  if (expected.bytes === null) assertEquals(Object.keys(call.envelope), eventId === null ? [] : ["event_id"]);
  assertEquals(
    call.items.map(({ headers, payload }) => ({ headers, payload: sha256(payload) })),
    expected.items,
  );
}

/** Who sent it, as the upstream is told: ingestion reference, sections 2, 6.1 and 6.2. */
function assertSender(call: UpstreamCall, { entry, target, headers }: GoldenRequest): void {
  const query = new URLSearchParams(target.split("?")[1]);
  const auth = Object.fromEntries(
    (headers.get("x-sentry-auth") ?? "").replace(/^sentry /i, "").split(",").map((part) =>
      part.trim().split("=")
    ),
  );
  const version = parseInt(auth.sentry_version ?? query.get("sentry_version") ?? "7");
  const client = auth.sentry_client ?? query.get("sentry_client") ??
    (entry.family === "cron" ? "relay-http" : null);
  assertEquals(
    call.headers.get("x-sentry-auth"),
    `Sentry sentry_key=${TEST_KEY}, sentry_version=${version}${client ? `, sentry_client=${client}` : ""}`,
  );
  assertEquals(call.headers.get("user-agent"), headers.get("user-agent"));
  const origin = headers.get("origin") ?? headers.get("referer");
  assertEquals(call.headers.get("origin"), origin && new URL(origin).href);
  const chain = headers.get("x-forwarded-for");
  assertEquals(call.headers.get("x-forwarded-for"), chain ? `${chain}, 127.0.0.1` : "127.0.0.1");
}

/** A node that does not answer ends its step, not the run. */
function giveUpLate(give: () => void): Disposable {
  const timer = systemClock.after(10_000, give);
  return { [Symbol.dispose]: () => timer.cancel() };
}

/** Sends a request over a connection of its own; an interim answer (100 Continue) is passed over. */
async function exchange(port: number, request: Uint8Array): Promise<RawResponse> {
  using http = await RawHttp.connect(port);
  await http.send(request);
  using _late = giveUpLate(() => http[Symbol.dispose]());
  for (;;) {
    const answer = await http.response();
    assert(answer, "the connection ended without an answer");
    if (answer.status >= 200) return answer;
  }
}
