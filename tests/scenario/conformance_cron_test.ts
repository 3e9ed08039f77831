/** What crontabs and crash reporters see. Sections are those of the ingestion reference. */
import { assertEquals, assertMatch } from "@std/assert";
import { fromUtf8 } from "../../src/core/bytes.ts";
import { type ConformanceRow, CORS_HEADERS, detail, testTables } from "../support/conformance.ts";
import { AUTH, EXPOSURES, KEY, type ListenerFixture, startListener } from "../support/listener_fixture.ts";
import { rawRequest, requestBytes } from "../support/raw_http.ts";

const cron = `/api/42/cron/nightly/${KEY}/`;
const bare = "/api/42/cron/nightly/";
const auth = { "x-sentry-auth": `Sentry sentry_key=${KEY}` };
const JSON_TYPE = { "content-type": "application/json" };
const TEXT = { ...CORS_HEADERS, "content-type": "text/plain; charset=utf-8" };
const DONE = { ...CORS_HEADERS, "content-type": null };
const NIL = "0".repeat(32);
const ID = "9ec79c33ec9942ab8353589fcb2e04dc";

// deno-fmt-ignore
const CRON: readonly ConformanceRow[] = [
  ...[cron, cron.slice(0, -1)].flatMap((path) => ["GET", "HEAD", "POST"].map((method) =>
    ({ section: "1.2", name: `${method} ${path}`, method, path: `${path}?status=ok`, body: "", status: 202, answer: "", answerHeaders: DONE }))),
  ...[bare, bare.slice(0, -1)].flatMap((path) => ["GET", "HEAD", "POST"].map((method) =>
    ({ section: "1.2", name: `${method} ${path} with the key in a header`, method, path: `${path}?status=ok`, headers: auth, body: "", status: 202, answer: "", answerHeaders: DONE }))),
  { section: "1.2", name: "the key in the query", method: "GET", path: `${bare}?status=ok&${AUTH}`, body: "", status: 202, answer: "" },
  { section: "1.2", name: "a body of another type is not looked at", path: `${cron}?status=ok`, headers: { "content-type": "text/plain" }, body: "{", status: 202, answer: "" },
  { section: "1.2", name: "all of the query", method: "GET", path: `${cron}?status=error&check_in_id=${ID}&environment=prod&duration=1.5`, body: "", status: 202, answer: "" },
  { section: "1.2", name: "no status", method: "GET", path: cron, body: "", status: 400, answer: "Failed to deserialize query string: missing field `status`", answerHeaders: TEXT },
  { section: "1.2", name: "an id that is none", method: "GET", path: `${cron}?status=ok&check_in_id=1`, body: "", status: 400, answer: /^Failed to deserialize query string: check_in_id/ },
  { section: "1.2", name: "a duration that is none", method: "GET", path: `${cron}?status=ok&duration=long`, body: "", status: 400, answer: /^Failed to deserialize query string: duration/ },
  { section: "1.2", name: "JSON", path: cron, headers: JSON_TYPE, body: `{"status":"in_progress"}`, status: 202, answer: "", answerHeaders: DONE },
  { section: "1.2", name: "JSON with a charset", path: cron, headers: { "content-type": "application/json; charset=utf-8" }, body: `{"status":"ok"}`, status: 202, answer: "" },
  { section: "5.2", name: "no JSON", path: cron, headers: JSON_TYPE, body: "{", status: 400, answer: /^Failed to parse the request body as JSON: /, answerHeaders: TEXT },
  { section: "5.2", name: "JSON and more", path: cron, headers: JSON_TYPE, body: `{"status":"ok"} x`, status: 400, answer: /trailing characters/ },
  { section: "5.2", name: "an empty JSON body", path: cron, headers: JSON_TYPE, body: "", status: 400, answer: /^Failed to parse the request body as JSON: / },
  { section: "5.2", name: "JSON without a status", path: cron, headers: JSON_TYPE, body: "{}", status: 422, answer: "Failed to deserialize the JSON body into the target type: missing field `status`", answerHeaders: TEXT },
  { section: "5.2", name: "JSON that is no object", path: cron, headers: JSON_TYPE, body: "[]", status: 422, answer: /^Failed to deserialize the JSON body/ },
  { section: "5.2", name: "JSON with a duration that is none", path: cron, headers: JSON_TYPE, body: `{"status":"ok","duration":"1"}`, status: 422, answer: /duration/ },
  { section: "5.2", name: "JSON with a configuration that is none", path: cron, headers: JSON_TYPE, body: `{"status":"ok","monitor_config":[]}`, status: 422, answer: /monitor_config/ },
  { section: "5.2", name: "JSON nested too deeply", path: cron, headers: JSON_TYPE, body: `{"status":"ok","contexts":{"a":${"[".repeat(100_000)}${"]".repeat(100_000)}}}`, status: 400, answer: /recursion limit exceeded/ },
  { section: "2", name: "no key", method: "GET", path: `${bare}?status=ok`, body: "", status: 401, answer: detail("missing authorization information"), answerHeaders: CORS_HEADERS },
  { section: "2", name: "two keys", method: "GET", path: `${cron}?status=ok`, headers: auth, body: "", status: 401, answer: detail("multiple authorization payloads detected") },
  { section: "2", name: "a key that is none", method: "GET", path: `${bare}short?status=ok`, body: "", status: 400, answer: detail("bad sentry DSN public key", "invalid project key") },
  { section: "2", name: "a project that is none", method: "GET", path: cron.replace("42", "x"), body: "", status: 400, answer: /bad project path parameter/ },
  { section: "1.2", name: "PUT", method: "PUT", path: cron, status: 405, answer: "", answerHeaders: { allow: "GET,HEAD,POST" } },
  { section: "5.4", name: "preflight", method: "OPTIONS", path: cron, body: "", status: 200, answer: "" },
];

