/** Bodies beyond 1 MiB are answered as smaller ones are, whatever their encoding, and nothing is left of refused ones. */
import { assert, assertEquals } from "@std/assert";
import * as zlib from "node:zlib";
import { concatBytes, plainBytes, utf8 } from "../../src/core/bytes.ts";
import { encodeFormData } from "../../src/protocol/form_data.ts";
import { ACCEPTED_ENCODINGS } from "../../src/listener/decode_body.ts";
import { encodeZstd } from "../../src/protocol/zstd.ts";
import { ENVELOPE_PATH, EVENT, ID } from "../support/conformance.ts";
import { AUTH, EXPOSURES, KEY, type ListenerFixture, startListener } from "../support/listener_fixture.ts";
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

/** A crash report by form, from a large dump, and what it must contain. */
function report(dump: Uint8Array): Uint8Array {
  return concatBytes([
    utf8('--b\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n'),
    utf8('--b\r\nContent-Disposition: form-data; name="upload_file_minidump"; filename="a.dmp"\r\n\r\n'),
    dump,
    utf8(`\r\n--b\r\nContent-Disposition: form-data; name="sentry[event_id]"\r\n\r\n${ID}\r\n--b--\r\n`),
  ]);
}

const dump = concatBytes([utf8("MDMP"), envelope]);
const MINIDUMP = `/api/42/minidump/?${AUTH}`;
const ATTACHMENTS = `/api/42/events/${ID}/attachments/?${AUTH}`;
const UNREAL = `/api/42/unreal/${KEY}/`;
const FORM = "multipart/form-data; boundary=b";

/** Type and content of each item of what was stored last. */
function storedItems(fixture: ListenerFixture): [unknown, number][] {
  const { envelope: { items, bytes }, meta } = fixture.ingress.take();
  assertEquals(meta.contentEncoding, "");
  return items.map(({ type, headers, payloadStart, payloadEnd }) => [
    headers.attachment_type ?? type.type,
    zlib.crc32(bytes.subarray(payloadStart, payloadEnd)),
  ]);
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

  Deno.test(`${exposure}: large crash reports and attachments become envelopes in every encoding`, async () => {
    await using fixture = await startListener({ exposure, memoryBytesMax: 32 * MIB });
    const fields = zlib.crc32(encodeFormData([["a", "1"], ["sentry[event_id]", ID]]));
    const crc = zlib.crc32(dump);
    for (const encoding of ENCODINGS) {
      const encode = ENCODERS[encoding]!;
      const uploads: [string, string, Uint8Array, unknown][] = [
        [MINIDUMP, FORM, report(dump), [["event.minidump", crc], ["form_data", fields]]],
        [MINIDUMP, FORM, report(zlib.gzipSync(dump)), [["event.minidump", crc], ["form_data", fields]]],
        [MINIDUMP, "application/x-dmp", dump, [["event.minidump", crc]]],
        [ATTACHMENTS, FORM, report(dump), [["event.attachment", crc], ["form_data", fields]]],
        [UNREAL, "", dump, [["unreal_report", crc]]],
      ];
      for (const [path, type, body, items] of uploads) {
        const answer = await post(fixture, path, encoding, encode(body), type);
        assertEquals([answer?.status, answer?.body.length], path === ATTACHMENTS ? [201, 0] : [200, 36]);
        assertEquals(storedItems(fixture), items as [unknown, number][], `${path} ${encoding}`);
        assertNothingLeft(fixture);
      }
    }
  });

  Deno.test(`${exposure}: large crash reports that are cut short, too large or none are refused`, async () => {
    const itemLimits = { maxAttachmentSize: 4 * MIB, maxAttachmentsSize: 6 * MIB };
    await using fixture = await startListener({ exposure, itemLimits, maxUploadBytes: 2 * MIB });
    const none = dump.slice();
    none.fill(0, 0, 4);
    const huge = new Uint8Array(5 * MIB);
    huge.set(utf8("MDMP"));
    for (const encoding of ENCODINGS) {
      const encode = ENCODERS[encoding]!;
      const refused: [Uint8Array, number][] = [
        [encode(report(dump).subarray(0, -9)), 400],
        [encode(report(none)), 400],
        [encode(report(huge)), 413],
        [encode(report(zlib.gzipSync(huge))), 413],
        [encode(new Uint8Array(9 * MIB)), 413],
      ];
      for (const [body, status] of refused) {
        assertEquals((await post(fixture, MINIDUMP, encoding, body, FORM))?.status, status, encoding);
        assertNothingLeft(fixture);
      }
    }
    assertEquals(fixture.ingress.submissions.length, 0);
  });

  Deno.test(`${exposure}: a spool that is full half way through a form says so, and keeps nothing`, async () => {
    await using fixture = await startListener({ exposure });
    fixture.ingress.storage.capacity = 2 * MIB;
    // Crash reporters would send the same again upon 429.
    for (
      const [path, type, status] of [[MINIDUMP, FORM, 503], [UNREAL, "", 503], [
        ATTACHMENTS,
        FORM,
        429,
      ]] as const
    ) {
      assertEquals((await post(fixture, path, "", report(dump), type))?.status, status, path);
      assertNothingLeft(fixture);
    }
    assertEquals(fixture.ingress.submissions.length, 0);
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
