import { assert, assertEquals } from "@std/assert";
import { fromUtf8 } from "../../../src/core/bytes.ts";
import { batchResult, encodeBatch } from "../../../src/control/log_batch.ts";
import { LogSink, type SinkConfig } from "../../../src/control/log_sink.ts";
import { configureLogging } from "../../../src/telemetry/log.ts";
import { ManualClock } from "../../support/manual_clock.ts";
import { SimStorage } from "../../support/sim_storage.ts";

configureLogging({ level: "off", format: "json" });

const CONFIG: SinkConfig = {
  name: "test",
  type: "http",
  url: "http://receiver.invalid/",
  headers: { authorization: "Bearer x" },
  logs: ["access", "node"],
  fields: [],
  redact: [],
  sample: 1,
  labels: {},
  index: "landfall",
  compression: "none",
  batchSize: 1 << 20,
  batchInterval: 1000,
  disk: 1 << 20,
  timeout: 30_000,
};

const ACCESS = { time: "2026-01-02T03:04:05.067Z", log: "access", status: 200, client: "192.0.2.1", n: 0 };
const NODE = { time: "2026-01-02T03:04:05.067Z", level: "warn", log: "node", message: "hello", ok: true };

/** A receiver that answers as told and remembers what it took. */
class Receiver {
  status = 200;
  body = "";
  hangs = false;
  posts = 0;
  readonly taken: { n: number }[] = [];
  readonly fetch: typeof fetch = async (_url, init) => {
    this.posts++;
    if (this.hangs) {
      return await new Promise((_, reject) =>
        init!.signal!.addEventListener("abort", () => reject(new Error("late")))
      );
    }
    if (this.status === 200) {
      const lines = fromUtf8(init!.body as Uint8Array).trimEnd().split("\n");
      this.taken.push(...lines.map((line) => JSON.parse(line)));
    }
    return new Response(this.body, { status: this.status });
  };
}

function sinkOf(receiver: Receiver, config: Partial<SinkConfig> = {}, storage = new SimStorage({})) {
  const clock = new ManualClock();
  const options = {
    config: { ...CONFIG, ...config },
    storage,
    folder: "shipping",
    clock,
    fetch: receiver.fetch,
  };
  return { sink: new LogSink(options), clock, storage };
}

/** Lets the sink work until it has come so far; time stands still. */
async function settled(clock: ManualClock, isThere: () => boolean): Promise<void> {
  for (let turn = 0; turn < 10_000 && !isThere(); turn++) await clock.advance(0);
}

/** Lets the sink work through its batches. */
const emptied = (sink: LogSink, clock: ManualClock): Promise<void> =>
  settled(clock, () => sink.bufferedBytes === 0);

const dropped = (sink: LogSink): Record<string, number> => Object.fromEntries(sink.counts.dropped);

Deno.test("LogSink: an outage is waited out on disk; everything arrives in order, once", async () => {
  const receiver = new Receiver();
  const { sink, clock } = sinkOf(receiver);
  await sink.start();
  receiver.status = 503;
  for (let n = 0; n < 100; n++) {
    sink.add({ ...ACCESS, n }, 100);
    await clock.advance(1000);
  }
  assert(receiver.posts > 3 && receiver.posts < 20, String(receiver.posts));
  assert(sink.bufferedBytes > 0);
  receiver.status = 200;
  await clock.advance(60_000);
  await emptied(sink, clock);
  assertEquals(receiver.taken.map(({ n }) => n), Array.from({ length: 100 }, (_, n) => n));
  assertEquals([sink.counts.shipped, sink.bufferedBytes, dropped(sink)], [100, 0, {}]);
  await sink.close();
  assertEquals(clock.pending, 0);
});

Deno.test("LogSink: a receiver that never answers is given up after its time; a restart sends what is on disk", async () => {
  const receiver = new Receiver();
  receiver.hangs = true;
  const { sink, clock, storage } = sinkOf(receiver);
  await sink.start();
  sink.add(ACCESS, 100);
  await clock.advance(1000);
  await settled(clock, () => receiver.posts > 0);
  await clock.advance(29_999);
  assertEquals(receiver.posts, 1);
  await clock.advance(1);
  await clock.advance(2000);
  await settled(clock, () => receiver.posts > 1);
  assertEquals(receiver.posts, 2);
  sink.add({ ...ACCESS, n: 1 }, 100);
  await sink.close();
  assertEquals([...storage.files.keys()].filter((name) => name.startsWith("shipping/")).length, 2);

  receiver.hangs = false;
  const next = sinkOf(receiver, {}, storage);
  await next.sink.start();
  await emptied(next.sink, next.clock);
  assertEquals(receiver.taken.map(({ n }) => n), [0, 1]);
  await next.sink.close();
});

