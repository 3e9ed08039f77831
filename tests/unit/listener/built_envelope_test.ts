/**
 * Crash reports and attachments, held and streamed: whatever the form, its sizes, the pieces it comes in and its encoding, the
 * same is stored and the same is answered, and it is what the parts say.
 */
import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import * as zlib from "node:zlib";
import { concatBytes, fromUtf8, utf8 } from "../../../src/core/bytes.ts";
import { systemClock } from "../../../src/core/clock.ts";
import type { Answer } from "../../../src/listener/answer.ts";
import { type Body, BodyReader } from "../../../src/listener/body_reader.ts";
import { ACCEPTED_ENCODINGS, parseContentEncoding } from "../../../src/listener/decode_body.ts";
import { attachmentsEndpoint } from "../../../src/listener/endpoints/attachments.ts";
import { minidumpEndpoint } from "../../../src/listener/endpoints/minidump.ts";
import { unrealEndpoint } from "../../../src/listener/endpoints/unreal.ts";
import type { IncomingRequest } from "../../../src/listener/incoming_request.ts";
import { LargeStream } from "../../../src/listener/large_stream.ts";
import type { Endpoint } from "../../../src/listener/routes.ts";
import type { IngestionDeps } from "../../../src/listener/submission.ts";
import {
  buildEnvelope,
  type EnvelopeItem,
  parseEnvelope,
  type ScannedEnvelope,
} from "../../../src/protocol/envelope.ts";
import { encodeFormData } from "../../../src/protocol/form_data.ts";
import { DEFAULT_ITEM_LIMITS } from "../../../src/protocol/item_limits.ts";
import { RequestError } from "../../../src/protocol/request_error.ts";
import { encodeZstd, HAS_ZSTD } from "../../../src/protocol/zstd.ts";
import { METRIC_LAYOUT } from "../../../src/telemetry/catalogue.ts";
import { Metrics } from "../../../src/telemetry/registry.ts";
import { DUMP, DUMP_BZ2, DUMP_XZ } from "../../support/compressed_files.ts";
import { FakeRequest } from "../../support/fake_request.ts";
import { AUTH, FakeIngress, KEY } from "../../support/listener_fixture.ts";

const KIB = 1024;
const FILE_BYTES_MAX = 2 * KIB;
const FILES_BYTES_MAX = 4 * KIB;
const ID = "9ec79c33ec9942ab8353589fcb2e04dc";
const ENCODERS: Readonly<Record<string, (bytes: Uint8Array) => Uint8Array>> = {
  "": (bytes) => bytes,
  gzip: zlib.gzipSync,
  deflate: zlib.deflateSync,
  br: zlib.brotliCompressSync,
  zstd: encodeZstd,
};
const ENCODINGS = ["", ...ACCEPTED_ENCODINGS.split(",")];

/** Streams every body, however small, in pieces of the lengths that `next` says. */
class StreamingReader extends BodyReader {
  next: () => number = () => Infinity;

  override open(request: IncomingRequest, limit: number): Promise<Body | LargeStream> {
    const encoding = parseContentEncoding(request.header("content-encoding"));
    const pieces = piecewise(request, this.next);
    const track = () => this.track();
    return Promise.resolve(
      new LargeStream({ request: pieces, encoding, limit, first: [], track, onEnd: () => {} }),
    );
  }
}

/** The request, which says after every piece that there may be more. */
function piecewise(request: IncomingRequest, next: () => number): IncomingRequest {
  let rest = new Uint8Array(0);
  let isEnded = false;
  const chunks = async (take: (chunk: Uint8Array) => boolean): Promise<boolean> => {
    if (rest.length === 0 && !isEnded) {
      isEnded = await request.chunks((chunk) => (rest = new Uint8Array(chunk), false)) && rest.length === 0;
    }
    const piece = rest.subarray(0, Math.max(1, next()));
    rest = rest.subarray(piece.length);
    if (piece.length > 0) take(piece);
    return isEnded;
  };
  return { chunks } as IncomingRequest;
}

interface Upload {
  readonly endpoint: "minidump" | "attachments" | "unreal";
  readonly contentType: string;
  readonly body: Uint8Array;
  readonly encoding?: string;
  /** It breaks off at the end of the body. */
  readonly isBroken?: boolean;
}

interface Result {
  readonly status: number;
  readonly body: string;
  /** The envelope; null when nothing was kept. */
  readonly stored: Uint8Array | null;
  readonly wasHeld: boolean;
}

