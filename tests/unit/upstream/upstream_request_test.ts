import { assert, assertEquals, assertStrictEquals } from "@std/assert";
import type { RequestMeta } from "../../../src/protocol/request_meta.ts";
import { ageEnvelope, HELD_MS_MIN } from "../../../src/upstream/age_envelope.ts";
import { BodyEncoder } from "../../../src/upstream/body_encoding.ts";
import { prepareBody, probeRequest, recordRequest } from "../../../src/upstream/upstream_request.ts";
import { decodeContent } from "../../support/decode_content.ts";

const encoder = new TextEncoder();
const decoder = new TextDecoder();

const META: RequestMeta = {
  projectId: "42",
  key: "9ec79c33ec9942ab8353589fcb2e04dc",
  version: 7,
  client: "sentry.python/1.9",
  origin: "http://valid.com/",
  remoteAddr: "10.0.0.1",
  forwardedFor: "203.0.113.7, 10.0.0.1",
  userAgent: "client",
  noCache: false,
  contentEncoding: "",
  eventId: null,
  clientHints: null,
  quantities: [],
  passthrough: null,
};
const BODY = { bytes: encoder.encode("{}\n"), encoding: "" } as const;

Deno.test("recordRequest has the headers of the ingestion reference, section 6.2", () => {
  assertEquals(recordRequest(META, { ...BODY, encoding: "zstd" }, [["X-Sentry-Relay-Id", "a-relay"]]), {
    method: "POST",
    path: "/api/42/envelope/",
    headers: [
      ["Content-Type", "application/x-sentry-envelope"],
      [
        "X-Sentry-Auth",
        "Sentry sentry_key=9ec79c33ec9942ab8353589fcb2e04dc, sentry_version=7, sentry_client=sentry.python/1.9",
      ],
      ["X-Forwarded-For", "203.0.113.7, 10.0.0.1"],
      ["Content-Encoding", "zstd"],
      ["User-Agent", "client"],
      ["Origin", "http://valid.com/"],
      ["X-Sentry-Relay-Id", "a-relay"],
    ],
    body: BODY.bytes,
  });
});

Deno.test("recordRequest leaves out what is unknown", () => {
  const { headers } = recordRequest({ ...META, client: null, origin: null, userAgent: null }, BODY, []);
  assertEquals(headers, [
    ["Content-Type", "application/x-sentry-envelope"],
    ["X-Sentry-Auth", "Sentry sentry_key=9ec79c33ec9942ab8353589fcb2e04dc, sentry_version=7"],
    ["X-Forwarded-For", "203.0.113.7, 10.0.0.1"],
  ]);
});

Deno.test("recordRequest hands on the client hints as the headers they came as", () => {
  const clientHints = [["sec-ch-ua", '"A";v="1"'], ["sec-ch-ua-model", "b"]] as const;
  const { headers } = recordRequest({ ...META, clientHints }, BODY, []);
  assertEquals(headers.slice(-2), [["sec-ch-ua", '"A";v="1"'], ["sec-ch-ua-model", "b"]]);
});

Deno.test("recordRequest sends a body that is no envelope to its own route, with its own type", () => {
  const passthrough = { path: "/api/42/nel/", contentType: "application/reports+json" };
  const { path, headers } = recordRequest({ ...META, passthrough }, BODY, []);
  assertEquals([path, headers[0]], ["/api/42/nel/", ["Content-Type", "application/reports+json"]]);
  const untyped = recordRequest({ ...META, passthrough: { path: "/a", contentType: null } }, BODY, []);
  assertEquals(untyped.headers.map(([name]) => name).includes("Content-Type"), false);
});

Deno.test("recordRequest sends an envelope of a project nobody named to the store endpoint without one", () => {
  const { path, headers } = recordRequest({ ...META, projectId: "" }, BODY, []);
  assertEquals([path, headers[0]], ["/api/store/", ["Content-Type", "application/x-sentry-envelope"]]);
});