Deno.test("LogSink: the bound on disk holds through a day; what gave way, was refused or could not be written is counted exactly", async () => {
  const receiver = new Receiver();
  receiver.status = 500;
  const { sink, clock, storage } = sinkOf(receiver, {
    disk: 1 << 20,
    batchInterval: 60_000,
    batchSize: 1 << 30,
  });
  await sink.start();
  let sent = 0;
  for (let minute = 0; minute < 24 * 60; minute++) {
    for (let n = 0; n < 100; n++) sink.add({ ...ACCESS, n: sent++ }, 100);
    await clock.advance(60_000);
    const bytes = [...storage.files.values()].reduce((sum, { content }) => sum + content.length, 0);
    assert(bytes <= 1 << 20, String(bytes));
  }
  receiver.status = 400;
  await clock.advance(120_000);
  await emptied(sink, clock);
  const { buffer_full: full = 0, rejected = 0 } = dropped(sink);
  assert(full > 0 && rejected > 0);
  assertEquals(full + rejected, sent);
  storage.fault = () => "no_space";
  sink.add(ACCESS, 100);
  await clock.advance(60_000);
  assertEquals(dropped(sink).disk, 1);
  await sink.close();
});

Deno.test("LogSink: fields, redaction, sampling and logs; refusals and the node's own lines are never sampled", async () => {
  const receiver = new Receiver();
  const config = { fields: ["status", "client"], redact: ["client"], sample: 0.25, labels: { site: "fra1" } };
  const { sink, clock } = sinkOf(receiver, config);
  await sink.start();
  for (let n = 0; n < 100; n++) sink.add({ ...ACCESS, n }, 100);
  for (let n = 0; n < 10; n++) sink.add({ ...ACCESS, status: 429 }, 100);
  sink.add(NODE, 100);
  await clock.advance(1000);
  assertEquals(receiver.taken.length, 25 + 10 + 1);
  const { time, log } = ACCESS;
  assertEquals(receiver.taken[0] as object, { time, log, status: 200, client: "[redacted]", site: "fra1" });
  await sink.close();
});

Deno.test("encodeBatch: each protocol", () => {
  const encode = (type: "loki" | "elasticsearch" | "otlp"): string =>
    fromUtf8(encodeBatch([ACCESS, NODE], { type, labels: { site: "fra1" }, index: "i", id: "b" }));
  const { streams } = JSON.parse(encode("loki"));
  assertEquals(streams.map(({ stream }: { stream: object }) => stream), [
    { service_name: "landfall", log: "access", level: "info", site: "fra1" },
    { service_name: "landfall", log: "node", level: "warn", site: "fra1" },
  ]);
  assertEquals(streams[1].values, [["1767323045067000000", JSON.stringify(NODE)]]);
  const bulk = encode("elasticsearch").trimEnd().split("\n").map((line) => JSON.parse(line));
  assertEquals(bulk[2], { create: { _index: "i", _id: "b-1" } });
  const { time: _, ...rest } = NODE;
  assertEquals(bulk[3], { "@timestamp": NODE.time, ...rest, site: "fra1" });
  const [{ resource, scopeLogs }] = JSON.parse(encode("otlp")).resourceLogs;
  assertEquals(resource.attributes[0], { key: "service.name", value: { stringValue: "landfall" } });
  assertEquals(scopeLogs[0].logRecords[1], {
    timeUnixNano: "1767323045067000000",
    severityNumber: 13,
    severityText: "WARN",
    body: { stringValue: "hello" },
    attributes: [{ key: "log", value: { stringValue: "node" } }, { key: "ok", value: { boolValue: true } }],
  });
});

Deno.test("batchResult: what is tried again, what is dropped, what was taken in part", () => {
  for (const status of [301, 401, 403, 404, 408, 429, 500, 503]) {
    assertEquals(batchResult("http", status, "").kind, "retry", String(status));
  }
  for (const status of [400, 413, 415, 422]) assertEquals(batchResult("loki", status, "").kind, "rejected");
  assertEquals(batchResult("otlp", 200, '{"partialSuccess":{"rejectedLogRecords":"3"}}'), {
    kind: "delivered",
    rejected: 3,
  });
  const bulk = (...statuses: number[]): string =>
    JSON.stringify({ errors: true, items: statuses.map((status) => ({ create: { status } })) });
  assertEquals(batchResult("elasticsearch", 200, bulk(201, 409, 400)), { kind: "delivered", rejected: 1 });
  assertEquals(batchResult("elasticsearch", 200, bulk(201, 429)).kind, "retry");
});
