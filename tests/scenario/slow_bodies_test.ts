/** Clients that send their bodies slowly, or not to the end: over both engines, and over HTTP/1.1. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { NODE_ENGINE_IS_COMPLETE } from "../../src/listener/node_engine.ts";
import { METRICS } from "../../src/telemetry/catalogue.ts";
import { AUTH, EXPOSURES, startListener } from "../support/listener_fixture.ts";
import { RawHttp, type RawResponse } from "../support/raw_http.ts";
import { pause } from "../support/until.ts";

const PATH = `/api/42/envelope/?${AUTH}`;
const ID = "9ec79c33ec9942ab8353589fcb2e04dc";

const head = (framing: string) => `POST ${PATH} HTTP/1.1\r\nHost: x\r\n${framing}\r\n\r\n`;

/** Sends `chunk` every few milliseconds until an answer comes. */
async function drip(connection: RawHttp, chunk: string, everyMs: number): Promise<RawResponse | null> {
  let isAnswered = false;
  const answer = connection.response().finally(() => isAnswered = true);
  while (!isAnswered) {
    await connection.send(chunk).catch(() => {});
    await pause(everyMs);
  }
  return await answer;
}

for (const exposure of EXPOSURES) {
  Deno.test(`${exposure}: a body that stalls is answered with 408`, async () => {
    await using fixture = await startListener({ exposure, pace: { timeoutMs: 50 } });
    for (
      const framing of ["Content-Length: 1000", "Content-Length: 100000", "Transfer-Encoding: chunked"]
    ) {
      using connection = await RawHttp.connect(fixture.port);
      await connection.send(`${head(framing)}5\r\nhello\r\n`);
      const answer = await connection.response();
      assertEquals(answer?.status, 408, framing);
      assertMatch(answer?.headers.get("connection") ?? "close", /^close/);
      if (NODE_ENGINE_IS_COMPLETE && exposure === "internet") assertEquals(await connection.closed(), true);
    }
    assertEquals([fixture.bodies.held, fixture.metrics.read(METRICS.requestsInFlight)], [0, 0]);
    assertEquals(fixture.metrics.read(METRICS.requests, "envelope", "408"), 3);
  });

  Deno.test(`${exposure}: a body that trickles is answered with 408, however its length is told`, async () => {
    await using fixture = await startListener({
      exposure,
      pace: { timeoutMs: 300, bytesPerSecondMin: 5000 },
    });
    for (
      const [framing, chunk] of [
        ["Content-Length: 1000", "x"],
        ["Content-Length: 100000", "x"],
        ["Transfer-Encoding: chunked", "1\r\nx\r\n"],
      ] as const
    ) {
      using connection = await RawHttp.connect(fixture.port);
      await connection.send(head(framing));
      assertEquals((await drip(connection, chunk, 20))?.status, 408, framing);
    }
    assertEquals(fixture.bodies.held, 0);
  });

  Deno.test(`${exposure}: a large body that comes slowly but steadily is taken`, async () => {
    await using fixture = await startListener({
      exposure,
      pace: { timeoutMs: 1000, bytesPerSecondMin: 2000, requestTimeoutMs: 1000 },
    });
    const event = `{"event_id":"${ID}"}\n{"type":"event"}\n{"message":"${"x".repeat(60_000)}"}\n`;
    using connection = await RawHttp.connect(fixture.port);
    await connection.send(head(`Content-Length: ${event.length}`));
    const started = performance.now();
    for (let at = 0; at < event.length; at += 1000) {
      await connection.send(event.slice(at, at + 1000));
      await pause(40);
    }
    const answer = await connection.response();
    assertEquals([answer?.status, answer?.body], [200, `{"id":"${ID}"}`]);
    assert(performance.now() - started > 1000, "it was slower than the request's own time");
  });

  Deno.test(`${exposure}: a body that never ends is answered with 408 when the request's time is over`, async () => {
    await using fixture = await startListener({
      exposure,
      pace: { timeoutMs: 5000, requestTimeoutMs: 300 },
    });
    using connection = await RawHttp.connect(fixture.port);
    await connection.send(head("Transfer-Encoding: chunked"));
    assertEquals((await drip(connection, "1\r\nx\r\n", 20))?.status, 408);
  });
}