Deno.test("prepareBody leaves a body that is no envelope as it came, whatever its size and age", () => {
  const stored = { bytes: new Uint8Array(20_000), encoding: "" } as const;
  const encoder = new BodyEncoder("zstd", 1024 * 1024);
  const passthrough = { path: "/a", contentType: null };
  assertStrictEquals(prepareBody({ passthrough }, stored, HELD_MS_MIN * 2, encoder), stored);
});

Deno.test("probeRequest asks for liveness with the relay's id, if there is one", () => {
  assertEquals(probeRequest([]), { method: "GET", path: "/api/0/relays/live/", headers: [], body: null });
  assertEquals(probeRequest([["X-Sentry-Relay-Id", "a-relay"]]).headers, [["X-Sentry-Relay-Id", "a-relay"]]);
});

const HOUR_MS = 3_600_000;
const ITEMS = '\n{"type":"event","length":3}\n{}\n\n{"type":"x"}\nend';

const AGED: readonly (readonly [string, string])[] = [
  ['{"sent_at":"2026-01-01T10:00:00Z"}', '{"sent_at":"2026-01-01T11:00:00.000Z"}'],
  [
    '{"event_id":"9ec79c33ec9942ab8353589fcb2e04dc","sent_at":"2026-01-01T23:30:00.500+01:00","sdk":{"name":"x"}}',
    '{"event_id":"9ec79c33ec9942ab8353589fcb2e04dc","sent_at":"2026-01-01T23:30:00.500Z","sdk":{"name":"x"}}',
  ],
];

for (const [header, expected] of AGED) {
  Deno.test(`ageEnvelope moves sent_at by the time held and nothing else: ${header}`, () => {
    const aged = ageEnvelope(encoder.encode(header + ITEMS), HOUR_MS);
    assertEquals(decoder.decode(aged!), expected + ITEMS);
    assertEquals(decoder.decode(ageEnvelope(encoder.encode(header), HOUR_MS)!), `${expected}\n`);
  });
}

for (const header of ["{}", '{"sent_at":null}', '{"sent_at":17}', "garbage", ""]) {
  Deno.test(`ageEnvelope leaves an envelope with header ${header || "nothing"} alone`, () => {
    assertEquals(ageEnvelope(encoder.encode(header + ITEMS), HOUR_MS), null);
  });
}

Deno.test("prepareBody changes nothing before five minutes, and then only envelopes with sent_at", async () => {
  const bodyEncoder = new BodyEncoder("auto", 1024 * 1024);
  const dated = { bytes: encoder.encode(AGED[0]![0] + ITEMS), encoding: "" } as const;
  assertStrictEquals(prepareBody(META, dated, HELD_MS_MIN, bodyEncoder), dated);
  assertStrictEquals(await prepareBody(META, BODY, HOUR_MS, bodyEncoder), BODY);
  const aged = await prepareBody(META, dated, HOUR_MS, bodyEncoder);
  assertEquals(decoder.decode(aged.bytes), AGED[0]![1] + ITEMS);
});

Deno.test("prepareBody ages compressed bodies, too, and leaves those it cannot decode alone", async () => {
  const { gzipSync } = await import("node:zlib");
  const text = `${AGED[0]![0]}\n{"type":"x","length":9000}\n${"x".repeat(9000)}\n`;
  const body = { bytes: new Uint8Array(gzipSync(text)), encoding: "gzip" } as const;
  const aged = await prepareBody(META, body, HOUR_MS, new BodyEncoder("auto", 1024 * 1024));
  assert(aged.encoding !== "");
  assertEquals(
    decoder.decode(decodeContent(aged.bytes, aged.encoding)),
    text.replace("10:00:00Z", "11:00:00.000Z"),
  );
  assertStrictEquals(await prepareBody(META, body, HOUR_MS, new BodyEncoder("auto", 100)), body);
});
