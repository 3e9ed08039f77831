/** What clients see of a listener, the same over both engines. Section numbers are those of the ingestion reference. */
import { assertEquals } from "@std/assert";
import * as zlib from "node:zlib";
import { ACCEPTED_ENCODINGS } from "../../src/listener/decode_body.ts";
import {
  checkRow,
  type ConformanceRow,
  CORS_HEADERS,
  detail,
  ENVELOPE_PATH,
  EVENT,
  ID,
  NO_CORS,
  sendRow,
  testTables,
} from "../support/conformance.ts";
import { AUTH, EXPOSURES, KEY, startListener } from "../support/listener_fixture.ts";
import { RawHttp } from "../support/raw_http.ts";

const SESSION = `{}\n{"type":"session","length":2}\n{}\n`;
const DSN = `http://${KEY}@example.com/42`;

const envelope = ENVELOPE_PATH;
const store = `/api/42/store/?${AUTH}`;
const id = `{"id":"${ID}"}`;
const zstd = (zlib as { zstdCompressSync?: (text: string) => Uint8Array }).zstdCompressSync;

// deno-fmt-ignore
const ROUTES: readonly ConformanceRow[] = [
  { section: "1.1", name: "runs of slashes are folded", path: `//api///42//envelope//?${AUTH}`, status: 200, answer: id },
  { section: "1.1", name: "slashes in the query are kept", path: `${envelope}&x=a//b`, status: 200, answer: id },
  { section: "1.1", name: "the trailing slash is significant", path: `/api/42/envelope?${AUTH}`, status: 404, answer: "" },
  { section: "1.1", name: "a project id is an unsigned number", path: `/api/x/envelope/?${AUTH}`, status: 400, answer: /bad project path parameter/ },
  { section: "1.1", name: "a project id fits 64 bits", path: `/api/18446744073709551616/envelope/?${AUTH}`, status: 400, answer: /bad project path parameter/ },
  { section: "1.1", name: "an escaped project id is decoded", path: `/api/%34%32/envelope/?${AUTH}`, status: 200, answer: id },
  { section: "1.1", name: "a broken escape in the project id", path: `/api/%zz/envelope/?${AUTH}`, status: 400, answer: /bad project path parameter/ },
  { section: "1.2", name: "an envelope", path: envelope, status: 200, answer: id, answerHeaders: { ...CORS_HEADERS, "content-type": "application/json", server: "landfall/1.2.3", "cross-origin-resource-policy": "cross-origin" } },
  { section: "1.2", name: "an envelope without an event id", path: envelope, body: SESSION, status: 200, answer: "{}" },
  { section: "1.2", name: "an envelope of any content type", path: envelope, headers: { "content-type": "nonsense" }, status: 200, answer: id },
  { section: "1.2", name: "an absolute request target", path: `http://localhost${envelope}`, status: 200, answer: id },
  { section: "1.2", name: "GET of an ingestion route", method: "GET", path: envelope, body: "", status: 405, answer: "", answerHeaders: { ...CORS_HEADERS, allow: "POST" } },
  { section: "1.2", name: "PUT of an ingestion route", method: "PUT", path: envelope, status: 405, answer: "", answerHeaders: { allow: "POST" } },
  { section: "1.2", name: "HEAD of an ingestion route", method: "HEAD", path: envelope, body: "", status: 405, answer: "" },
  { section: "1.4", name: "live", method: "GET", path: "/api/relay/healthcheck/live/", body: "", status: 200, answer: `{"is_healthy":true}`, answerHeaders: { ...NO_CORS, "content-type": "application/json", server: "landfall/1.2.3", "cross-origin-resource-policy": "cross-origin" } },
  { section: "1.4", name: "ready", method: "GET", path: "/api/relay/healthcheck/ready/", body: "", status: 200, answer: `{"is_healthy":true}` },
  { section: "1.4", name: "HEAD of live", method: "HEAD", path: "/api/relay/healthcheck/live/", body: "", status: 200, answer: "" },
  { section: "1.4", name: "live needs its slash", method: "GET", path: "/api/relay/healthcheck/live", body: "", status: 404, answer: "" },
  { section: "1.4", name: "POST of live", path: "/api/relay/healthcheck/live/", status: 405, answer: "", answerHeaders: { allow: "GET,HEAD" } },
  { section: "1.4", name: "anything else of /api/relay/", path: "/api/relay/envelope/", status: 404, answer: "" },
  { section: "1.4", name: "live for downstream relays", method: "GET", path: "/api/0/relays/live/", body: "", status: 200, answer: `{"is_healthy":true}` },
  { section: "1.4", name: "unknown API path", path: "/api/0/organizations/", status: 404, answer: "", answerHeaders: { ...NO_CORS, server: "landfall/1.2.3", "cross-origin-resource-policy": "cross-origin" } },
  { section: "1.4", name: "path outside the API", method: "GET", path: "/", body: "", status: 404, answer: "" },
];

