/** Requests nobody honest sends: each is refused with the status of the table, and leaves nothing behind. */
import { assert, assertEquals } from "@std/assert";
import { NODE_ENGINE_IS_COMPLETE } from "../../src/listener/node_engine.ts";
import { METRICS } from "../../src/telemetry/catalogue.ts";
import { HOSTILE_REQUESTS, type HostileRequest } from "../support/hostile_requests.ts";
import { AUTH, EXPOSURES, type ListenerFixture, startListener } from "../support/listener_fixture.ts";
import { RawHttp, rawRequest, requestBytes } from "../support/raw_http.ts";
import { until } from "../support/until.ts";

const EVENT = `{"event_id":"9ec79c33ec9942ab8353589fcb2e04dc"}\n{"type":"event","length":2}\n{}\n`;
const HONEST = requestBytes("POST", `/api/42/envelope/?${AUTH}`, {}, EVENT);
const ROUNDS = 5;
const GROWTH_MIB_MAX = 96;

async function statusOf({ bytes }: HostileRequest, port: number): Promise<number | null> {
  using connection = await RawHttp.connect(port);
  await connection.send(bytes).catch(() => {});
  return (await connection.response())?.status ?? null;
}

async function settled({ metrics, bodies }: ListenerFixture): Promise<void> {
  await until("no request is left", () => metrics.read(METRICS.requestsInFlight) === 0);
  await until("no connection is left", () => metrics.read(METRICS.connections) === 0);
  assertEquals(bodies.held, 0);
}

for (const exposure of EXPOSURES) {
  const ignore = !NODE_ENGINE_IS_COMPLETE;
  const key = exposure === "internet" ? "internet" : "loadBalancer";

  Deno.test(`${exposure}: hostile requests are refused as the table says`, { ignore }, async (test) => {
    await using fixture = await startListener({ exposure, pace: { timeoutMs: 2000 } });
    for (const row of HOSTILE_REQUESTS) {
      await test.step(row.name, async () => assertEquals(await statusOf(row, fixture.port), row[key]));
      assertEquals((await rawRequest(fixture.port, HONEST))?.status, 200);
    }
    await settled(fixture);
  });

  Deno.test(`${exposure}: hostile requests cut off anywhere leave nothing behind`, { ignore }, async () => {
    await using fixture = await startListener({ exposure });
    for (const { bytes } of HOSTILE_REQUESTS) {
      for (const share of [0.2, 0.5, 0.9]) {
        using connection = await RawHttp.connect(fixture.port);
        await connection.send(bytes.slice(0, Math.floor(bytes.length * share))).catch(() => {});
      }
    }
    await settled(fixture);
    assertEquals((await rawRequest(fixture.port, HONEST))?.status, 200);
  });

  Deno.test(`${exposure}: a hostile request behind an honest one costs only itself`, { ignore }, async () => {
    await using fixture = await startListener({ exposure, pace: { timeoutMs: 2000 } });
    for (const row of HOSTILE_REQUESTS) {
      using connection = await RawHttp.connect(fixture.port);
      await connection.send(HONEST);
      assertEquals((await connection.response())?.status, 200, row.name);
      await connection.send(row.bytes).catch(() => {});
      assertEquals((await connection.response())?.status ?? null, row[key], row.name);
    }
    await settled(fixture);
  });

  Deno.test(`${exposure}: memory stays where it is under hostile requests`, { ignore }, async () => {
    await using fixture = await startListener({ exposure, pace: { timeoutMs: 2000 } });
    const round = () => Promise.all(HOSTILE_REQUESTS.map((row) => statusOf(row, fixture.port)));
    await round();
    const before = Deno.memoryUsage().rss;
    for (let rounds = 0; rounds < ROUNDS; rounds++) await round();
    await settled(fixture);
    const growthMiB = (Deno.memoryUsage().rss - before) / 1024 / 1024;
    assert(growthMiB < GROWTH_MIB_MAX, `memory grew by ${growthMiB.toFixed(0)} MiB`);
  });
}
