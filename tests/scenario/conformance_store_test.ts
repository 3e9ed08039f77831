/** What clients see of the store endpoints, the same over both engines. Sections are those of the ingestion reference. */
import { assertEquals } from "@std/assert";
import * as zlib from "node:zlib";
import { concatBytes, fromUtf8 } from "../../src/core/bytes.ts";
import {
  type ConformanceRow,
  CORS_HEADERS,
  detail,
  ENVELOPE_PATH,
  EVENT,
  ID,
  testTables,
} from "../support/conformance.ts";
import { AUTH, EXPOSURES, KEY, startListener } from "../support/listener_fixture.ts";
import { rawRequest, requestBytes } from "../support/raw_http.ts";

const store = `/api/42/store/?${AUTH}`;
const legacy = `/api/store/?${AUTH}`;
const id = `{"id":"${ID}"}`;
const anyId = /^\{"id":"[0-9a-f]{32}"\}$/;
const event = `{"event_id":"${ID}","message":"x"}`;
const base64 = (bytes: Uint8Array) => btoa(String.fromCharCode(...bytes));
const deflated = (text: string) => base64(zlib.deflateSync(text));
const data = (text: string) => `&sentry_data=${encodeURIComponent(text)}`;
const PIXEL = "GIF89a\x01\x00\x01\x00\x00\xff\x00,\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x00;";
const IMAGE = { ...CORS_HEADERS, "content-type": "image/gif" };
const python = `/api/42/store/?${AUTH}&sentry_client=raven-python%2F6.10`;