const ENDPOINTS = { minidump: minidumpEndpoint, attachments: attachmentsEndpoint, unreal: unrealEndpoint };

/** What becomes of an upload; nothing may be left of it. */
async function run(upload: Upload, next?: () => number): Promise<Result> {
  const options = { memoryBytesMax: 1 << 24, metrics: new Metrics(METRIC_LAYOUT) };
  const bodies = next ? new StreamingReader(options) : new BodyReader(options);
  if (bodies instanceof StreamingReader) bodies.next = next!;
  const ingress = new FakeIngress();
  const deps: IngestionDeps = {
    ingress,
    bodies,
    clock: systemClock,
    trustedProxies: null,
    maxEnvelopeBytes: 64 * KIB,
    metrics: options.metrics,
    maxUploadBytes: 64 * KIB,
    itemLimits: {
      ...DEFAULT_ITEM_LIMITS,
      maxAttachmentSize: FILE_BYTES_MAX,
      maxAttachmentsSize: FILES_BYTES_MAX,
    },
  };
  let wasHeld = true;
  const { openLarge } = FakeIngress.prototype;
  ingress.openLarge = async () => (wasHeld = false, await openLarge.call(ingress));
  const { submitLarge } = FakeIngress.prototype;
  let scanned: ScannedEnvelope | null = null;
  ingress.submitLarge = (
    submission,
  ) => (scanned = submission.envelope, submitLarge.call(ingress, submission));
  const endpoint: Endpoint = ENDPOINTS[upload.endpoint](deps);
  const headers = {
    "content-type": upload.contentType,
    "content-encoding": upload.encoding ?? "",
  };
  const chunks = [
    ...upload.body.length > 0 ? [upload.body] : [],
    ...upload.isBroken ? ["broken" as const] : [],
  ];
  const request = new FakeRequest(headers, chunks, `/?${upload.endpoint === "unreal" ? "UserID=a" : AUTH}`);
  const param = (name: string) => name === "event_id" ? ID : KEY;
  let answer: Pick<Answer, "status" | "body">;
  try {
    answer = await endpoint(request, "42", { param });
  } catch (error) {
    if (!(error instanceof RequestError)) throw error;
    answer = { status: error.status, body: error.toBody() };
  }
  assertEquals([bodies.held, ingress.budget.bytesUsed, [...ingress.storage.files]], [0, 0, []]);
  const [submission, ...others] = ingress.submissions;
  assertEquals(others, []);
  const stored = submission ? concatBytes(submission.body) : null;
  if (submission) assertEquals(parseEnvelope(stored!).eventId, submission.meta.eventId);
  if (scanned) assertSame(scanned, stored!);
  return { status: answer.status, body: String(answer.body ?? ""), stored, wasHeld };
}

/** What is handed inwards about an envelope must be what a parser says of it. */
function assertSame(scanned: ScannedEnvelope, stored: Uint8Array): void {
  const { bytes: _, items, ...head } = parseEnvelope(stored);
  const { bytes: none, items: written, payloads, length, endsInHeader, ...writtenHead } = scanned;
  assertEquals([none.length, length, endsInHeader, writtenHead], [0, stored.length, false, head]);
  const plain = ({ type, headers, start, payloadStart, payloadEnd, end }: EnvelopeItem) => [
    type.type,
    headers,
    [start, payloadStart, payloadEnd, end],
  ];
  assertEquals(written.map(plain), items.map(plain));
  for (const [item, payload] of payloads) {
    assertEquals(stored.subarray(item.payloadStart, item.payloadEnd), payload);
  }
}

/** The same with ids that were made up left out. */
function comparable({ status, body, stored }: Result, madeUp: boolean): readonly unknown[] {
  if (!madeUp || stored === null) return [status, body, stored && fromUtf8(stored)];
  const id = parseEnvelope(stored).eventId!;
  assertEquals([body.length, body.replaceAll("-", "")], [36, id]);
  return [status, fromUtf8(stored).replace(id, "")];
}

/** The envelope without the room that its headers have. */
function squeezed(stored: Uint8Array): Uint8Array {
  const { headers, items } = parseEnvelope(stored);
  return concatBytes(buildEnvelope(
    headers,
    items.map(({ headers, payloadStart, payloadEnd }) => ({
      headers,
      payload: stored.subarray(payloadStart, payloadEnd),
    })),
  ));
}

interface FormPart {
  readonly name: string;
  readonly filename: string | null;
  readonly contentType: string | null;
  readonly content: Uint8Array;
  /** The dump that is inside, if that is what it is, and whether it is compressed. */
  readonly dump?: Uint8Array;
  readonly isInflated?: boolean;
}

