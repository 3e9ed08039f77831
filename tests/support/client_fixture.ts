import { METRIC_LAYOUT } from "../../src/telemetry/catalogue.ts";
import { Metrics } from "../../src/telemetry/registry.ts";
import {
  type ClientRequest,
  HttpClient,
  type HttpClientOptions,
  UpstreamError,
} from "../../src/upstream/http_client.ts";
import { assertRejects } from "@std/assert";
import { FakeNetwork, type FakeWire } from "./fake_wire.ts";
import { ManualClock } from "./manual_clock.ts";

/** A small request. */
export const REQUEST: ClientRequest = {
  method: "POST",
  path: "/api/1/envelope/",
  headers: [["X-A", "b"]],
  body: new TextEncoder().encode("hello"),
};
/** Its plainest answer. */
export const OK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/** A client on a fake network and a manual clock. */
export function clientFixture(options: Partial<HttpClientOptions> = {}) {
  const network = new FakeNetwork();
  const clock = new ManualClock();
  const metrics = new Metrics(METRIC_LAYOUT);
  const client = new HttpClient({
    target: { scheme: "http", hostname: "upstream.test", port: 80, hostHeader: null },
    clock,
    metrics,
    connectTimeoutMs: 3000,
    totalTimeoutMs: 5000,
    idleTimeoutMs: 10_000,
    connectionsMax: 2,
    headBytesMax: 1024,
    bodyBytesMax: 1024,
    dial: network.dial,
    ...options,
  });
  /** Sends a request and answers it. */
  const succeed = async (answer = OK): Promise<FakeWire> => {
    const sent = client.send(REQUEST);
    await clock.advance(0);
    network.last.send(answer);
    await sent;
    return network.last;
  };
  return { network, clock, metrics, client, succeed };
}

/** The error of a request that must fail. */
export async function failure(sent: Promise<unknown>): Promise<UpstreamError> {
  return await assertRejects(() => sent, UpstreamError);
}
