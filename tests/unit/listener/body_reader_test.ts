import { assert, assertEquals } from "@std/assert";
import * as zlib from "node:zlib";
import { BodyReader } from "../../../src/listener/body_reader.ts";
import { RequestError } from "../../../src/protocol/request_error.ts";
import { METRIC_LAYOUT, METRICS } from "../../../src/telemetry/catalogue.ts";
import { Metrics } from "../../../src/telemetry/registry.ts";
import { FakeRequest } from "../../support/fake_request.ts";

function createReader(memoryBytesMax = 1_000_000): BodyReader {
  return new BodyReader({ memoryBytesMax, metrics: new Metrics(METRIC_LAYOUT) });
}

async function refusal(run: Promise<unknown>): Promise<RequestError> {
  const error = await run.then(() => null, (error) => error);
  assert(error instanceof RequestError, String(error));
  return error;
}

const chunks = (count: number, bytes: number) =>
  Array.from({ length: count }, () => new Uint8Array(bytes).fill(65));

Deno.test("BodyReader reads announced and chunked bodies and gives their memory back", async () => {
  const reader = createReader();
  for (const headers of [{ "content-length": "30" }, {}] as Record<string, string>[]) {
    const body = await reader.read(new FakeRequest(headers, chunks(3, 10)), 30);
    assertEquals(body.received.length, 30);
    assertEquals(body.decoded, body.received);
    assertEquals(reader.held, 30);
    body.release();
    assertEquals(reader.held, 0);
  }
});

Deno.test("BodyReader counts received bytes by encoding", async () => {
  const metrics = new Metrics(METRIC_LAYOUT);
  const reader = new BodyReader({ memoryBytesMax: 1000, metrics });
  const gzip = new Uint8Array(zlib.gzipSync("hello"));
  const body = await reader.read(new FakeRequest({ "content-encoding": "gzip" }, [gzip]), 100);
  assertEquals(new TextDecoder().decode(body.decoded), "hello");
  assertEquals(body.received, gzip);
  assertEquals(metrics.read(METRICS.requestBytes, "gzip"), gzip.length);
  assertEquals(reader.held, gzip.length + 5);
  body.release();
  assertEquals(reader.held, 0);
});

Deno.test("BodyReader refuses a chunked body with 413 at the chunk that exceeds the limit: section 4.4", async () => {
  const reader = createReader();
  const request = new FakeRequest({}, chunks(100, 10));
  const error = await refusal(reader.read(request, 25));
  assertEquals([error.status, error.toBody()], [413, "length limit exceeded"]);
  assertEquals(request.chunksRead, 3);
  assertEquals(reader.held, 0);
});

Deno.test("BodyReader refuses an announced body beyond the limit without reading it", async () => {
  const request = new FakeRequest({ "content-length": "26" }, chunks(1, 26));
  assertEquals((await refusal(createReader().read(request, 25))).status, 413);
  assertEquals(request.chunksRead, 0);
});

Deno.test("BodyReader answers 503 above its memory and recovers: section 5.3", async () => {
  const reader = createReader(50);
  const held = await reader.read(new FakeRequest({ "content-length": "40" }, chunks(4, 10)), 100);
  for (const headers of [{ "content-length": "20" }, {}] as Record<string, string>[]) {
    const error = await refusal(reader.read(new FakeRequest(headers, chunks(2, 10)), 100));
    assertEquals([error.status, error.toBody()], [503, `{"detail":"failed to queue envelope"}`]);
  }
  held.release();
  assertEquals(reader.held, 0);
  (await reader.read(new FakeRequest({}, chunks(2, 10)), 100)).release();
});

Deno.test("BodyReader answers 400 to broken bodies and 408 to late ones", async () => {
  const reader = createReader();
  for (const [end, status] of [["broken", 400], ["timeout", 408]] as const) {
    for (const headers of [{ "content-length": "20" }, {}] as Record<string, string>[]) {
      assertEquals(
        (await refusal(reader.read(new FakeRequest(headers, [...chunks(1, 10), end]), 100))).status,
        status,
      );
    }
  }
  assertEquals(reader.held, 0);
});

Deno.test("BodyReader.whenIdle resolves once the last body has been read", async () => {
  const reader = createReader();
  await reader.whenIdle();
  let isIdle = false;
  const reads = [1, 2].map((count) => reader.read(new FakeRequest({}, chunks(count, 10)), 100));
  const idle = reader.whenIdle().then(() => isIdle = true);
  assertEquals(isIdle, false);
  for (const body of await Promise.all(reads)) body.release();
  await idle;
});

Deno.test("BodyReader.discard reads small rests and leaves large ones", async () => {
  const reader = createReader();
  assertEquals(await reader.discard(new FakeRequest({ "content-length": "20" }, chunks(2, 10))), true);
  assertEquals(
    await reader.discard(new FakeRequest({ "content-length": "300000" }, chunks(30, 10_000))),
    false,
  );
  assertEquals(await reader.discard(new FakeRequest({}, chunks(30, 10_000))), false);
  assertEquals(await reader.discard(new FakeRequest({}, ["broken"])), false);
  assertEquals(
    await reader.discard(new FakeRequest({ expect: "100-continue", "content-length": "9" })),
    false,
  );
});