function form(parts: readonly FormPart[], boundary: string): Uint8Array {
  const chunks = parts.flatMap(({ name, filename, contentType, content }) => {
    const file = filename === null ? "" : `; filename="${filename}"`;
    const type = contentType === null ? "" : `\r\nContent-Type: ${contentType}`;
    const head = `--${boundary}\r\nContent-Disposition: form-data; name="${name}"${file}${type}\r\n\r\n`;
    return [utf8(head), content, utf8("\r\n")];
  });
  return concatBytes([...chunks, utf8(`--${boundary}--\r\n`)]);
}

/** What the parts of a crash report are to become, by the reference and not by the program. */
function expectedItems(parts: readonly FormPart[]): { headers: object; payload: Uint8Array }[] {
  const files = parts.filter(({ filename }) => filename !== null);
  const dump = files.find(({ name }) => name === "upload_file_minidump");
  const items = files.map((file) => {
    const { name, filename, contentType, content } = file;
    const types: Record<string, string> = {
      upload_file_minidump: "event.minidump",
      "__sentry-event": "event.payload",
      "__sentry-breadcrumb1": "event.breadcrumbs",
    };
    const headers = {
      type: "attachment",
      attachment_type: types[name] ?? "event.attachment",
      ...contentType && { content_type: contentType },
      filename,
      ...file === dump && {
        content_type: "application/x-dmp",
        filename: file.isInflated ? filename!.replace(/\.gz$/, "") : filename,
      },
    };
    return { headers, payload: file === dump ? file.dump! : content };
  });
  const fields = parts.filter(({ filename }) => filename === null)
    .map(({ name, content }) => [name, fromUtf8(content)] as const);
  if (fields.length === 0) return items;
  return [...items, {
    headers: { type: "form_data", content_type: "text/plain" } as never,
    payload: encodeFormData(fields),
  }];
}

const content = fc.oneof(
  fc.uint8Array({ maxLength: 300 }),
  fc.string({ unit: fc.constantFrom(..."\r\n-b"), maxLength: 40 }).map(utf8),
);
const filename = fc.constantFrom("", "a.txt", "größe.log", "a.dmp.gz");
const contentType = fc.option(fc.constantFrom("text/plain", "application/octet-stream"));
const dumpBytes = fc.tuple(fc.constantFrom("MDMP", "PMDM"), content).map(([magic, rest]) =>
  concatBytes([utf8(magic), rest])
);
/** A dump in everything it may come in. */
const dumped = fc.oneof(
  dumpBytes.map((dump) => ({ content: dump, dump, isInflated: false })),
  dumpBytes.map((dump) => ({ content: new Uint8Array(zlib.gzipSync(dump)), dump, isInflated: true })),
  ...HAS_ZSTD ? [dumpBytes.map((dump) => ({ content: encodeZstd(dump), dump, isInflated: true }))] : [],
  fc.constant({ content: DUMP_XZ, dump: utf8(DUMP), isInflated: true }),
  fc.constant({ content: DUMP_BZ2, dump: utf8(DUMP), isInflated: true }),
  dumpBytes.map((dump) => {
    const part = { name: "upload_file_minidump", filename: null, contentType: null };
    return {
      content: form([{ ...part, content: new Uint8Array(zlib.gzipSync(dump)) }], "in-ner"),
      dump,
      isInflated: true,
    };
  }),
);
const dumpPart = fc.record({ filename, contentType, dumped }).map(({ dumped, ...rest }): FormPart => ({
  name: "upload_file_minidump",
  ...rest,
  ...dumped,
}));
const part: fc.Arbitrary<FormPart> = fc.oneof(
  fc.record({
    name: fc.constantFrom("a", "__sentry-breadcrumb1", "log"),
    filename,
    contentType,
    content,
  }),
  fc.record({
    name: fc.constantFrom("a", "sentry[release]"),
    filename: fc.constant(null),
    contentType: fc.constant(null),
    content,
  }),
  fc.constant({ name: "__sentry-event", filename: "e", contentType: null, content: Uint8Array.of(0x80) }),
);
const parts = fc.tuple(fc.array(part, { maxLength: 4 }), dumpPart, fc.array(part, { maxLength: 3 }))
  .map(([before, dump, after]) => [...before, dump, ...after]);
