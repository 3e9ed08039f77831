import { assert, assertEquals, assertRejects } from "@std/assert";
import { concatBytes, utf8 } from "../../../src/core/bytes.ts";
import { systemClock } from "../../../src/core/clock.ts";
import type { RequestMeta } from "../../../src/protocol/request_meta.ts";
import { METRIC_LAYOUT } from "../../../src/telemetry/catalogue.ts";
import { Metrics } from "../../../src/telemetry/registry.ts";
import { BodyEncoder, type EncodingChoice } from "../../../src/upstream/body_encoding.ts";
import { upstreamTarget } from "../../../src/upstream/dial.ts";
import { BodyLostError, type StreamedBody } from "../../../src/upstream/forward_source.ts";
import { LargeSender } from "../../../src/upstream/large_sender.ts";
import { StreamClient } from "../../../src/upstream/stream_client.ts";
import { ScriptedUpstream } from "../../support/scripted_upstream.ts";

const META: RequestMeta = {
  projectId: "1",
  key: "a0b1c2d3e4f5a0b1c2d3e4f5a0b1c2d3",
  version: 7,
  client: null,
  origin: null,
  remoteAddr: "127.0.0.1",
  forwardedFor: "127.0.0.1",
  userAgent: null,
  clientHints: null,
  noCache: false,
  contentEncoding: "",
  eventId: null,
  quantities: [],
  passthrough: null,
};
const ENVELOPE = concatBytes([
  utf8(`{"event_id":"0123456789abcdef0123456789abcdef","sent_at":"2026-01-01T00:00:00.000Z"}\n`),
  utf8(`{"type":"attachment","length":600000}\n`),
  new Uint8Array(600_000).map((_, i) => i * 7 & 0xff),
  utf8("\n"),
]);

/** A body of these bytes in uneven pieces. */
function streamed(bytes: Uint8Array, fail?: () => never): StreamedBody {
  return {
    bytes: bytes.length,
    async *chunks() {
      for (let at = 0; at < bytes.length; at += 70_001) {
        if (fail && at + 70_001 >= bytes.length) fail();
        yield await Promise.resolve(bytes.subarray(at, at + 70_001));
      }
    },
  };
}

function senderTo(url: string, choice: EncodingChoice, totalTimeoutMs = 5000) {
  const metrics = new Metrics(METRIC_LAYOUT);
  const client = new StreamClient({
    target: upstreamTarget(url, null),
    clock: systemClock,
    metrics,
    connectTimeoutMs: 1000,
    timeoutMs: totalTimeoutMs,
    readerTimeoutMs: totalTimeoutMs,
    headBytesMax: 16_384,
  });
  const encoder = new BodyEncoder(choice, 10_000_000);
  return new LargeSender({ client, encoder, clock: systemClock, totalTimeoutMs, answerBytesMax: 10_000 });
}

for (const choice of ["identity", "auto", "gzip", "deflate", "br", "zstd"] as const) {
  Deno.test(`LargeSender: http.encoding ${choice} arrives as it was stored, and aged when it was held`, async () => {
    await using upstream = ScriptedUpstream.start();
    const sender = senderTo(upstream.url, choice);
    for (const heldMs of [0, 3_600_000]) {
      const { result } = await sender.send({ meta: META, body: streamed(ENVELOPE), heldMs, identity: [] });
      assertEquals(result, { kind: "delivered", status: 200 });
    }
    const [first, second] = upstream.requests;
    assertEquals(first!.body, ENVELOPE);
    const isAnnounced = first!.headers.has("content-length");
    assertEquals(isAnnounced, choice === "identity");
    assertEquals(second!.envelope.sent_at, "2026-01-01T01:00:00.000Z");
    assertEquals(second!.items[0]!.payload, first!.items[0]!.payload);
  });
}

Deno.test("LargeSender: a body found damaged at its end never reaches the upstream whole", async () => {
  await using upstream = ScriptedUpstream.start();
  for (const choice of ["identity", "gzip", "zstd"] as const) {
    const body = streamed(ENVELOPE, () => {
      throw new BodyLostError("damaged");
    });
    const sender = senderTo(upstream.url, choice);
    await assertRejects(() => sender.send({ meta: META, body, heldMs: 0, identity: [] }), BodyLostError);
  }
  assertEquals(upstream.requests, []);
});

Deno.test("LargeSender: refusals, silence and a disk that fails are told apart", async () => {
  await using upstream = ScriptedUpstream.start();
  const sender = senderTo(upstream.url, "identity", 300);
  const record = { meta: META, body: streamed(ENVELOPE), heldMs: 0, identity: [] };
  upstream.script({ status: 413, early: true });
  assertEquals((await sender.send(record)).result?.kind, "rejected");
  upstream.script({ blackHole: true });
  assertEquals((await sender.send(record)).result?.kind, "network_error");
  const failing = streamed(ENVELOPE, () => {
    throw new Error("EIO");
  });
  const { result } = await sender.send({ ...record, body: failing });
  assert(result?.kind === "server_error" && result.status === null);
});
