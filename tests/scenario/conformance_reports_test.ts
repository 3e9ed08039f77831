/** What browsers and exporters see of the endpoints for reports, traces and logs. Sections are those of the ingestion reference. */
import { assertEquals, assertMatch } from "@std/assert";
import * as zlib from "node:zlib";
import { fromUtf8 } from "../../src/core/bytes.ts";
import { METRICS } from "../../src/telemetry/catalogue.ts";
import { type ConformanceRow, CORS_HEADERS, detail, testTables } from "../support/conformance.ts";
import { AUTH, EXPOSURES, KEY, startListener } from "../support/listener_fixture.ts";
import { rawRequest, requestBytes } from "../support/raw_http.ts";

const security = `/api/42/security/?sentry_key=${KEY}`;
const nel = `/api/42/nel/?${AUTH}`;
const auth = { "x-sentry-auth": `sentry sentry_key=${KEY}` };
const JSON_TYPE = { "content-type": "application/json" };
const csp = `{"csp-report":{"document-uri":"http://a.com/"}}`;
const violation = `{"age":0,"body":{"blockedURL":"inline"},"type":"csp-violation","url":"http://a.com/"}`;
const deprecation = `{"age":0,"body":{},"type":"deprecation","url":"http://a.com/"}`;
const EMPTY = { ...CORS_HEADERS, "content-type": null, "content-length": "0" };
const typed = (type: string) => ({ "content-type": type });
const MIME_ERROR = "mime parse error: a slash (/) was missing between the type and subtype";

// deno-fmt-ignore
const SECURITY: readonly ConformanceRow[] = [
  ...["application/json", "application/csp-report", "application/expect-ct-report", "application/expect-ct-report+json", "application/expect-staple-report", "application/reports+json", "application/csp-report; charset=utf-8", "Application/CSP-Report"].map((type) =>
    ({ section: "1.2", name: `a report as ${type}`, path: security, headers: typed(type), body: csp, status: 200, answer: "", answerHeaders: EMPTY })),
  { section: "1.2", name: "the older path", path: `/api/42/csp-report/?${AUTH}`, headers: typed("application/csp-report"), body: csp, status: 200, answer: "" },
  { section: "1.2", name: "release and environment in the query", path: `${security}&sentry_release=a%401&sentry_environment=b`, headers: JSON_TYPE, body: csp, status: 200, answer: "" },
  { section: "1.2", name: "another content type", path: security, headers: typed("text/plain"), body: csp, status: 415, answer: "", answerHeaders: EMPTY },
  { section: "1.2", name: "a reports type without its suffix", path: security, headers: typed("application/reports"), body: csp, status: 415, answer: "" },
  { section: "1.2", name: "no content type", path: security, body: csp, status: 400, answer: detail(MIME_ERROR), answerHeaders: CORS_HEADERS },
  { section: "1.2", name: "a content type that is none", path: security, headers: typed("json"), body: csp, status: 400, answer: detail(MIME_ERROR) },
  { section: "1.2", name: "a content type with characters that cannot be in one", path: security, headers: typed("application/js(on"), body: csp, status: 400, answer: /mime parse error/ },
  { section: "1.2", name: "an empty report", path: security, headers: JSON_TYPE, body: "", status: 400, answer: detail("empty request body") },
  { section: "1.3", name: "a batch", path: security, headers: typed("application/reports+json"), body: `[${violation}, ${deprecation},${violation} ]\n`, status: 200, answer: "" },
  { section: "1.3", name: "a batch of nothing", path: security, headers: typed("application/reports+json"), body: " [ ] ", status: 200, answer: "" },
  { section: "1.3", name: "a batch without a violation", path: security, headers: typed("application/reports+json"), body: `[${deprecation}]`, status: 200, answer: "" },
  { section: "1.3", name: "a batch cut short", path: security, headers: typed("application/reports+json"), body: `[${violation},`, status: 400, answer: /invalid JSON data/ },
  { section: "1.3", name: "a batch of numbers", path: security, headers: typed("application/reports+json"), body: "[1]", status: 400, answer: /invalid JSON data/ },
  { section: "1.3", name: "a batch and more", path: security, headers: typed("application/reports+json"), body: `[${violation}]x`, status: 400, answer: /invalid JSON data/ },
  { section: "2", name: "a report without a key", path: "/api/42/security/", headers: JSON_TYPE, body: csp, status: 401, answer: detail("missing authorization information") },
  { section: "2", name: "key in a header, release in the query", path: "/api/42/security/?sentry_release=1", headers: { ...JSON_TYPE, ...auth }, body: csp, status: 401, answer: detail("multiple authorization payloads detected") },
  { section: "4.4", name: "a report beyond the limit", path: security, headers: JSON_TYPE, body: new Uint8Array(1024 * 1024 + 1), status: 413, answer: "length limit exceeded" },
  { section: "1.2", name: "GET of security", method: "GET", path: security, body: "", status: 405, answer: "", answerHeaders: { allow: "POST" } },
  { section: "1.1", name: "security without its slash", path: `/api/42/security?${AUTH}`, headers: JSON_TYPE, body: csp, status: 404 },
  { section: "5.4", name: "preflight of the Reporting API", method: "OPTIONS", path: security, headers: { "access-control-request-headers": "content-type", "access-control-request-method": "POST", origin: "http://a.com" }, body: "", status: 200, answer: "" },
];

