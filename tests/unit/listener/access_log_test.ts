import { assertEquals } from "@std/assert";
import { fromUtf8 } from "../../../src/core/bytes.ts";
import { SharedRing } from "../../../src/core/shared_ring.ts";
import { AccessLog } from "../../../src/listener/access_log.ts";
import { parseEnvelope } from "../../../src/protocol/envelope.ts";
import { METRIC_LAYOUT, METRICS } from "../../../src/telemetry/catalogue.ts";
import { Metrics, MetricsReader } from "../../../src/telemetry/registry.ts";
import { FakeRequest } from "../../support/fake_request.ts";
import { ManualClock } from "../../support/manual_clock.ts";

const KEY = "a0b1c2d3e4f5a0b1c2d3e4f5a0b1c2d3";

function fixture(
  rules: { isOn?: boolean; sample?: number; masksAddresses?: boolean } = {},
  ringBytes = 65_536,
) {
  const clock = new ManualClock(Date.UTC(2026, 0, 1));
  const metrics = new Metrics(METRIC_LAYOUT);
  const reader = new MetricsReader(METRIC_LAYOUT);
  reader.include(metrics.buffer);
  const ring = new SharedRing(SharedRing.createBuffer(ringBytes));
  const log = new AccessLog({
    lane: 1,
    ring,
    clock,
    metrics,
    rules: { isOn: true, sample: 1, masksAddresses: false, ...rules },
    organizationOf: (key) => key === KEY ? "42" : null,
  });
  const lines = (): Record<string, unknown>[] =>
    fromUtf8(ring.take()).split("\n").filter((line) => line !== "").map((line) => JSON.parse(line));
  return { clock, log, lines, ring, written: () => reader.total(METRICS.accessLines) };
}

function envelopeRequest(headers: Record<string, string> = { "user-agent": "sdk/1" }): FakeRequest {
  const request = new FakeRequest(headers, [], "/api/7/envelope/?sentry_key=secret");
  request.route = "envelope";
  request.projectId = "7";
  request.key = KEY;
  request.eventId = "e".repeat(32);
  request.bodyBytes = 123;
  request.items =
    parseEnvelope(new TextEncoder().encode(`{}\n{"type":"event"}\n{}\n{"type":"session"}\n{}`)).items;
  return request;
}

Deno.test("AccessLog: a line holds who sent what and how it was answered, and no secret", async () => {
  const { clock, log, lines, written } = fixture();
  const request = envelopeRequest();
  request.startedMs = clock.monotonic();
  await clock.advance(3);
  request.reason = "quota";
  log.answered(request, 200);
  log.answered(request, 429);
  const [taken, refused] = lines();
  assertEquals(taken, {
    time: "2026-01-01T00:00:00.003Z",
    log: "access",
    method: "POST",
    route: "envelope",
    path: "/api/7/envelope/",
    status: 200,
    bytes: 123,
    ms: 3,
    client: "192.0.2.1",
    project: "7",
    key: "a0b1c2d3",
    organization: "42",
    categories: "error,session",
    agent: "sdk/1",
    lane: 1,
    event: "e".repeat(32),
  });
  // A reason is one of refusals.
  assertEquals([refused?.status, refused?.reason], [429, "quota"]);
  assertEquals(written(), 2);
});

Deno.test("AccessLog: what was counted but not read is told by its quantities, an unknown organisation by the host", () => {
  const { log, lines } = fixture();
  const request = envelopeRequest({ host: "o9.ingest.example.com" });
  request.key = "";
  request.quantities = [["span", 3]];
  log.answered(request, 200);
  const [line] = lines();
  assertEquals([line?.categories, line?.organization, line?.key], ["span", "9", undefined]);
});

Deno.test("AccessLog: nothing while it is off; of what was taken a share, of what was refused all", () => {
  const off = fixture({ isOn: false });
  off.log.answered(envelopeRequest(), 500);
  off.log.unparsed(400, "192.0.2.9");
  assertEquals(off.lines(), []);
  const { log, lines } = fixture({ sample: 0.25 });
  for (let i = 0; i < 8; i++) log.answered(envelopeRequest(), 200);
  for (let i = 0; i < 3; i++) log.answered(envelopeRequest(), 403);
  assertEquals(lines().map(({ status }) => status), [200, 200, 403, 403, 403]);
});

Deno.test("AccessLog: addresses are masked where that is asked for, also of what was no request", () => {
  const { log, lines } = fixture({ masksAddresses: true });
  log.answered(envelopeRequest(), 200);
  log.unparsed(431, "::ffff:198.51.100.7");
  const [taken, unparsed] = lines();
  assertEquals([taken?.client, unparsed?.client], ["192.0.2.0", "198.51.100.0"]);
  assertEquals([unparsed?.method, unparsed?.status, unparsed?.project], ["-", 431, undefined]);
});

Deno.test("AccessLog: a line that finds no room is dropped, counted by the ring, and not counted as written", () => {
  const { log, lines, ring, written } = fixture({}, 512);
  for (let i = 0; i < 10; i++) log.answered(envelopeRequest(), 200);
  const found = lines().length;
  assertEquals([found > 0 && found < 10, written(), ring.takeRefused()], [true, found, 10 - found]);
});
