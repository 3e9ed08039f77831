/** Connections of exposure `internet` before their first request: bounds, PROXY headers. */
import { assertEquals } from "@std/assert";
import { CidrSet } from "../../src/core/cidr.ts";
import { NODE_ENGINE_IS_COMPLETE } from "../../src/listener/node_engine.ts";
import { METRICS } from "../../src/telemetry/catalogue.ts";
import { AUTH, type ListenerFixture, startListener } from "../support/listener_fixture.ts";
import { binaryProxyHeader, IPV6_BYTES } from "../support/proxy_header.ts";
import { RawHttp, requestBytes } from "../support/raw_http.ts";
import { until } from "../support/until.ts";

const LIVE = requestBytes("GET", "/api/relay/healthcheck/live/", {});
const EVENT = `{"event_id":"9ec79c33ec9942ab8353589fcb2e04dc"}\n{"type":"event","length":2}\n{}\n`;
const POST = requestBytes("POST", `/api/42/envelope/?${AUTH}`, {}, EVENT);
const LOOPBACK = CidrSet.parse(["127.0.0.0/8"]);

const ignore = !NODE_ENGINE_IS_COMPLETE;
const refusals = ({ metrics }: ListenerFixture, reason: string) =>
  metrics.read(METRICS.connectionsRefused, reason);

async function statusOf(connection: RawHttp, ...parts: (string | Uint8Array)[]): Promise<number | undefined> {
  for (const part of parts) await connection.send(part);
  return (await connection.response())?.status;
}

Deno.test("connections of one address are bounded, those that close make room", { ignore }, async () => {
  await using fixture = await startListener({ exposure: "internet", connectionsPerAddress: 2 });
  using first = await RawHttp.connect(fixture.port);
  const second = await RawHttp.connect(fixture.port);
  for (const connection of [first, second]) assertEquals(await statusOf(connection, LIVE), 200);
  using third = await RawHttp.connect(fixture.port);
  assertEquals(await third.closed(), true);
  assertEquals([refusals(fixture, "address"), fixture.metrics.read(METRICS.connections)], [1, 2]);
  second[Symbol.dispose]();
  await until("the place is free", () => fixture.metrics.read(METRICS.connections) === 1);
  using fourth = await RawHttp.connect(fixture.port);
  assertEquals(await statusOf(fourth, LIVE), 200);
});

Deno.test("connections of trusted proxies are not bounded by address", { ignore }, async () => {
  await using fixture = await startListener({
    exposure: "internet",
    connectionsPerAddress: 1,
    exempt: LOOPBACK,
  });
  using first = await RawHttp.connect(fixture.port);
  using second = await RawHttp.connect(fixture.port);
  for (const connection of [first, second]) assertEquals(await statusOf(connection, LIVE), 200);
});

Deno.test("a trusted balancer's PROXY header says who the client is", { ignore }, async () => {
  await using fixture = await startListener({ exposure: "internet", proxies: LOOPBACK });
  for (
    const [header, address] of [
      ["PROXY TCP4 203.0.113.7 198.51.100.1 56324 443\r\n", "203.0.113.7"],
      ["PROXY TCP6 2001:db8::7 ::1 1 2\r\n", "2001:db8::7"],
      ["PROXY UNKNOWN\r\n", "127.0.0.1"],
      [binaryProxyHeader({ addresses: [203, 0, 113, 8, 1, 1, 1, 1, 0, 1, 0, 2] }), "203.0.113.8"],
      [binaryProxyHeader({ family: 0x21, addresses: IPV6_BYTES }), "2001:db8:0:0:0:0:0:1"],
      [binaryProxyHeader({ command: 0x20, family: 0, addresses: [] }), "127.0.0.1"],
    ] as const
  ) {
    using connection = await RawHttp.connect(fixture.port);
    assertEquals(await statusOf(connection, header, POST), 200);
    assertEquals(fixture.ingress.take().meta.remoteAddr, address);
    // The connection goes on, and stays that client's.
    assertEquals(await statusOf(connection, POST), 200);
    assertEquals(fixture.ingress.take().meta.remoteAddr, address);
  }
});

Deno.test("a PROXY header may come byte by byte, or with the request", { ignore }, async () => {
  await using fixture = await startListener({ exposure: "internet", proxies: LOOPBACK });
  const header = "PROXY TCP4 203.0.113.7 198.51.100.1 56324 443\r\n";
  using slow = await RawHttp.connect(fixture.port);
  assertEquals(await statusOf(slow, ...header, POST), 200);
  assertEquals(fixture.ingress.take().meta.remoteAddr, "203.0.113.7");
  using quick = await RawHttp.connect(fixture.port);
  assertEquals(await statusOf(quick, new Uint8Array([...new TextEncoder().encode(header), ...POST])), 200);
  assertEquals(fixture.ingress.take().meta.remoteAddr, "203.0.113.7");
});

Deno.test("the address of a PROXY header is bounded like any other, and a forwarding header not believed", {
  ignore,
}, async () => {
  const trusted = CidrSet.parse(["127.0.0.1"]);
  await using fixture = await startListener({
    exposure: "internet",
    proxies: trusted,
    trustedProxies: trusted,
    exempt: trusted,
    connectionsPerAddress: 1,
  });
  const header = "PROXY TCP4 203.0.113.7 198.51.100.1 56324 443\r\n";
  const forged = requestBytes("POST", `/api/42/envelope/?${AUTH}`, { "x-forwarded-for": "9.9.9.9" }, EVENT);
  using first = await RawHttp.connect(fixture.port);
  assertEquals(await statusOf(first, header, forged), 200);
  assertEquals(fixture.ingress.take().meta.remoteAddr, "203.0.113.7");
  using second = await RawHttp.connect(fixture.port);
  await second.send(header);
  assertEquals(await second.closed(), true);
  using other = await RawHttp.connect(fixture.port);
  assertEquals(await statusOf(other, header.replace("113.7", "113.8"), LIVE), 200);
});

Deno.test("of anyone but a trusted balancer a PROXY header is a broken request", { ignore }, async () => {
  await using fixture = await startListener({
    exposure: "internet",
    proxies: CidrSet.parse(["192.0.2.0/24"]),
  });
  using connection = await RawHttp.connect(fixture.port);
  assertEquals(await statusOf(connection, "PROXY TCP4 203.0.113.7 1.1.1.1 1 2\r\n", POST), 400);
  using honest = await RawHttp.connect(fixture.port);
  assertEquals(await statusOf(honest, LIVE), 200);
});

Deno.test(
  "a trusted balancer without a whole PROXY header is cut off, at once or in time",
  { ignore },
  async () => {
    await using fixture = await startListener({
      exposure: "internet",
      proxies: LOOPBACK,
      headersTimeoutMs: 100,
    });
    const starts = [LIVE, "PROXY TCP4 1.2.3.4\r\n", `PROXY ${"x".repeat(200)}`, "", "PROXY TC", "\r\n\r\n\0"];
    for (const start of starts) {
      using connection = await RawHttp.connect(fixture.port);
      await connection.send(start);
      assertEquals(await connection.closed(), true);
    }
    assertEquals(refusals(fixture, "proxy_header"), starts.length);
    await until("no connection is left", () => fixture.metrics.read(METRICS.connections) === 0);
  },
);