// deno-fmt-ignore
const POST: readonly ConformanceRow[] = [
  { section: "1.3", name: "an event", path: store, body: event, status: 200, answer: id },
  { section: "1.3", name: "an event of any content type", path: store, headers: { "content-type": "nonsense" }, body: event, status: 200, answer: id },
  { section: "1.3", name: "an event without an id", path: store, body: `{"message":"x"}`, status: 200, answer: anyId },
  { section: "1.3", name: "a malformed id", path: store, body: `{"event_id":"x"}`, status: 400, answer: /invalid JSON data/ },
  { section: "1.3", name: "base64 of zlib of JSON", path: store, headers: { "content-type": "application/octet-stream" }, body: deflated(event), status: 200, answer: id },
  { section: "1.3", name: "base64 of JSON", path: store, body: btoa(event), status: 200, answer: id },
  { section: "1.3", name: "base64 of damaged zlib", path: store, body: deflated(event).replace(/^..../, "AAAA"), status: 400, answer: /^\{"detail":"invalid request body"/ },
  { section: "1.3", name: "neither JSON nor base64", path: store, body: "hello!", status: 400, answer: /^\{"detail":"invalid request body"/ },
  { section: "1.3", name: "an inflating body beyond the limit is cut", path: store, body: deflated(`{"a":"${"x".repeat(2e6)}"}`), status: 400, answer: /invalid JSON data/ },
  { section: "1.3", name: "empty body", path: store, body: "", status: 400, answer: detail("empty request body") },
  { section: "1.3", name: "no JSON", path: store, body: "{nope", status: 400, answer: /invalid JSON data/ },
  { section: "1.3", name: "NaN of Python", path: python, body: `{"event_id":"${ID}","a":NaN,"b":-Infinity}`, status: 200, answer: id },
  { section: "1.3", name: "NaN of anyone else", path: store, body: `{"event_id":"${ID}","a":NaN}`, status: 400, answer: /invalid JSON data/ },
  { section: "1.2", name: "an envelope by its content type", path: store, headers: { "content-type": "application/x-sentry-envelope" }, status: 200, answer: id },
  { section: "1.2", name: "an envelope's content type with a parameter is an event's", path: store, headers: { "content-type": "application/x-sentry-envelope; charset=utf-8" }, status: 400, answer: /invalid JSON data/ },
  { section: "4.4", name: "body beyond the limit", path: store, body: new Uint8Array(1024 * 1024 + 1), status: 413, answer: "length limit exceeded" },
  { section: "1.2", name: "PUT of store", method: "PUT", path: store, status: 405, answer: "", answerHeaders: { allow: "GET,HEAD,POST" } },
  { section: "1.1", name: "store without its slash", path: `/api/42/store?${AUTH}`, body: event, status: 404 },
];

// deno-fmt-ignore
const GET: readonly ConformanceRow[] = [
  { section: "1.2", name: "an event in the query", method: "GET", path: store + data(event), body: "", status: 200, answer: PIXEL, answerHeaders: IMAGE },
  { section: "1.2", name: "an event in the query of HEAD", method: "HEAD", path: store + data(event), body: "", status: 200, answer: "" },
  { section: "1.3", name: "base64 of zlib in the query", method: "GET", path: store + data(deflated(event)), body: "", status: 200, answer: PIXEL },
  { section: "1.3", name: "no JSON in the query", method: "GET", path: store + data("{"), body: "", status: 400, answer: /invalid JSON data/ },
  { section: "1.3", name: "nothing in the query", method: "GET", path: store + data(""), body: "", status: 400, answer: detail("empty request body") },
  { section: "5.2", name: "no event in the query", method: "GET", path: store, body: "", status: 400, answer: "Failed to deserialize query string: missing field `sentry_data`", answerHeaders: { ...CORS_HEADERS, "content-type": "text/plain; charset=utf-8" } },
  { section: "2", name: "an event in the query whose key is in a header", method: "GET", path: `/api/42/store/?x=1${data(event)}`, headers: { "x-sentry-auth": `Sentry sentry_key=${KEY}` }, body: "", status: 401, answer: detail("multiple authorization payloads detected") },
  { section: "2", name: "an event in the query without a key", method: "GET", path: `/api/42/store/?x=1${data(event)}`, body: "", status: 401, answer: /bad x-sentry-auth header/ },
];

// deno-fmt-ignore
const LEGACY: readonly ConformanceRow[] = [
  { section: "1.2", name: "an event without a project", path: legacy, body: event, status: 200, answer: id, answerHeaders: CORS_HEADERS },
  { section: "1.2", name: "an envelope without a project", path: legacy, headers: { "content-type": "application/x-sentry-envelope" }, status: 200, answer: id },
  { section: "1.2", name: "an image without a project", method: "GET", path: legacy + data(event), body: "", status: 200, answer: PIXEL },
  { section: "2", name: "no key", path: "/api/store/", body: event, status: 401, answer: detail("missing authorization information") },
  { section: "2", name: "a dsn with another key", path: legacy, headers: { "content-type": "application/x-sentry-envelope" }, body: `{"dsn":"http://${"b".repeat(32)}@a.com/42"}\n`, status: 400, answer: /public key header mismatch/ },
  { section: "5.4", name: "preflight", method: "OPTIONS", path: "/api/store/", body: "", status: 200, answer: "" },
];

testTables({ POST, GET, LEGACY });

for (const exposure of EXPOSURES) {
  Deno.test(`${exposure}: an event in the query is stored as one in a body: section 1.3`, async () => {
    await using fixture = await startListener({ exposure });
    await rawRequest(fixture.port, requestBytes("GET", store + data(event), { referer: "http://a.com/b" }));
    const { envelope, body, meta } = fixture.ingress.take();
    assertEquals([meta.eventId, meta.projectId, meta.origin], [ID, "42", "http://a.com/b"]);
    assertEquals(envelope.items.map(({ headers }) => headers.type), ["event"]);
    const length = event.length;
    assertEquals(
      fromUtf8(concatBytes(body)),
      `{"event_id":"${ID}"}\n{"type":"event","content_type":"application/json","length":${length}}\n${event}\n`,
    );
  });

  Deno.test(`${exposure}: an event without a project goes to that of its key, as far as that is known: section 1.2`, async () => {
    await using fixture = await startListener({ exposure });
    const projectOf = async (body: string, headers: Record<string, string> = {}) => {
      await rawRequest(fixture.port, requestBytes("POST", legacy, headers, body));
      return fixture.ingress.take().meta.projectId;
    };
    assertEquals(await projectOf(event), "");
    const type = { "content-type": "application/x-sentry-envelope" };
    assertEquals(await projectOf(EVENT, type), "");
    assertEquals(await projectOf(EVENT.replace("{", `{"dsn":"http://${KEY}@a.com/7",`), type), "7");
    fixture.ingress.projects.set(KEY, "42");
    assertEquals(await projectOf(event), "42");
  });

  Deno.test(`${exposure}: limits are told with 429, in place of the image, too: section 5.5`, async () => {
    await using fixture = await startListener({ exposure });
    fixture.ingress.limitAll();
    for (
      const request of [
        requestBytes("POST", ENVELOPE_PATH, {}, EVENT),
        requestBytes("GET", store + data(event), {}),
      ]
    ) {
      const answer = await rawRequest(fixture.port, request);
      assertEquals([answer?.status, answer?.headers.get("retry-after")], [429, "60"]);
    }
  });
}
