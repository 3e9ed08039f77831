/** Bodies beyond 1 MiB are answered as smaller ones are, whatever their encoding, and nothing is left of refused ones. */
import { assert, assertEquals } from "@std/assert";
import * as zlib from "node:zlib";
import { concatBytes, plainBytes, utf8 } from "../../src/core/bytes.ts";
import { ACCEPTED_ENCODINGS } from "../../src/listener/decode_body.ts";
import { encodeZstd } from "../../src/protocol/zstd.ts";
import { ENVELOPE_PATH, EVENT } from "../support/conformance.ts";
import { AUTH, EXPOSURES, type ListenerFixture, startListener } from "../support/listener_fixture.ts";
import { rawRequest, requestBytes } from "../support/raw_http.ts";
import { LargeEnvelope } from "../support/large_post.ts";

const MIB = 1024 * 1024;
const ENCODERS: Readonly<Record<string, (bytes: Uint8Array) => Uint8Array>> = {
  "": (bytes) => bytes,
  gzip: zlib.gzipSync,
  deflate: zlib.deflateSync,
  br: (bytes) => zlib.brotliCompressSync(bytes, { params: { [zlib.constants.BROTLI_PARAM_QUALITY]: 2 } }),
  zstd: encodeZstd,
};
const ENCODINGS = ["", ...ACCEPTED_ENCODINGS.split(",")];

/** An envelope of 3 MiB whose payload compresses little. */
const envelope = concatBytes([
  ...[...new LargeEnvelope(1, 3 * MIB).pieces()].map((piece) => piece.slice()),
]);

async function post(
  fixture: ListenerFixture,
  path: string,
  encoding: string,
  body: Uint8Array,
  type = "text/plain",
) {
  const headers = { "content-type": type, ...encoding && { "content-encoding": encoding } };
  return await rawRequest(fixture.port, requestBytes("POST", path, headers, body));
}

/** Nothing that was refused, or is the fake's to keep, may be left. */
function assertNothingLeft({ ingress, bodies }: ListenerFixture): void {
  assertEquals([...ingress.storage.files.keys()], []);
  assertEquals([ingress.budget.bytesUsed, bodies.held], [0, 0]);
}

for (const exposure of EXPOSURES) {
  Deno.test(`${exposure}: large envelopes pass as they came in every encoding`, async () => {
    await using fixture = await startListener({ exposure });
    for (const encoding of ENCODINGS) {
      const body = ENCODERS[encoding]!(envelope);
      assertEquals((await post(fixture, ENVELOPE_PATH, encoding, body))?.status, 200, encoding);
      const { meta, body: stored } = fixture.ingress.take();
      assertEquals(meta.contentEncoding, encoding);
      assert(zlib.crc32(concatBytes(stored)) === zlib.crc32(body), encoding);
      assertNothingLeft(fixture);
    }
  });

  Deno.test(`${exposure}: large envelopes that are cut short, too large or no envelopes are refused`, async () => {
    await using fixture = await startListener({ exposure, maxEnvelopeBytes: 4 * MIB });
    const endless = concatBytes([utf8(EVENT.slice(0, -1)), new Uint8Array(2 * MIB)]);
    const huge = new Uint8Array(9 * MIB);
    for (const encoding of ENCODINGS.slice(1)) {
      const encode = ENCODERS[encoding]!;
      const statuses = [];
      for (const body of [encode(envelope).subarray(0, -9), encode(endless), encode(huge)]) {
        statuses.push((await post(fixture, ENVELOPE_PATH, encoding, body))?.status);
      }
      assertEquals(statuses, [400, 400, 413], encoding);
      assertNothingLeft(fixture);
    }
    assertEquals(fixture.ingress.submissions.length, 0);
  });

  Deno.test(`${exposure}: large bodies for the upstream's own routes pass unread, counted by what they hold`, async () => {
    await using fixture = await startListener({ exposure, itemLimits: { maxContainerSize: 3 * MIB } });
    const logs = utf8(`{"resourceLogs":["${"log ".repeat(MIB / 2)}"]}`);
    const path = `/api/42/integration/otlp/v1/logs?${AUTH}`;
    for (const encoding of ENCODINGS) {
      const body = ENCODERS[encoding]!(logs);
      assertEquals((await post(fixture, path, encoding, body, "application/json"))?.status, 200, encoding);
      const { meta, body: stored } = fixture.ingress.passthroughs.pop()!;
      assertEquals([meta.contentEncoding, plainBytes(stored)], [encoding, plainBytes(body)]);
      assertEquals(meta.quantities, [["log_byte", logs.length], ["log_item", 1]]);
      assertEquals(meta.passthrough, {
        path: "/api/42/integration/otlp/v1/logs",
        contentType: "application/json",
      });
      const damaged = body.subarray(0, -3);
      const large = ENCODERS[encoding]!(new Uint8Array(3 * MIB + 1));
      const refused = [await post(fixture, path, encoding, large, "application/json")];
      if (encoding !== "") refused.push(await post(fixture, path, encoding, damaged, "application/json"));
      assertEquals(refused.map((answer) => answer?.status), encoding === "" ? [413] : [413, 400], encoding);
      assertNothingLeft(fixture);
    }
    assertEquals(fixture.ingress.passthroughs, []);
    fixture.ingress.limitAll();
    assertEquals((await post(fixture, path, "", logs, "application/json"))?.status, 429);
    assertEquals((await post(fixture, `/api/42/nel/?${AUTH}`, "", logs, "application/json"))?.status, 200);
    assertNothingLeft(fixture);
  });

  Deno.test(`${exposure}: a spool that is full half way says so, and keeps nothing`, async () => {
    await using fixture = await startListener({ exposure });
    fixture.ingress.storage.capacity = 2 * MIB;
    const paths = [ENVELOPE_PATH, `/api/42/integration/otlp/v1/logs?${AUTH}`];
    for (const path of paths) {
      const body = path === ENVELOPE_PATH ? envelope : new Uint8Array(3 * MIB);
      assertEquals((await post(fixture, path, "", body, "application/json"))?.status, 429, path);
      assertNothingLeft(fixture);
    }
    assertEquals([fixture.ingress.submissions.length, fixture.ingress.passthroughs.length], [0, 0]);
  });
}