// deno-fmt-ignore
const NEL: readonly ConformanceRow[] = [
  { section: "1.2", name: "network errors", path: nel, headers: typed("application/reports+json"), body: "[]", status: 200, answer: "", answerHeaders: EMPTY },
  { section: "1.2", name: "network errors as JSON", path: nel, headers: typed("application/json; charset=utf-8"), body: "{}", status: 200, answer: "" },
  { section: "1.2", name: "another content type", path: nel, headers: typed("application/csp-report"), body: "[]", status: 415, answer: "", answerHeaders: EMPTY },
  { section: "1.2", name: "no content type", path: nel, body: "[]", status: 400, answer: detail(MIME_ERROR) },
  { section: "2", name: "no key", path: "/api/42/nel/", headers: JSON_TYPE, body: "[]", status: 401 },
  { section: "4.3", name: "body beyond the limit", path: nel, headers: JSON_TYPE, body: new Uint8Array(12 * 1024 * 1024 + 1), status: 413 },
  { section: "5.4", name: "preflight", method: "OPTIONS", path: "/api/42/nel/", body: "", status: 200, answer: "" },
];

const both = (path: string) => [path, `${path}/`];
const OTLP_PATHS = ["traces", "logs"].flatMap((name) => both(`/api/42/integration/otlp/v1/${name}`));

// deno-fmt-ignore
const OTLP: readonly ConformanceRow[] = OTLP_PATHS.flatMap((path) => [
  { section: "1.2", name: `${path} in JSON`, path, headers: { ...JSON_TYPE, ...auth }, body: "{}", status: 200, answer: "", answerHeaders: EMPTY },
  { section: "1.2", name: `${path} in protobuf`, path, headers: { "content-type": "application/x-protobuf", ...auth }, body: new Uint8Array([1]), status: 200, answer: "" },
  { section: "1.2", name: `${path} with parameters of the type, which a Relay refuses`, path, headers: { "content-type": "application/json; charset=utf-8", ...auth }, body: "{}", status: 200, answer: "" },
  { section: "1.2", name: `${path} of another type`, path, headers: { "content-type": "text/plain", ...auth }, body: "{}", status: 415, answer: "", answerHeaders: EMPTY },
  { section: "1.2", name: `${path} of no type`, path, headers: auth, body: "{}", status: 415, answer: "" },
  { section: "1.2", name: `GET ${path}`, method: "GET", path, headers: auth, body: "", status: 405, answerHeaders: { allow: "POST" } },
  { section: "2", name: `${path} without a key`, path, headers: JSON_TYPE, body: "{}", status: 401, answer: detail("missing authorization information") },
  { section: "4.1", name: `${path} with gzip`, path, headers: { ...JSON_TYPE, ...auth, "content-encoding": "gzip" }, body: zlib.gzipSync("{}"), status: 200, answer: "" },
  { section: "4.1", name: `${path} with broken gzip`, path, headers: { ...JSON_TYPE, ...auth, "content-encoding": "gzip" }, body: "{}", status: 400 },
]);

// deno-fmt-ignore
const VERCEL: readonly ConformanceRow[] = both("/api/42/integration/vercel/logs").flatMap((path) => [
  { section: "1.2", name: `${path} in JSON`, path, headers: { ...JSON_TYPE, ...auth }, body: "[]", status: 202, answer: "", answerHeaders: EMPTY },
  { section: "1.2", name: `${path} in lines`, path, headers: { "content-type": "application/x-ndjson", ...auth }, body: "{}\n{}", status: 202, answer: "" },
  { section: "1.2", name: `${path} of another type`, path, headers: { "content-type": "application/x-protobuf", ...auth }, body: "[]", status: 415, answer: "" },
]);