/** Lengths of the pieces that a body passes in. */
const cuts = fc.oneof(
  fc.infiniteStream(fc.integer({ min: 1, max: 7 })),
  fc.infiniteStream(fc.integer({ min: 1, max: 400 })),
);
const BOUNDARY = "b0undary";
const FORM = `multipart/form-data; boundary=${BOUNDARY}`;
const encodings = fc.constantFrom(...ENCODINGS);

Deno.test("crash reports: streamed or held, what is stored is what the parts say", async () => {
  await fc.assert(
    fc.asyncProperty(parts, cuts, encodings, async (parts, cuts, encoding) => {
      const body = ENCODERS[encoding]!(form(parts, BOUNDARY));
      const upload: Upload = { endpoint: "minidump", contentType: FORM, body, encoding };
      const held = await run(upload);
      const streamed = await run(upload, () => cuts.next().value!);
      assertEquals([held.wasHeld, streamed.wasHeld], [true, false]);
      assertEquals(comparable(streamed, true), comparable(held, true));
      const event_id = parseEnvelope(streamed.stored!).eventId!;
      const expected = concatBytes(buildEnvelope({ event_id }, expectedItems(parts)));
      assertEquals(fromUtf8(squeezed(streamed.stored!)), fromUtf8(expected));
      assert(squeezed(streamed.stored!).every((byte, at) => byte === expected[at]));
    }),
    { numRuns: 300 },
  );
});

Deno.test("attachments: streamed or held, what is stored is what the parts say", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(part, { maxLength: 5 }), cuts, encodings, async (parts, cuts, encoding) => {
      const body = ENCODERS[encoding]!(form(parts, BOUNDARY));
      const upload: Upload = { endpoint: "attachments", contentType: FORM, body, encoding };
      const held = await run(upload);
      const streamed = await run(upload, () => cuts.next().value!);
      assertEquals(comparable(streamed, false), comparable(held, false));
      assertEquals([held.status, held.body], [201, ""]);
      if (parts.length === 0) return assertEquals(held.stored, null);
      const items = expectedItems(parts).map(({ headers, payload }) => ({
        headers: "attachment_type" in headers ? { ...headers, attachment_type: "event.attachment" } : headers,
        payload,
      }));
      const expected = concatBytes(buildEnvelope({ event_id: ID }, items));
      assertEquals(fromUtf8(squeezed(streamed.stored!)), fromUtf8(expected));
    }),
    { numRuns: 200 },
  );
});

Deno.test("Unreal reports and dumps alone: streamed or held, what is stored is the body", async () => {
  await fc.assert(
    fc.asyncProperty(content, dumped, cuts, encodings, async (report, { content, dump }, cuts, encoding) => {
      const encode = ENCODERS[encoding]!;
      const unreal: Upload = { endpoint: "unreal", contentType: "", body: encode(report), encoding };
      const raw = "application/octet-stream";
      const minidump: Upload = { endpoint: "minidump", contentType: raw, body: encode(content), encoding };
      for (const [upload, payload] of [[unreal, report], [minidump, dump]] as const) {
        const held = await run(upload);
        const streamed = await run(upload, () => cuts.next().value!);
        const isRefused = payload.length === 0;
        assertEquals(comparable(streamed, !isRefused), comparable(held, !isRefused));
        assertEquals(held.status, isRefused ? 400 : 200);
        if (isRefused) return;
        const { items: [item], headers } = parseEnvelope(streamed.stored!);
        const stored = streamed.stored!.subarray(item!.payloadStart, item!.payloadEnd);
        assertEquals([...stored], [...payload]);
        if (upload === unreal) assertEquals(headers.unreal_user_id, "a");
      }
    }),
    { numRuns: 200 },
  );
});

const file = (name: string, content: Uint8Array | string, filename: string | null = "f"): FormPart => ({
  name,
  filename,
  contentType: null,
  content: typeof content === "string" ? utf8(content) : content,
});
const dump = (content: Uint8Array | string) => file("upload_file_minidump", content);
const bytes = (length: number) => new Uint8Array(length);
const huge = concatBytes([utf8("MDMP"), bytes(FILE_BYTES_MAX)]);

