import { assertEquals, assertRejects } from "@std/assert";
import * as zlib from "node:zlib";
import fc from "fast-check";
import { concatBytes, fromUtf8, utf8 } from "../../../src/core/bytes.ts";
import { BodyReader } from "../../../src/listener/body_reader.ts";
import { openBody } from "../../../src/listener/body_stream.ts";
import { ACCEPTED_ENCODINGS } from "../../../src/listener/decode_body.ts";
import { BodyError } from "../../../src/listener/incoming_request.ts";
import { RequestError } from "../../../src/protocol/request_error.ts";
import { METRIC_LAYOUT, METRICS } from "../../../src/telemetry/catalogue.ts";
import { Metrics } from "../../../src/telemetry/registry.ts";
import { FakeRequest } from "../../support/fake_request.ts";

function fixture() {
  const metrics = new Metrics(METRIC_LAYOUT);
  const bodies = new BodyReader({ memoryBytesMax: 10_000, metrics });
  return { metrics, bodies };
}

async function read(chunks: AsyncIterable<Uint8Array> | null): Promise<string> {
  const all: Uint8Array[] = [];
  for await (const chunk of chunks ?? []) all.push(new Uint8Array(chunk));
  return fromUtf8(concatBytes(all));
}

const packed = (text: string) => new Uint8Array(zlib.gzipSync(text));

Deno.test("openBody: an announced body is not touched before it is read", async () => {
  const deps = fixture();
  const request = new FakeRequest({ "content-length": "5" }, [utf8("abc"), utf8("de")]);
  const body = await openBody(deps, request, 5);
  assertEquals([body.bytes, body.isStarted, request.chunksRead], [5, false, 0]);
  assertEquals(await read(body.chunks), "abcde");
  assertEquals([body.isRead, deps.metrics.read(METRICS.requestBytes, "identity")], [true, 5]);
  body.release();
  await deps.bodies.whenIdle();
});

Deno.test("openBody: a body without a length is waited for, and may turn out to be none", async () => {
  const none = await openBody(fixture(), new FakeRequest(), 5);
  assertEquals([none.chunks, none.bytes, none.isRead], [null, 0, true]);
  const request = new FakeRequest({}, [utf8("abc"), utf8("de")]);
  const body = await openBody(fixture(), request, 5);
  assertEquals([body.bytes, body.isStarted, body.isRead, request.chunksRead], [null, true, false, 1]);
  assertEquals([await read(body.chunks), body.isRead], ["abcde", true]);
});

Deno.test("openBody: the limit holds for what is announced, received and decoded", async () => {
  const status = async (request: FakeRequest, limit: number) => {
    const error = await assertRejects(async () => {
      await read((await openBody(fixture(), request, limit)).chunks);
    }, RequestError);
    return error.status;
  };
  assertEquals(await status(new FakeRequest({ "content-length": "6" }), 5), 413);
  assertEquals(await status(new FakeRequest({}, [utf8("abc"), utf8("def")]), 5), 413);
  const gzip = { "content-encoding": "gzip" };
  assertEquals(await status(new FakeRequest(gzip, [packed("a".repeat(100_000))]), 1000), 413);
  assertEquals(await status(new FakeRequest(gzip, [packed("abc")]), 5), 413);
  assertEquals(await status(new FakeRequest(gzip, [utf8("abc")]), 1000), 400);
  assertEquals(await status(new FakeRequest(gzip, [packed("abc").subarray(0, 15)]), 1000), 400);
  assertEquals(await status(new FakeRequest({ "content-encoding": "x" }, []), 1000), 415);
});

Deno.test("openBody: a client that vanishes or is late is told apart, encoded or not", async () => {
  for (const kind of ["broken", "timeout"] as const) {
    for (const headers of [{}, { "content-encoding": "gzip" }]) {
      const start = "content-encoding" in headers ? packed("abc").subarray(0, 12) : utf8("abc");
      const deps = fixture();
      const body = await openBody(deps, new FakeRequest(headers, [start, kind]), 1000);
      const error = await assertRejects(() => read(body.chunks), BodyError);
      assertEquals([error.kind, body.isRead], [kind, false]);
      await deps.bodies.whenIdle();
    }
  }
});

Deno.test("openBody: encodings that cannot be streamed are held, and given back", async () => {
  if (!ACCEPTED_ENCODINGS.includes("br")) return;
  const deps = fixture();
  const bytes = new Uint8Array(zlib.brotliCompressSync("abc"));
  const request = new FakeRequest({ "content-encoding": "br", "content-length": String(bytes.length) }, [
    bytes,
  ]);
  const body = await openBody(deps, request, 1000);
  assertEquals([body.bytes, deps.bodies.held > 0], [3, true]);
  assertEquals(await read(body.chunks), "abc");
  body.release();
  assertEquals(deps.bodies.held, 0);
});

Deno.test("openBody: a reader that stops early lets go of the body", async () => {
  for (const encoding of ["", "gzip"]) {
    const deps = fixture();
    const start = encoding === "" ? utf8("abc") : packed("abc");
    const body = await openBody(
      deps,
      new FakeRequest({ "content-encoding": encoding }, [start, start]),
      1000,
    );
    for await (const _ of body.chunks!) break;
    await deps.bodies.whenIdle();
  }
});

Deno.test("openBody: what comes out is what was packed, wherever it was cut", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.string({ unit: "binary", maxLength: 3000 }),
      fc.constantFrom("gzip", "deflate", "identity"),
      fc.integer({ min: 1, max: 100 }),
      async (text, encoding, size) => {
        const bytes = encoding === "gzip"
          ? packed(text)
          : encoding === "deflate"
          ? new Uint8Array(zlib.deflateSync(text))
          : utf8(text);
        const pieces: Uint8Array[] = [];
        for (let at = 0; at < bytes.length; at += size) pieces.push(bytes.subarray(at, at + size));
        const body = await openBody(
          fixture(),
          new FakeRequest({ "content-encoding": encoding }, pieces),
          20_000,
        );
        assertEquals(await read(body.chunks), fromUtf8(utf8(text)));
      },
    ),
    { numRuns: 60 },
  );
});
