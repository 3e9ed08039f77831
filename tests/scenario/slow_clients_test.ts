/** Many clients that hold connections and send next to nothing, beside honest ones. */
import { assert, assertEquals } from "@std/assert";
import { NODE_ENGINE_IS_COMPLETE } from "../../src/listener/node_engine.ts";
import { METRICS } from "../../src/telemetry/catalogue.ts";
import { AUTH, startListener } from "../support/listener_fixture.ts";
import { RawHttp, requestBytes } from "../support/raw_http.ts";
import { report } from "../support/report.ts";
import { pause, until } from "../support/until.ts";

const CLIENTS = 2000;
const EVENT = `{"event_id":"9ec79c33ec9942ab8353589fcb2e04dc"}\n{"type":"event","length":2}\n{}\n`;
const HONEST = requestBytes("POST", `/api/42/envelope/?${AUTH}`, {}, EVENT);
const HEAD = `POST /api/42/envelope/?${AUTH} HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n`;

/** What a slow client sends at once; one of the last kind goes on with a byte at a time. */
const KINDS = {
  "silent": "",
  "half a head": HEAD,
  "half a body": `${HEAD}\r\n{"event_id":`,
  "a byte at a time": `${HEAD}\r\n`,
} as const;

async function slowClient(port: number, kind: keyof typeof KINDS): Promise<number | null> {
  using connection = await RawHttp.connect(port);
  await connection.send(KINDS[kind]);
  let isOver = false;
  const end = connection.response().finally(() => isOver = true);
  while (kind === "a byte at a time" && !isOver) {
    await connection.send("x").catch(() => {});
    await pause(500);
  }
  const answer = await end;
  assert(await connection.closed(), `${kind}: the connection goes on`);
  return answer?.status ?? null;
}

Deno.test(
  "internet: 2,000 slow connections of four kinds all end, while honest clients are answered",
  { ignore: !NODE_ENGINE_IS_COMPLETE },
  async () => {
    await using fixture = await startListener({
      exposure: "internet",
      headersTimeoutMs: 3000,
      pace: { timeoutMs: 3000, bytesPerSecondMin: 100 },
      connectionsMax: CLIENTS + 10,
      connectionsPerAddress: CLIENTS + 10,
    });
    const kinds = Object.keys(KINDS) as (keyof typeof KINDS)[];
    let open = CLIENTS;
    const clients = Array.from(
      { length: CLIENTS },
      (_, index) => slowClient(fixture.port, kinds[index % kinds.length]!).finally(() => open--),
    );
    await until(
      "all are connected",
      () => fixture.metrics.read(METRICS.connections) === CLIENTS || open < CLIENTS,
    );
    using honest = await RawHttp.connect(fixture.port);
    const times: number[] = [];
    while (open > 0) {
      const started = performance.now();
      await honest.send(HONEST);
      assertEquals((await honest.response())?.status, 200);
      times.push(performance.now() - started);
      await pause(10);
    }
    const statuses = await Promise.all(clients);
    for (const [index, status] of statuses.entries()) {
      const kind = kinds[index % kinds.length]!;
      // A byte that crosses the answer on its way resets the connection, and the answer may be lost with it.
      if (status !== null || kind !== "a byte at a time") assertEquals(status, 408, kind);
    }
    assertEquals(fixture.bodies.held, 0);
    assertEquals(fixture.metrics.read(METRICS.requestsInFlight), 0);
    times.sort((a, b) => a - b);
    const at = (share: number) => times[Math.floor(times.length * share)]!.toFixed(1);
    report(
      `${times.length} honest answers beside ${CLIENTS} slow ones: median ${at(0.5)} ms, p99 ${at(0.99)} ms`,
    );
  },
);