const unreal = `/api/42/unreal/${KEY}/`;
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

// deno-fmt-ignore
const UNREAL: readonly ConformanceRow[] = [
  { section: "1.2", name: "a report", path: `${unreal}?AppID=CrashReporter&UserID=a%7Cb`, body: "CR1", status: 200, answer: UUID, answerHeaders: TEXT },
  { section: "1.2", name: "an empty report", path: unreal, body: "", status: 400, answer: detail("empty request body") },
  { section: "1.1", name: "a report without its slash", path: unreal.slice(0, -1), body: "CR1", status: 404 },
  { section: "1.2", name: "GET", method: "GET", path: unreal, body: "", status: 405, answerHeaders: { allow: "POST" } },
  { section: "2", name: "a second key", path: `${unreal}?${AUTH}`, body: "CR1", status: 401, answer: detail("multiple authorization payloads detected") },
];

testTables({ CRON, UNREAL });

async function payloadOf(fixture: ListenerFixture, request: Uint8Array): Promise<unknown> {
  const answer = await rawRequest(fixture.port, request);
  assertEquals(answer?.status, 202, answer?.body);
  const { envelope, meta } = fixture.ingress.take();
  const { headers, payloadStart, payloadEnd } = envelope.items[0]!;
  assertEquals([headers.type, headers.content_type], ["check_in", "application/json"]);
  assertMatch(meta.eventId ?? "", /^[0-9a-f]{32}$/);
  assertEquals(meta.client, "relay-http");
  return JSON.parse(fromUtf8(envelope.bytes.subarray(payloadStart, payloadEnd)));
}

for (const exposure of EXPOSURES) {
  Deno.test(`${exposure}: a check-in becomes an item with the keys the upstream knows: section 1.3`, async () => {
    await using fixture = await startListener({ exposure });
    const get = (path: string) => payloadOf(fixture, requestBytes("GET", path, {}));
    assertEquals(await get(`${cron}?status=ok`), { check_in_id: NIL, monitor_slug: "nightly", status: "ok" });
    assertEquals(await get(`/api/42/cron/a%20b/${KEY}?status=late`), {
      check_in_id: NIL,
      monitor_slug: "a b",
      status: "unknown",
    });
    assertEquals(
      await get(
        `${cron}?status=missed&check_in_id=9ec79c33-ec99-42ab-8353-589fcb2e04dc&environment=p+q&duration=2`,
      ),
      { check_in_id: ID, monitor_slug: "nightly", status: "missed", environment: "p q", duration: 2 },
    );
    const sent = {
      check_in_id: ID,
      monitor_slug: "another",
      status: "error",
      duration: null,
      monitor_config: { schedule: { type: "crontab", value: "0 * * * *" } },
      contexts: { trace: { trace_id: ID } },
      unknown: 1,
    };
    const { unknown: _, duration: __, ...kept } = sent;
    assertEquals(await payloadOf(fixture, requestBytes("POST", cron, JSON_TYPE, JSON.stringify(sent))), {
      ...kept,
      monitor_slug: "nightly",
    });
  });

  Deno.test(`${exposure}: a report of the Unreal Engine becomes an item, its user a header of the envelope: section 1.2`, async () => {
    await using fixture = await startListener({ exposure });
    const answer = await rawRequest(
      fixture.port,
      requestBytes("POST", `${unreal}?UserID=a%7Cb`, {}, new Uint8Array([0xff, 0])),
    );
    const { envelope, meta } = fixture.ingress.take();
    assertEquals(answer?.body.replaceAll("-", ""), meta.eventId);
    assertEquals(envelope.headers, { event_id: meta.eventId!, unreal_user_id: "a|b" });
    const { headers, payloadStart, payloadEnd } = envelope.items[0]!;
    assertEquals(headers, { type: "unreal_report", content_type: "application/octet-stream", length: 2 });
    assertEquals([...envelope.bytes.subarray(payloadStart, payloadEnd)], [0xff, 0]);
  });

  Deno.test(`${exposure}: crontabs and crash reporters never hear of limits, only of a full spool: section 5.5`, async () => {
    await using fixture = await startListener({ exposure });
    const statuses = async () => [
      (await rawRequest(fixture.port, requestBytes("GET", `${cron}?status=ok`, {})))?.status,
      (await rawRequest(fixture.port, requestBytes("POST", unreal, {}, "CR1")))?.status,
    ];
    fixture.ingress.limitAll();
    assertEquals(await statuses(), [202, 200]);
    fixture.ingress.limitAll("spool_full");
    assertEquals(await statuses(), [503, 503]);
  });
}
