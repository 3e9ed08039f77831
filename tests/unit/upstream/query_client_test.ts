import { assertEquals, assertRejects } from "@std/assert";
import { fromUtf8, utf8 } from "../../../src/core/bytes.ts";
import { checkSignature, isTimely, SecretKey } from "../../../src/protocol/signature.ts";
import { METRIC_LAYOUT, METRICS } from "../../../src/telemetry/catalogue.ts";
import { Metrics } from "../../../src/telemetry/registry.ts";
import type { ClientRequest, ClientResponse } from "../../../src/upstream/http_client.ts";
import { QueryClient, QueryError } from "../../../src/upstream/query_client.ts";
import { RequestSigner } from "../../../src/upstream/request_signer.ts";
import { UpstreamError } from "../../../src/upstream/upstream_error.ts";
import { ManualClock } from "../../support/manual_clock.ts";

const key = SecretKey.generate();
const identity = { id: "cde0d72e-0c4e-4550-a934-c1867d8a177c", secretKey: key.toText() };

interface Reply {
  status?: number;
  body?: string;
  date?: string;
  error?: Error;
}

function setUp({ status = 200, body = "{}", date, error }: Reply) {
  const requests: ClientRequest[] = [];
  const metrics = new Metrics(METRIC_LAYOUT);
  const clock = new ManualClock();
  const client = {
    send(request: ClientRequest): Promise<ClientResponse> {
      requests.push(request);
      if (error) return Promise.reject(error);
      return Promise.resolve({
        status,
        header: (name) => name === "date" ? date ?? null : null,
        body: utf8(body),
      });
    },
    close() {},
  };
  const queries = new QueryClient({ client, metrics, signer: new RequestSigner(identity, clock) });
  return { queries, requests, metrics, clock };
}

Deno.test("QueryClient: the body that is sent is the one that is signed (section 3)", async () => {
  const { queries, requests, metrics, clock } = setUp({
    body: `{"a":1}`,
    date: "Thu, 01 Jan 2026 00:00:05 GMT",
  });
  const { value, upstreamTimeMs } = await queries.ask("project_configs", { publicKeys: ["ä"] });
  assertEquals([value, upstreamTimeMs], [{ a: 1 }, Date.UTC(2026, 0, 1, 0, 0, 5)]);
  const { path, method, headers, body } = requests[0]!;
  assertEquals([method, path], ["POST", "/api/0/relays/projectconfigs/?version=3"]);
  assertEquals(fromUtf8(body!), `{"publicKeys":["ä"]}`);
  const sent = new Map(headers);
  assertEquals(sent.get("X-Sentry-Relay-Id"), identity.id);
  const check = checkSignature(key.publicKey, sent.get("X-Sentry-Relay-Signature")!, body!);
  assertEquals(check, { kind: "valid", timeMs: clock.now() });
  assertEquals(metrics.read(METRICS.queries, "project_configs", "ok"), 1);
});

const failures: [
  what: string,
  reply: Reply,
  kind: QueryError["kind"],
  message: string,
  permanent: boolean,
][] = [
  ["503", { status: 503, body: "busy" }, "network", "HTTP 503: busy", false],
  ["500", { status: 500, body: "" }, "refused", "HTTP 500", false],
  ["a plain 403", { status: 403, body: `{"detail":"closed"}` }, "refused", "HTTP 403: closed", false],
  ["a final 403", { status: 403, body: `{"detail":"no","relay":"stop"}` }, "refused", "HTTP 403: no", true],
  [
    "stop with another status",
    { status: 401, body: `{"relay":"stop"}` },
    "refused",
    `HTTP 401: {"relay":"stop"}`,
    false,
  ],
  ["a redirect", { status: 302 }, "refused", "HTTP 302: {}", false],
  ["no JSON", { body: "<html>" }, "invalid", "the answer is no JSON", false],
  ["no connection", { error: new UpstreamError("connect", "refused") }, "network", "connect: refused", false],
  [
    "an answer that is too large",
    { error: new UpstreamError("too_large", "21 MB") },
    "invalid",
    "too_large: 21 MB",
    false,
  ],
  ["giving up", { error: new UpstreamError("aborted", "stopped") }, "aborted", "stopped", false],
];
for (const [what, reply, kind, message, permanent] of failures) {
  Deno.test(`QueryClient: ${what} is ${kind}`, async () => {
    const { queries, metrics } = setUp(reply);
    const error = await assertRejects(() => queries.ask("challenge", {}), QueryError);
    assertEquals([error.kind, error.message, error.isPermanent], [kind, message, permanent]);
    assertEquals(metrics.read(METRICS.queries, "challenge", kind), 1);
  });
}

Deno.test("RequestSigner: one signature serves envelopes for some seconds, and is never too old or from the future", async () => {
  const clock = new ManualClock();
  const signer = new RequestSigner(identity, clock);
  const values = new Set<string>();
  for (let second = 0; second < 20; second++) {
    const value = new Map(signer.envelopeHeaders()).get("X-Sentry-Relay-Signature")!;
    const check = checkSignature(key.publicKey, value, new Uint8Array(0));
    if (check.kind !== "valid") throw new Error(check.kind);
    // An upstream whose clock is a little behind takes it, too.
    assertEquals(isTimely(check.timeMs, clock.now() - 1000, 30_000), true);
    values.add(value);
    await clock.advance(1000);
  }
  assertEquals(values.size, 4);
});

Deno.test("RequestSigner: without an identity nothing is added", () => {
  const signer = new RequestSigner(null, new ManualClock());
  assertEquals([signer.envelopeHeaders(), signer.idHeaders(), signer.queryHeaders(new Uint8Array(1))], [
    [],
    [],
    [],
  ]);
});