// deno-fmt-ignore
const REFUSED: readonly (readonly [name: string, parts: readonly FormPart[], status: number, answer: RegExp])[] = [
  ["no dump", [file("a", "1")], 400, /missing minidump/],
  ["a dump that is no file", [file("upload_file_minidump", DUMP, null)], 400, /missing minidump/],
  ["a file that is no dump", [dump("hello")], 400, /invalid minidump/],
  ["an empty dump", [dump("")], 400, /invalid minidump/],
  ["a container of something else", [dump(zlib.gzipSync("hello"))], 400, /invalid minidump/],
  ["a form without a dump in the dump", [dump(form([file("a", "1")], "in"))], 400, /invalid minidump/],
  ["a form cut short in the dump", [dump(form([dump(DUMP)], "in").subarray(0, -6))], 400, /invalid multipart data/],
  ["a damaged gzip", [dump(zlib.gzipSync(DUMP).subarray(0, -5))], 400, /invalid compression container/],
  ["a damaged xz", [dump(DUMP_XZ.subarray(0, 40))], 400, /invalid compression container/],
  ["a damaged bzip2", [dump(DUMP_BZ2.subarray(0, 40))], 400, /invalid compression container/],
  ["a dump that inflates to too much", [dump(zlib.gzipSync(huge))], 413, /^length limit exceeded$/],
  ["a file beyond its limit", [dump(DUMP), file("x", bytes(FILE_BYTES_MAX + 1))], 413, /field 'x' exceeded the size limit/],
  ["a dump beyond its limit", [dump(huge)], 413, /field 'upload_file_minidump' exceeded the size limit/],
  ["files beyond their limit", [dump(DUMP), file("x", bytes(2000)), file("y", bytes(2000)), file("z", bytes(2000))], 413, /stream exceeded the size limit/],
  ["both limits, that of all first", [dump(DUMP), file("x", bytes(2000)), file("y", bytes(1500)), file("z", bytes(2049))], 413, /stream exceeded the size limit/],
  ["an event that cannot be read", [dump(DUMP), file("__sentry-event", "{}")], 400, /invalid messagepack data/],
  ["a field without a colon in its headers", [dump(DUMP), file("a", "1", 'f"\r\nnonsense')], 400, /invalid multipart data/],
];

Deno.test("crash reports: streamed or held, they are refused with the same words, and nothing is left", async (test) => {
  for (const [name, parts, status, answer] of REFUSED) {
    await test.step(name, async () => {
      for (const encoding of ENCODINGS) {
        const body = ENCODERS[encoding]!(form(parts, BOUNDARY));
        const upload: Upload = { endpoint: "minidump", contentType: FORM, body, encoding };
        const held = await run(upload);
        assertEquals([held.status, held.stored], [status, null]);
        assert(answer.test(held.body), held.body);
        for (const length of [1, 13, 1000, Infinity]) {
          assertEquals(comparable(await run(upload, () => length), false), comparable(held, false));
        }
      }
    });
  }
});

Deno.test("crash reports: one that is cut short anywhere, or breaks off, is refused and leaves nothing", async () => {
  const inner = form([dump(zlib.gzipSync(DUMP))], "in");
  const body = form([file("a", "1", null), dump(inner), file("log", "line\r\n--b")], BOUNDARY);
  const end = body.length - "\r\n".length;
  for (let length = 0; length < end; length++) {
    const upload: Upload = { endpoint: "minidump", contentType: FORM, body: body.subarray(0, length) };
    const held = await run(upload);
    assertEquals([held.status, held.stored], [400, null], `${length}`);
    assertEquals(comparable(await run(upload, () => 5), false), comparable(held, false), `${length}`);
    const broken = await run({ ...upload, isBroken: true }, () => 5);
    assertEquals([broken.status, broken.stored], [400, null]);
  }
  const whole: Upload = { endpoint: "minidump", contentType: FORM, body: body.subarray(0, end) };
  assertEquals((await run(whole, () => 5)).status, 200);
});

Deno.test("crash reports: the id they bring along is put in its place, wherever it stands", async () => {
  const payload = concatBytes([
    Uint8Array.of(0x81, 0xa8),
    utf8("event_id"),
    Uint8Array.of(0xd9, 32),
    utf8(ID),
  ]);
  const ids = [file("sentry[event_id]", ID, null), file("sentry", `{"event_id":"${ID}"}`, null)];
  for (const part of [...ids, file("__sentry-event", payload)]) {
    for (const parts of [[part, dump(DUMP)], [dump(DUMP), part]]) {
      const upload: Upload = { endpoint: "minidump", contentType: FORM, body: form(parts, BOUNDARY) };
      const results = [await run(upload), await run(upload, () => 9)];
      for (const { body, stored } of results) {
        assertEquals([body.replaceAll("-", ""), parseEnvelope(stored!).eventId], [ID, ID]);
      }
      assertEquals(comparable(results[1]!, false), comparable(results[0]!, false));
    }
  }
});