testTables({ SECURITY, NEL, OTLP, VERCEL });

for (const exposure of EXPOSURES) {
  Deno.test(`${exposure}: each report of a batch is an envelope of its own, byte for byte: section 1.3`, async () => {
    await using fixture = await startListener({ exposure });
    const path = `${security}&sentry_environment=b&sentry_release=a%401`;
    const spaced = violation.replace(":0", " :  0.0");
    const body = `[${violation},${deprecation},${spaced}]`;
    await rawRequest(fixture.port, requestBytes("POST", path, typed("application/reports+json"), body));
    const { submissions } = fixture.ingress;
    const ids = submissions.map(({ meta }) => meta.eventId);
    assertEquals([new Set(ids).size, ids.length], [2, 2]);
    for (const [index, { envelope, meta }] of submissions.entries()) {
      assertMatch(meta.eventId ?? "", /^[0-9a-f]{32}$/);
      const { headers, payloadStart, payloadEnd } = envelope.items[0]!;
      assertEquals(fromUtf8(envelope.bytes.subarray(payloadStart, payloadEnd)), [violation, spaced][index]);
      assertEquals({ ...headers, length: 0 }, {
        type: "raw_security",
        content_type: "application/json",
        sentry_release: "a@1",
        sentry_environment: "b",
        length: 0,
      });
    }
    const filtered = fixture.metrics.read(METRICS.outcomes, "invalid", "security_report_type", "security");
    assertEquals(filtered, 1);
  });

  Deno.test(`${exposure}: reports beyond a hundred of one batch are counted and left out`, async () => {
    await using fixture = await startListener({ exposure });
    const body = `[${Array(102).fill(violation).join()}]`;
    await rawRequest(fixture.port, requestBytes("POST", security, typed("application/reports+json"), body));
    assertEquals(fixture.ingress.submissions.length, 100);
    assertEquals(fixture.metrics.read(METRICS.outcomes, "invalid", "too_large", "security"), 2);
  });

  Deno.test(`${exposure}: traces and logs go on to the upstream's own route as they came`, async () => {
    await using fixture = await startListener({ exposure });
    const body = new Uint8Array(zlib.gzipSync(`{"resourceSpans":[]}`));
    const headers = { "content-type": "application/json; a=b", "content-encoding": "gzip", ...auth };
    const path = "/api/042/integration/otlp/v1/traces/?x=1";
    await rawRequest(fixture.port, requestBytes("POST", path, headers, body));
    const logs = "/api/42/integration/otlp/v1/logs";
    await rawRequest(fixture.port, requestBytes("POST", logs, { ...JSON_TYPE, ...auth }, "12345"));
    await rawRequest(fixture.port, requestBytes("POST", nel, JSON_TYPE, "[]"));
    const [traces, log, error] = fixture.ingress.passthroughs;
    assertEquals(traces!.meta.passthrough, {
      path: "/api/42/integration/otlp/v1/traces",
      contentType: "application/json",
    });
    assertEquals([traces!.meta.key, traces!.meta.contentEncoding, traces!.body], [KEY, "gzip", body]);
    assertEquals(traces!.meta.quantities, [["span", 1]]);
    assertEquals(log!.meta.quantities, [["log_byte", 5], ["log_item", 1]]);
    assertEquals(error!.meta.passthrough, { path: "/api/42/nel/", contentType: "application/json" });
  });

  Deno.test(`${exposure}: of limits browsers hear through security, exporters and drains, never through nel: section 5.5`, async () => {
    await using fixture = await startListener({ exposure });
    fixture.ingress.limitAll();
    const status = async (path: string, headers: Record<string, string>) =>
      (await rawRequest(fixture.port, requestBytes("POST", path, headers, "{}")))?.status;
    assertEquals(await status(security, JSON_TYPE), 429);
    for (const path of OTLP_PATHS) assertEquals(await status(path, { ...JSON_TYPE, ...auth }), 429);
    assertEquals(await status("/api/42/integration/vercel/logs", { ...JSON_TYPE, ...auth }), 429);
    assertEquals(await status(nel, JSON_TYPE), 200);
    fixture.ingress.limitAll("spool_full");
    assertEquals(await status(nel, JSON_TYPE), 503);
  });
}
