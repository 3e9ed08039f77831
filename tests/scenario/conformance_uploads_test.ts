/** What native crash reporters and uploaders of files see. Sections are those of the ingestion reference. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import * as zlib from "node:zlib";
import { concatBytes, fromUtf8, utf8 } from "../../src/core/bytes.ts";
import type { EnvelopeItem } from "../../src/protocol/envelope.ts";
import { encodeFormData } from "../../src/protocol/form_data.ts";
import { encodeZstd, HAS_ZSTD } from "../../src/protocol/zstd.ts";
import { DUMP, DUMP_BZ2, DUMP_XZ, HUGE_DUMP_BZ2, HUGE_DUMP_XZ } from "../support/compressed_files.ts";
import { type ConformanceRow, CORS_HEADERS, detail, ID, testTables } from "../support/conformance.ts";
import { AUTH, EXPOSURES, type ListenerFixture, startListener } from "../support/listener_fixture.ts";
import { rawRequest, type RawResponse, requestBytes } from "../support/raw_http.ts";

const MIB = 1024 * 1024;
const minidump = `/api/42/minidump/?${AUTH}`;
const attachments = `/api/42/events/${ID}/attachments/?${AUTH}`;
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const TEXT = { ...CORS_HEADERS, "content-type": "text/plain; charset=utf-8" };
const FORM = { "content-type": "multipart/form-data; boundary=b" };
const RAW = { "content-type": "application/octet-stream" };
const DASHED_ID = "9ec79c33-ec99-42ab-8353-589fcb2e04dc";

/** One part: its name, its content, and further lines or parameters of its headers. */
type Part = readonly [name: string, content: string | Uint8Array, rest?: string];

const bytesOf = (content: string | Uint8Array) => typeof content === "string" ? utf8(content) : content;
const form = (...parts: readonly Part[]) =>
  concatBytes([
    ...parts.flatMap(([name, content, rest = ""]) => [
      utf8(`--b\r\nContent-Disposition: form-data; name="${name}"${rest}\r\n\r\n`),
      bytesOf(content),
      utf8("\r\n"),
    ]),
    utf8("--b--\r\n"),
  ]);
const dumpPart = (content: string | Uint8Array, filename = "a.dmp"): Part => [
  "upload_file_minidump",
  content,
  `; filename="${filename}"\r\nContent-Type: application/octet-stream`,
];
const file = '; filename="f"';
const nested = concatBytes([
  utf8('--in\r\nContent-Disposition: form-data; name="upload_file_minidump"\r\n\r\n'),
  utf8(`${DUMP}\r\n--in--\r\n`),
]);
const HUGE_DUMP = new Uint8Array(8 * MIB);
HUGE_DUMP.set(utf8("MDMP"));
/** MessagePack of a map with the id. */
const payload = concatBytes([
  Uint8Array.of(0x81, 0xa8),
  utf8("event_id"),
  Uint8Array.of(0xd9, 36),
  utf8(DASHED_ID),
]);