// deno-fmt-ignore
const AUTHENTICATION: readonly ConformanceRow[] = [
  { section: "2", name: "X-Sentry-Auth", path: "/api/42/envelope/", headers: { "x-sentry-auth": `Sentry sentry_version=7,sentry_key=${KEY}` }, status: 200, answer: id },
  { section: "2", name: "X-Sentry-Auth in lower case", path: "/api/42/envelope/", headers: { "x-sentry-auth": `sentry sentry_key=${KEY}` }, status: 200, answer: id },
  { section: "2", name: "Authorization: Sentry", path: "/api/42/envelope/", headers: { authorization: `Sentry sentry_key=${KEY}` }, status: 200, answer: id },
  { section: "2", name: "Authorization: Basic", path: "/api/42/envelope/", headers: { authorization: `Basic ${btoa(`${KEY}:`)}` }, status: 200, answer: id },
  { section: "2", name: "two sources", path: envelope, headers: { "x-sentry-auth": `Sentry sentry_key=${KEY}` }, status: 401, answer: detail("multiple authorization payloads detected"), answerHeaders: CORS_HEADERS },
  { section: "2", name: "none, on store", path: "/api/42/store/", body: "{}", status: 401, answer: detail("missing authorization information") },
  { section: "2", name: "none, on envelope", path: "/api/42/envelope/", status: 401, answer: /^\{"detail":"bad envelope authentication header","causes":\[/ },
  { section: "2", name: "none and an empty body", path: "/api/42/envelope/", body: "", status: 401, answer: /bad envelope authentication header/ },
  { section: "2", name: "a bad Bearer is ignored", path: "/api/42/store/", headers: { authorization: "Bearer x" }, status: 401, answer: detail("missing authorization information") },
  { section: "2", name: "key missing in the query", path: "/api/42/envelope/?sentry_release=x", status: 401, answer: detail("bad x-sentry-auth header", "missing public key in auth header") },
  { section: "2", name: "malformed key", path: "/api/42/envelope/?sentry_key=abc", status: 400, answer: detail("bad sentry DSN public key", "invalid project key") },
  { section: "2", name: "version of the future", path: `/api/42/envelope/?sentry_version=8&sentry_key=${KEY}`, status: 400, answer: detail("unsupported protocol version (8)") },
  { section: "2", name: "the project comes before the key", path: "/api/x/envelope/?sentry_key=abc", status: 400, answer: /bad project path parameter/ },
  { section: "2", name: "dsn in the envelope's header", path: "/api/42/envelope/", body: `{"dsn":"${DSN}"}\n{"type":"session","length":2}\n{}`, status: 200, answer: "{}" },
  { section: "2", name: "dsn of another project than the path's, without other auth", path: "/api/7/envelope/", body: `{"dsn":"${DSN}"}\n{"type":"session","length":2}\n{}`, status: 200, answer: "{}" },
  { section: "2", name: "dsn of another project than the request's", path: `/api/7/envelope/?${AUTH}`, body: `{"dsn":"${DSN}"}\n`, status: 400, answer: detail("invalid event envelope", "project id header mismatch between envelope and request") },
  { section: "2", name: "dsn with another key than the request's", path: envelope, body: `{"dsn":"http://${"b".repeat(32)}@example.com/42"}\n`, status: 400, answer: detail("invalid event envelope", "public key header mismatch between envelope and request") },
  { section: "2", name: "origin other than the request's", path: envelope, headers: { origin: "http://a.com" }, body: `{"origin":"http://b.com"}\n`, status: 400, answer: detail("invalid event envelope", "origin header mismatch between envelope and request") },
];

// deno-fmt-ignore
const BODIES: readonly ConformanceRow[] = [
  { section: "3.1", name: "empty body", path: envelope, body: "", status: 400, answer: detail("empty request body"), answerHeaders: CORS_HEADERS },
  { section: "3.1", name: "header only", path: envelope, body: `{"event_id":"${ID}"}`, status: 200, answer: id },
  { section: "3.1", name: "header only, without an id", path: envelope, body: "{}\n", status: 200, answer: "{}" },
  { section: "3.1", name: "not an envelope", path: envelope, body: "hello", status: 400, answer: /^\{"detail":"invalid event envelope","causes":\["invalid envelope header"/ },
  { section: "3.1", name: "payload cut short", path: envelope, body: `{}\n{"type":"event","length":9}\n{}`, status: 400, answer: detail("invalid event envelope", "unexpected end of file") },
  { section: "3.2", name: "event id with dashes", path: envelope, body: `{"event_id":"9ec79c33-ec99-42ab-8353-589fcb2e04dc"}\n{"type":"event"}\n{}`, status: 200, answer: id },
  { section: "3.2", name: "event without an id gets one", path: envelope, body: `{}\n{"type":"event"}\n{}`, status: 200, answer: /^\{"id":"[0-9a-f]{32}"\}$/ },
  { section: "3.4", name: "internal items", path: envelope, body: `{}\n{"type":"integration"}\n{}`, status: 400, answer: detail("envelope contains internal items") },
  { section: "4.1", name: "gzip", path: envelope, headers: { "content-encoding": "gzip" }, body: zlib.gzipSync(EVENT), status: 200, answer: id },
  { section: "4.1", name: "deflate", path: envelope, headers: { "content-encoding": "deflate" }, body: zlib.deflateSync(EVENT), status: 200, answer: id },
  ...(zstd ? [{ section: "4.1", name: "br", path: envelope, headers: { "content-encoding": "br" }, body: zlib.brotliCompressSync(EVENT), status: 200, answer: id }] : []),
  ...(zstd
    ? [{
      section: "4.1",
      name: "zstd",
      path: envelope,
      headers: { "content-encoding": "zstd" },
      body: zstd(EVENT),
      status: 200,
      answer: id,
    }]
    : []),
  { section: "4.1", name: "identity", path: envelope, headers: { "content-encoding": "identity" }, status: 200, answer: id },
  { section: "4.1", name: "empty encoding", path: envelope, headers: { "content-encoding": "" }, status: 200, answer: id },
  { section: "4.1", name: "UTF-8 as encoding", path: envelope, headers: { "content-encoding": "UTF-8" }, status: 200, answer: id },
  { section: "4.1", name: "unknown encoding", path: envelope, headers: { "content-encoding": "lzma" }, status: 415, answer: "", answerHeaders: { ...NO_CORS, "accept-encoding": ACCEPTED_ENCODINGS } },
  { section: "4.1", name: "encoding in upper case", path: envelope, headers: { "content-encoding": "GZIP" }, status: 415, answer: "" },
  { section: "4.1", name: "two encodings", path: envelope, headers: { "content-encoding": "gzip, br" }, status: 415, answer: "" },
  { section: "4.1", name: "corrupt gzip", path: envelope, headers: { "content-encoding": "gzip" }, body: "hello", status: 400, answer: /Failed to buffer the request body/, answerHeaders: CORS_HEADERS },
  { section: "4.1", name: "gzip cut short", path: envelope, headers: { "content-encoding": "gzip" }, body: zlib.gzipSync(EVENT).subarray(0, 40), status: 400, answer: /Failed to buffer the request body/ },
  { section: "4.1", name: "gzip bomb", path: envelope, headers: { "content-encoding": "gzip" }, body: zlib.gzipSync(new Uint8Array(16 * 1024 * 1024)), status: 413, answer: "length limit exceeded" },
  { section: "4.4", name: "announced body beyond the limit", path: store, body: new Uint8Array(1024 * 1024 + 1), status: 413, answer: "length limit exceeded", answerHeaders: { ...CORS_HEADERS, "content-type": "text/plain; charset=utf-8" } },
  { section: "5.4", name: "preflight", method: "OPTIONS", path: "/api/42/envelope/", body: "", status: 200, answer: "", answerHeaders: { "access-control-allow-origin": "*", "access-control-allow-methods": "POST", "access-control-allow-headers": "x-sentry-auth,x-requested-with,x-forwarded-for,origin,referer,accept,content-type,authentication,authorization,content-encoding,transfer-encoding", "access-control-max-age": "3600", "access-control-expose-headers": null, vary: CORS_HEADERS.vary } },
  { section: "5.4", name: "preflight of store", method: "OPTIONS", path: "/api/x/store/", body: "", status: 200, answer: "" },
];

/** Requests no client library sends: [name, bytes, statuses that are right; null for a closed connection]. */
// deno-fmt-ignore
const HOSTILE: readonly [string, string, readonly (number | null)[]][] = [
  ["bytes that are no HTTP", "\x00\x01\x02\xff\r\n\r\n", [400]],
  ["a TLS hello", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", [400, null]],
  ["two different lengths", `POST ${envelope} HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab`, [400]],
  ["a negative length", `POST ${envelope} HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n`, [400]],
  ["a hexadecimal length", `POST ${envelope} HTTP/1.1\r\nHost: x\r\nContent-Length: 0x10\r\n\r\n`, [400]],
  ["a broken chunk size", `POST ${envelope} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n`, [400, null]],
  ["an unknown transfer encoding", `POST ${envelope} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked\r\n\r\n`, [400, 501, null]],
  ["a Host no URL can hold", `GET /api/relay/healthcheck/live/ HTTP/1.1\r\nHost: a b^\r\n\r\n`, [400]],
  ["no Host", `GET /api/relay/healthcheck/live/ HTTP/1.1\r\n\r\n`, [200, 400]],
  ["a method nobody knows", `BREW ${envelope} HTTP/1.1\r\nHost: x\r\n\r\n`, [400, 405]],
  ["a method named like an object's member", `constructor ${envelope} HTTP/1.1\r\nHost: x\r\n\r\n`, [
    400,
    405,
  ]],
  ["OPTIONS *", "OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n", [404, 400]],
  ["CONNECT", "CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n", [400, 404, 405, null]],
  ["an upgrade", `GET /api/relay/healthcheck/live/ HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n`, [200]],
  ["HTTP/1.0", `GET /api/relay/healthcheck/live/ HTTP/1.0\r\n\r\n`, [200, 400]],
  ["a target with a fragment", `GET /api/relay/healthcheck/live/#x HTTP/1.1\r\nHost: x\r\n\r\n`, [
    200,
    400,
    404,
  ]],
  ["a target without a path", "GET http://localhost HTTP/1.1\r\nHost: x\r\n\r\n", [404, 400]],
  ["bytes above ASCII in the target", "GET /api/\xc3\xa4 HTTP/1.1\r\nHost: x\r\n\r\n", [404, 400]],
  ["bytes above ASCII in a header", `POST ${envelope} HTTP/1.1\r\nHost: x\r\nUser-Agent: \xff\xfe\r\nContent-Length: 3\r\n\r\n{}\n`, [200, 400]],
  ["an expectation nobody knows", `POST ${envelope} HTTP/1.1\r\nHost: x\r\nExpect: miracles\r\nContent-Length: 3\r\n\r\n{}\n`, [200, 417]],
];

testTables({ ROUTES, AUTHENTICATION, BODIES });

for (const exposure of EXPOSURES) {
  Deno.test(`${exposure}: hostile requests get a 4xx or lose their connection, never a 500`, async (test) => {
    await using fixture = await startListener({ exposure });
    for (const [name, bytes, statuses] of HOSTILE) {
      await test.step(name, async () => {
        using connection = await RawHttp.connect(fixture.port);
        await connection.send(bytes);
        const status = (await connection.response())?.status ?? null;
        assertEquals(statuses.includes(status), true, `answered ${status}`);
      });
    }
    checkRow(ROUTES[0]!, await sendRow(fixture, ROUTES[0]!));
  });
}