// deno-fmt-ignore
const MINIDUMP: readonly ConformanceRow[] = [
  { section: "1.2", name: "a form", path: minidump, headers: FORM, body: form(dumpPart(DUMP)), status: 200, answer: UUID, answerHeaders: TEXT },
  { section: "1.2", name: "without the slash at the end", path: minidump.replace("/?", "?"), headers: FORM, body: form(dumpPart(DUMP)), status: 200, answer: UUID, answerHeaders: TEXT },
  { section: "1.2", name: "a dump alone", path: minidump, headers: RAW, body: DUMP, status: 200, answer: UUID },
  { section: "1.2", name: "a dump alone by its own type", path: minidump, headers: { "content-type": "application/x-dmp" }, body: DUMP, status: 200, answer: UUID },
  { section: "1.2", name: "a dump alone whose type has parameters", path: minidump, headers: { "content-type": "application/octet-stream; a=b" }, body: DUMP, status: 400, answer: /^\{"detail":"invalid multipart data"/ },
  { section: "1.2", name: "a big-endian dump", path: minidump, headers: RAW, body: "PMDM", status: 200, answer: UUID },
  { section: "1.3", name: "no dump, alone", path: minidump, headers: RAW, body: "hello", status: 400, answer: detail("invalid minidump"), answerHeaders: CORS_HEADERS },
  { section: "1.3", name: "nothing, alone", path: minidump, headers: RAW, body: "", status: 400, answer: detail("empty request body") },
  { section: "1.3", name: "no content type", path: minidump, body: form(dumpPart(DUMP)), status: 400, answer: /^\{"detail":"invalid multipart data","causes":\[/ },
  { section: "1.3", name: "no boundary", path: minidump, headers: { "content-type": "multipart/form-data" }, body: form(dumpPart(DUMP)), status: 400, answer: /^\{"detail":"invalid multipart data"/ },
  { section: "1.3", name: "another boundary", path: minidump, headers: { "content-type": "multipart/form-data; boundary=c" }, body: form(dumpPart(DUMP)), status: 400, answer: /^\{"detail":"invalid multipart data"/ },
  { section: "1.3", name: "a boundary in quotes", path: minidump, headers: { "content-type": 'multipart/form-data; boundary="b"' }, body: form(dumpPart(DUMP)), status: 200, answer: UUID },
  { section: "1.3", name: "cut short", path: minidump, headers: FORM, body: form(dumpPart(DUMP)).subarray(0, -8), status: 400, answer: /^\{"detail":"invalid multipart data"/ },
  { section: "1.3", name: "no line end at the end", path: minidump, headers: FORM, body: form(dumpPart(DUMP)).subarray(0, -2), status: 200, answer: UUID },
  { section: "1.3", name: "an empty form", path: minidump, headers: FORM, body: form(), status: 400, answer: detail("missing minidump") },
  { section: "1.3", name: "a form without a dump", path: minidump, headers: FORM, body: form(["a", "b"], ["f", DUMP, file]), status: 400, answer: detail("missing minidump") },
  { section: "1.3", name: "a dump that is no file", path: minidump, headers: FORM, body: form(["upload_file_minidump", DUMP]), status: 400, answer: detail("missing minidump") },
  { section: "1.3", name: "a file that is no dump", path: minidump, headers: FORM, body: form(dumpPart("hello")), status: 400, answer: detail("invalid minidump") },
  { section: "1.3", name: "an empty dump", path: minidump, headers: FORM, body: form(dumpPart("")), status: 400, answer: detail("invalid minidump") },
  { section: "1.3", name: "a form within the dump", path: minidump, headers: FORM, body: form(dumpPart(nested)), status: 200, answer: UUID },
  { section: "1.3", name: "a form within the dump, cut short", path: minidump, headers: FORM, body: form(dumpPart(nested.subarray(0, -8))), status: 400, answer: /^\{"detail":"invalid multipart data"/ },
  { section: "1.3", name: "a form within the dump without a dump", path: minidump, headers: FORM, body: form(dumpPart(form(["a", "b"]))), status: 400, answer: detail("invalid minidump") },
  { section: "1.3", name: "a damaged container", path: minidump, headers: FORM, body: form(dumpPart(DUMP_XZ.subarray(0, 40))), status: 400, answer: detail("invalid compression container") },
  { section: "1.3", name: "a container of something else", path: minidump, headers: FORM, body: form(dumpPart(zlib.gzipSync("hello"))), status: 400, answer: detail("invalid minidump") },
  { section: "1.3", name: "the id of the event file", path: minidump, headers: FORM, body: form(["sentry", `{"event_id":"${"a".repeat(32)}"}`], ["__sentry-event", payload, file], dumpPart(DUMP)), status: 200, answer: DASHED_ID },
  { section: "1.3", name: "the id of the JSON field", path: minidump, headers: FORM, body: form(["sentry[event_id]", "a".repeat(32)], ["sentry", `{"event_id":"${ID}"}`], dumpPart(DUMP)), status: 200, answer: DASHED_ID },
  { section: "1.3", name: "the id of the field of its own", path: minidump, headers: FORM, body: form(["sentry[event_id]", ID], dumpPart(DUMP)), status: 200, answer: DASHED_ID },
  { section: "1.3", name: "bad form data is swallowed", path: minidump, headers: FORM, body: form(["sentry", "{"], dumpPart(DUMP)), status: 200, answer: UUID },
  { section: "5.3", name: "an event file that cannot be read", path: minidump, headers: FORM, body: form(["__sentry-event", "{}", file], dumpPart(DUMP)), status: 400, answer: /^\{"detail":"invalid messagepack data"/ },
  { section: "4.1", name: "gzip of the whole body", path: minidump, headers: { ...FORM, "content-encoding": "gzip" }, body: zlib.gzipSync(form(dumpPart(DUMP))), status: 200, answer: UUID },
  { section: "4.4", name: "a body beyond its limit", path: minidump, headers: RAW, body: new Uint8Array(3 * MIB + 1), status: 413, answer: "length limit exceeded" },
  { section: "1.3", name: "a file beyond its limit", path: minidump, headers: FORM, body: form(["f", new Uint8Array(MIB + 1), file], dumpPart(DUMP)), status: 413, answer: detail("invalid multipart data", "field 'f' exceeded the size limit") },
  { section: "1.3", name: "files beyond their limit together", path: minidump, headers: FORM, body: form(["f", new Uint8Array(MIB), file], ["f", new Uint8Array(MIB), file], dumpPart(DUMP)), status: 413, answer: detail("invalid multipart data", "stream exceeded the size limit") },
  { section: "1.3", name: "a bomb by gzip", path: minidump, headers: FORM, body: form(dumpPart(zlib.gzipSync(HUGE_DUMP))), status: 413, answer: "length limit exceeded" },
  { section: "1.3", name: "a bomb by xz", path: minidump, headers: FORM, body: form(dumpPart(HUGE_DUMP_XZ)), status: 413, answer: "length limit exceeded" },
  { section: "1.3", name: "a bomb by bzip2", path: minidump, headers: RAW, body: HUGE_DUMP_BZ2, status: 413, answer: "length limit exceeded" },
  { section: "1.2", name: "GET", method: "GET", path: minidump, body: "", status: 405, answer: "", answerHeaders: { allow: "POST" } },
  { section: "2", name: "no key", path: "/api/42/minidump/", headers: RAW, body: DUMP, status: 401, answer: detail("missing authorization information"), answerHeaders: CORS_HEADERS },
  { section: "2", name: "a project that is none", path: minidump.replace("42", "x"), headers: RAW, body: DUMP, status: 400, answer: /bad project path parameter/ },
  { section: "5.4", name: "preflight", method: "OPTIONS", path: "/api/42/minidump", body: "", status: 200, answer: "" },
];

// deno-fmt-ignore
const ATTACHMENTS: readonly ConformanceRow[] = [
  { section: "1.2", name: "files", path: attachments, headers: FORM, body: form(["a", "1", file], ["b", "2", file]), status: 201, answer: "", answerHeaders: { ...CORS_HEADERS, "content-type": null } },
  { section: "1.2", name: "an id with dashes", path: attachments.replace(ID, DASHED_ID), headers: FORM, body: form(["a", "1", file]), status: 201, answer: "" },
  { section: "1.2", name: "no files", path: attachments, headers: FORM, body: form(), status: 201, answer: "" },
  { section: "5.2", name: "an id that is none", path: attachments.replace(ID, "1"), headers: FORM, body: form(["a", "1", file]), status: 400, answer: /^Invalid URL/, answerHeaders: TEXT },
  { section: "1.2", name: "a body that is no form", path: attachments, headers: RAW, body: "1", status: 400, answer: /^\{"detail":"invalid multipart data"/ },
  { section: "1.1", name: "without the slash at the end", path: attachments.replace("/?", "?"), headers: FORM, body: form(["a", "1", file]), status: 404 },
  { section: "1.3", name: "a file beyond its limit", path: attachments, headers: FORM, body: form(["f", new Uint8Array(MIB + 1), file]), status: 413, answer: detail("invalid multipart data", "field 'f' exceeded the size limit") },
  { section: "4.4", name: "a body beyond its limit", path: attachments, headers: FORM, body: new Uint8Array(2 * MIB + 1), status: 413, answer: "length limit exceeded" },
  { section: "2", name: "no key", path: `/api/42/events/${ID}/attachments/`, headers: FORM, body: form(), status: 401, answer: detail("missing authorization information") },
  { section: "2", name: "the key comes before the id", path: "/api/42/events/1/attachments/", headers: FORM, body: form(), status: 401 },
  { section: "1.2", name: "PUT", method: "PUT", path: attachments, status: 405, answerHeaders: { allow: "POST" } },
  { section: "5.4", name: "preflight", method: "OPTIONS", path: attachments, body: "", status: 200, answer: "" },
];

const LIMITS = { maxUploadBytes: MIB, itemLimits: { maxAttachmentSize: MIB, maxAttachmentsSize: 2 * MIB } };

testTables({ MINIDUMP, ATTACHMENTS }, () => {}, LIMITS);

const post = (fixture: ListenerFixture, path: string, headers: Record<string, string>, body: Uint8Array) =>
  rawRequest(fixture.port, requestBytes("POST", path, headers, body));

/** Header and text of each item of what was submitted last. */
function itemsOf(fixture: ListenerFixture, answer: RawResponse | null): [object, string][] {
  const { envelope, meta } = fixture.ingress.take();
  if (answer?.body) assertEquals(answer.body.replaceAll("-", ""), meta.eventId);
  assertEquals(envelope.headers, { event_id: meta.eventId! });
  assertEquals(meta.contentEncoding, "");
  return envelope.items.map(({ headers: { length: _, ...headers }, payloadStart, payloadEnd }) => [
    headers,
    fromUtf8(envelope.bytes.subarray(payloadStart, payloadEnd)),
  ]);
}

const DUMP_HEADERS = {
  type: "attachment",
  attachment_type: "event.minidump",
  content_type: "application/x-dmp",
  filename: "a.dmp",
};

for (const exposure of EXPOSURES) {
  Deno.test(`${exposure}: the parts of a crash report become items, its fields the last one: section 1.3`, async () => {
    await using fixture = await startListener({ exposure });
    const body = form(
      ["sentry[release]", "1.0"],
      ["__sentry-breadcrumb1", "x", file],
      ["__sentry-breadcrumb2", "x", file],
      dumpPart(DUMP),
      ["__sentry-event", Uint8Array.of(0x80), file],
      ["view-hierarchy.json", "{}", '; filename="view-hierarchy.json"\r\nContent-Type: application/json'],
      ["log", "line\r\n--b\n", `; filename="größe.log"\r\nContent-Type: Text/Plain; charset=x`],
      ["größe", "7"],
    );
    const attachment = (attachment_type: string, filename = "f") => ({
      type: "attachment",
      attachment_type,
      filename,
    });
    assertEquals(itemsOf(fixture, await post(fixture, minidump, FORM, body)), [
      [attachment("event.breadcrumbs"), "x"],
      [attachment("event.breadcrumbs"), "x"],
      [DUMP_HEADERS, DUMP],
      [attachment("event.payload"), fromUtf8(Uint8Array.of(0x80))],
      [{
        ...attachment("event.view_hierarchy", "view-hierarchy.json"),
        content_type: "application/json",
      }, "{}"],
      [
        { ...attachment("event.attachment", "größe.log"), content_type: "Text/Plain; charset=x" },
        "line\r\n--b\n",
      ],
      [
        { type: "form_data", content_type: "text/plain" },
        fromUtf8(encodeFormData([["sentry[release]", "1.0"], ["größe", "7"]])),
      ],
    ]);
    assertEquals(fixture.bodies.held, 0);
  });

  Deno.test(`${exposure}: a dump is inflated, unwrapped and named as what it is: section 1.3`, async (test) => {
    await using fixture = await startListener({ exposure });
    const dumps: [string, Uint8Array, string, string][] = [
      ["as it is", utf8(DUMP), "a.dmp", "a.dmp"],
      ["named like a container", utf8(DUMP), "a.dmp.gz", "a.dmp.gz"],
      ["gzip", zlib.gzipSync(DUMP), "a.dmp.gz", "a.dmp"],
      ["xz", DUMP_XZ, "a.dmp.xz", "a.dmp"],
      ["bzip2", DUMP_BZ2, "a.dmp.bz2", "a.dmp"],
      ["inflated, named otherwise", DUMP_BZ2, "a.dmp", "a.dmp"],
      ["a form", nested, "a.dmp", "a.dmp"],
    ];
    if (HAS_ZSTD) dumps.push(["zstd", encodeZstd(utf8(DUMP)), "a.dmp.zst", "a.dmp"]);
    for (const [name, bytes, sent, filename] of dumps) {
      await test.step(name, async () => {
        const answer = await post(fixture, minidump, FORM, form(dumpPart(bytes, sent)));
        assertEquals(itemsOf(fixture, answer), [[{ ...DUMP_HEADERS, filename }, DUMP]]);
      });
    }
    await test.step("alone", async () => {
      const answer = await post(fixture, minidump, RAW, DUMP_XZ);
      assertEquals(itemsOf(fixture, answer), [[{ ...DUMP_HEADERS, filename: "Minidump" }, DUMP]]);
    });
    assertEquals(fixture.bodies.held, 0);
  });

  Deno.test(`${exposure}: attachments of an event go under its id: section 1.2`, async () => {
    await using fixture = await startListener({ exposure });
    const body = form(["a", "1", `${file}\r\nContent-Type: text/plain`], ["__sentry-event", "2", file]);
    const headers = { type: "attachment", attachment_type: "event.attachment", filename: "f" };
    const answer = await post(fixture, attachments.replace(ID, DASHED_ID), FORM, body);
    assertEquals([answer?.status, answer?.body], [201, ""]);
    assertEquals(fixture.ingress.submissions[0]?.meta.eventId, ID);
    assertEquals(itemsOf(fixture, answer), [[{ ...headers, content_type: "text/plain" }, "1"], [
      headers,
      "2",
    ]]);
  });

  Deno.test(`${exposure}: crash reporters never hear of limits, uploaders of attachments do: section 5.5`, async () => {
    await using fixture = await startListener({ exposure });
    const answers = async () => [
      await post(fixture, minidump, RAW, utf8(DUMP)),
      await post(fixture, attachments, FORM, form(["a", "1", file])),
    ];
    fixture.ingress.limitAll();
    const [dump, attachment] = await answers();
    assertEquals([dump?.status, attachment?.status], [200, 429]);
    assertMatch(dump!.body, UUID);
    assertEquals(dump!.headers.get("x-sentry-rate-limits"), undefined);
    assertMatch(attachment!.headers.get("x-sentry-rate-limits") ?? "", /^\d+:/);
    fixture.ingress.limitAll("spool_full");
    assertEquals((await answers()).map((answer) => answer?.status), [503, 429]);
    assertEquals(fixture.bodies.held, 0);
  });

  Deno.test(`${exposure}: a dump that inflates to more than all memory is written as it comes, what is held of it is bounded`, async () => {
    await using fixture = await startListener({ exposure, memoryBytesMax: MIB });
    for (const bytes of [HUGE_DUMP_XZ, HUGE_DUMP_BZ2, zlib.gzipSync(HUGE_DUMP)]) {
      assertEquals((await post(fixture, minidump, RAW, bytes))?.status, 200);
      const { envelope } = fixture.ingress.take();
      const [{ payloadStart, payloadEnd }] = envelope.items as [EnvelopeItem];
      assert(zlib.crc32(envelope.bytes.subarray(payloadStart, payloadEnd)) === zlib.crc32(HUGE_DUMP));
      assertEquals([fixture.bodies.held, fixture.ingress.budget.bytesUsed], [0, 0]);
    }
    // xz is held as it came.
    const large = concatBytes([HUGE_DUMP_XZ, new Uint8Array(2 * MIB)]);
    assertEquals((await post(fixture, minidump, RAW, large))?.status, 503);
    assertEquals(fixture.bodies.held, 0);
  });
}
