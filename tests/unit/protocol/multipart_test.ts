import { assert, assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { concatBytes, fromUtf8, utf8 } from "../../../src/core/bytes.ts";
import {
  embeddedBoundary,
  FRAME_BYTES_MAX,
  multipartBoundary,
  type PartHead,
} from "../../../src/protocol/multipart.ts";
import { MultipartScanner } from "../../../src/protocol/multipart_scanner.ts";
import { RequestError } from "../../../src/protocol/request_error.ts";
import { referenceMultipart } from "../../support/reference_multipart.ts";

interface Part extends PartHead {
  readonly body: Uint8Array;
}

/** The parts of a body that passes in pieces of the lengths that `next` says; its memory is used again for each. */
function parseMultipart(bytes: Uint8Array, boundary: string, next: () => number = () => Infinity): Part[] {
  const scanner = new MultipartScanner(boundary);
  const parts: { head: PartHead; data: Uint8Array[]; isWhole: boolean }[] = [];
  const take = (
    events: Iterable<ReturnType<MultipartScanner["push"]> extends Iterable<infer E> ? E : never>,
  ) => {
    for (const event of events) {
      if (event.kind === "part") parts.push({ head: event.head, data: [], isWhole: false });
      else if (event.kind === "data") parts.at(-1)!.data.push(event.bytes.slice());
      else parts.at(-1)!.isWhole = true;
    }
  };
  for (let at = 0; at < bytes.length;) {
    const piece = bytes.slice(at, at + Math.max(1, next()));
    take(scanner.push(piece));
    at += piece.length;
    piece.fill(0xee);
  }
  take(scanner.finish());
  assert(parts.every(({ isWhole }) => isWhole));
  return parts.map(({ head, data }) => ({ ...head, body: concatBytes(data) }));
}

const readable = ({ name, filename, contentType, body }: Part) => [
  name,
  filename,
  contentType,
  fromUtf8(body),
];
const parse = (text: string, boundary = "b") => parseMultipart(utf8(text), boundary).map(readable);
const part = (headers: string, body: string) => `--b\r\n${headers}\r\n\r\n${body}\r\n`;
const field = 'Content-Disposition: form-data; name="a"';

// deno-fmt-ignore
const ACCEPTED: readonly [string, string, readonly unknown[]][] = [
  ["fields and files in their order", part(field, "1") + part('Content-Disposition: form-data; name="f"; filename="x.dmp"\r\nContent-Type: application/octet-stream', "2") + "--b--\r\n", [["a", null, null, "1"], ["f", "x.dmp", "application/octet-stream", "2"]]],
  ["no line end after the last delimiter", part(field, "1") + "--b--", [["a", null, null, "1"]]],
  ["text before and after", `hello\r\n${part(field, "1")}--b--\r\nbye\r\n${part(field, "2")}`, [["a", null, null, "1"]]],
  ["nothing but the last delimiter", "--b--\r\n", []],
  ["spaces after a delimiter", `--b \t\r\n${field}\r\n\r\n1\r\n--b--`, [["a", null, null, "1"]]],
  ["a part without headers", "--b\r\n\r\n1\r\n--b--", [[null, null, null, "1"]]],
  ["an empty part", part(field, "") + "--b--", [["a", null, null, ""]]],
  ["an empty part without its own line end", `--b\r\n${field}\r\n\r\n--b--`, [["a", null, null, ""]]],
  ["line ends in data", part(field, "1\r\n\r\n\r\n2\n3\r") + "--b--", [["a", null, null, "1\r\n\r\n\r\n2\n3\r"]]],
  ["a line that only begins like a delimiter", part(field, "1\r\n--bc\r\n--b-\r\n-- b") + "--b--", [["a", null, null, "1\r\n--bc\r\n--b-\r\n-- b"]]],
  ["a delimiter in the middle of a line", part(field, "1--b\r\n2") + "--b--", [["a", null, null, "1--b\r\n2"]]],
  ["headers of any case and order", part("content-TYPE: text/plain\r\nX-Other: 1\r\nCONTENT-disposition: form-data; NAME=a", "1") + "--b--", [["a", null, "text/plain", "1"]]],
  ["a folded header", part('Content-Disposition: form-data;\r\n name="a"', "1") + "--b--", [["a", null, null, "1"]]],
  ["a quoted name with quotes, backslashes and semicolons", part(String.raw`Content-Disposition: form-data; name="a\"b\\c; d=\e"`, "1") + "--b--", [[String.raw`a"b\c; d=\e`, null, null, "1"]]],
  ["percent signs stay", part('Content-Disposition: form-data; name="a%22b"; filename="%0a"', "1") + "--b--", [["a%22b", "%0a", null, "1"]]],
  ["a name in UTF-8", part('Content-Disposition: form-data; name="größe"', "1") + "--b--", [["größe", null, null, "1"]]],
  ["an extended file name wins", part("Content-Disposition: form-data; name=a; filename=\"x\"; filename*=UTF-8'en'na%C3%AFve.txt", "1") + "--b--", [["a", "naïve.txt", null, "1"]]],
  ["an extended file name that cannot be read", part("Content-Disposition: form-data; name=a; filename=\"x\"; filename*=UTF-8''%ff", "1") + "--b--", [["a", "x", null, "1"]]],
  ["an empty file name is one", part('Content-Disposition: form-data; name="a"; filename=""', "1") + "--b--", [["a", "", null, "1"]]],
  ["a file name with a Windows path", part(String.raw`Content-Disposition: form-data; name="a"; filename="C:\dir\x.dmp"`, "1") + "--b--", [["a", String.raw`C:\dir\x.dmp`, null, "1"]]],
  ["the first of two names", part("Content-Disposition: form-data; name=a; name=b", "1") + "--b--", [["a", null, null, "1"]]],
  ["a file without a name", part('Content-Disposition: form-data; filename="x"', "1") + "--b--", [[null, "x", null, "1"]]],
];

// deno-fmt-ignore
const REFUSED: readonly [string, string][] = [
  ["an empty body", ""],
  ["no delimiter", "hello"],
  ["another boundary", "--c\r\n\r\n1\r\n--c--"],
  ["not closed", part(field, "1")],
  ["cut short in data", `--b\r\n${field}\r\n\r\n1`],
  ["cut short in headers", `--b\r\n${field}`],
  ["cut short in the last delimiter", part(field, "1") + "--b-"],
  ["line feeds alone", `--b\n${field}\n\n1\n--b--\n`],
  ["a header without a colon", part("nonsense", "1") + "--b--"],
  ["too many parts", "--b\r\n\r\n\r\n".repeat(FRAME_BYTES_MAX / 4) + "--b--"],
  ["a header without an end", `--b\r\nX: ${"x".repeat(FRAME_BYTES_MAX)}\r\n\r\n\r\n--b--`],
];

Deno.test("MultipartScanner takes what real senders send: section 1.3", async (test) => {
  for (const [name, text, expected] of ACCEPTED) {
    await test.step(name, () => {
      assertEquals(parse(text), expected as ReturnType<typeof parse>);
      assertEquals(
        parseMultipart(utf8(text), "b", () => 1).map(readable),
        expected as ReturnType<typeof parse>,
      );
    });
  }
});

Deno.test("MultipartScanner refuses bodies that are not framed as they should be: section 1.3", async (test) => {
  for (const [name, text] of REFUSED) {
    await test.step(name, () => {
      for (const bytes of [Infinity, 1, 1000]) {
        const attempt = () => parseMultipart(utf8(text), "b", () => bytes);
        const error = assertThrows(attempt, RequestError, "invalid multipart data");
        assertEquals([error.status, error.reason], [400, "invalid_multipart"]);
      }
    });
  }
});

Deno.test("multipartBoundary finds the boundary whatever way it is written", () => {
  for (
    const [header, expected] of [
      ["multipart/form-data; boundary=abc", "abc"],
      ['Multipart/Form-Data;charset=utf-8;BOUNDARY="a; b"', "a; b"],
      ["multipart/form-data; boundary=---Multi-x---", "---Multi-x---"],
      ["multipart/form-data; boundary=abc ; x=y", "abc"],
    ] as const
  ) assertEquals(multipartBoundary(header), expected);
  for (
    const header of [
      null,
      "",
      "text/plain",
      "multipart/form-data",
      "multipart/form-data; boundary=",
      "a;boundary=b",
    ]
  ) assertThrows(() => multipartBoundary(header), RequestError, "invalid multipart data");
});

Deno.test("embeddedBoundary knows a body by its first line", () => {
  for (
    const [text, expected] of [
      ["--abc\r\nContent-Disposition: x", "abc"],
      ["--abc", null],
      ["--\r\n", null],
      ["MDMP--abc\r\n", null],
      ["", null],
      [`--${"x".repeat(300)}\r\n`, null],
    ] as const
  ) assertEquals(embeddedBoundary(utf8(text)), expected);
});

/** Lengths of the pieces that a body passes in. */
const cuts = fc.oneof(
  fc.infiniteStream(fc.constant(1000)),
  fc.infiniteStream(fc.integer({ min: 1, max: 9 })),
  fc.infiniteStream(fc.integer({ min: 1, max: 60 })),
);
const boundary = fc.string({
  unit: fc.constantFrom(..."abcXYZ019'()+_,-./:=?"),
  minLength: 1,
  maxLength: 70,
});
const headerText = fc.string({ unit: "grapheme" }).map((text) => text.replace(/[\r\n]/g, ""));
const quote = (text: string) => `"${text.replace(/(["\\])/g, "\\$1")}"`;
const parts = fc.array(
  fc.record({
    name: fc.option(headerText),
    filename: fc.option(headerText),
    contentType: fc.option(fc.constantFrom("text/plain", "application/x-dmp", "a/b; c=d")),
    body: fc.oneof(
      fc.uint8Array({ maxLength: 60 }),
      fc.string({ unit: fc.constantFrom(..."\r\n-ab") }).map(utf8),
    ),
  }),
  { maxLength: 6 },
);

function serialise(parts: readonly Part[], boundary: string): Uint8Array<ArrayBuffer> {
  const chunks: Uint8Array[] = [];
  for (const { name, filename, contentType, body } of parts) {
    const parameters = Object.entries({ name, filename })
      .map(([key, value]) => value === null ? "" : `; ${key}=${quote(value)}`).join("");
    const type = contentType === null ? "" : `Content-Type: ${contentType}\r\n`;
    chunks.push(utf8(`--${boundary}\r\nContent-Disposition: form-data${parameters}\r\n${type}\r\n`));
    chunks.push(body, utf8("\r\n"));
  }
  chunks.push(utf8(`--${boundary}--\r\n`));
  return Uint8Array.from(chunks.flatMap((chunk) => [...chunk]));
}

const latin1 = (bytes: Uint8Array) => Array.from(bytes, (byte) => String.fromCharCode(byte)).join("");

Deno.test("MultipartScanner gives back the parts that were put into a body", () => {
  fc.assert(
    fc.property(parts, boundary, cuts, (parts, boundary, cuts) => {
      fc.pre(parts.every(({ body }) => !latin1(body).includes(`--${boundary}`)));
      const parsed = parseMultipart(serialise(parts, boundary), boundary, () => cuts.next().value!);
      assertEquals(
        parsed.map((part) => ({ ...part, body: [...part.body] })),
        parts.map((part) => ({ ...part, body: [...part.body] })),
      );
    }),
    { numRuns: 500 },
  );
});

const token = fc.constantFrom(
  "\r\n",
  "--b",
  "--",
  "\r",
  "\n",
  " ",
  "--b--",
  "\r\n--b\r\n",
  "\r\n\r\n",
  ":",
  "x",
).map(utf8);

/** A body and what damage may have come to it. */
const mutated = fc.tuple(
  parts.map((parts) => serialise(parts, "b")),
  fc.array(fc.tuple(fc.nat(), fc.nat(4), token), { maxLength: 4 }),
).map(([bytes, cuts]) => {
  let result = bytes;
  for (const [at, removed, inserted] of cuts) {
    const from = at % (result.length + 1);
    result = Uint8Array.from([...result.subarray(0, from), ...inserted, ...result.subarray(from + removed)]);
  }
  return result;
});

Deno.test("MultipartScanner finds the bodies a simple parser finds, also in damaged input", () => {
  fc.assert(
    fc.property(mutated, cuts, (bytes, cuts) => {
      const expected = referenceMultipart(latin1(bytes), "b");
      const outcome = (next: () => number): unknown => {
        try {
          return parseMultipart(bytes, "b", next).map(({ body }) => latin1(body));
        } catch (error) {
          if (!(error instanceof RequestError)) throw error;
          return error.toBody();
        }
      };
      const actual = outcome(() => Infinity);
      // However it is cut, it is said in the same words.
      assertEquals(outcome(() => cuts.next().value!), actual);
      if (typeof actual === "string" && actual.includes("malformed header of a field")) return;
      assertEquals(typeof actual === "string" ? null : actual, expected?.map(({ body }) => body) ?? null);
    }),
    { numRuns: 3000 },
  );
});

Deno.test("MultipartScanner works in linear time, however small the pieces of what is incomplete", () => {
  const blanks = `--b${" ".repeat(FRAME_BYTES_MAX - 10)}`;
  const headers = `--b\r\nX: ${"x".repeat(FRAME_BYTES_MAX - 20)}`;
  for (const text of [blanks, headers]) {
    const scanner = new MultipartScanner("b");
    const copied = countCopiedBytes(() => {
      for (const byte of utf8(text)) assertEquals([...scanner.push(Uint8Array.of(byte))], []);
    });
    assert(copied < 8 * FRAME_BYTES_MAX, `${copied}`);
    assertThrows(() => [...scanner.finish()], RequestError);
  }
});

/** Bytes that are copied from array to array meanwhile. */
function countCopiedBytes(work: () => void): number {
  const { set } = Uint8Array.prototype;
  let copied = 0;
  Uint8Array.prototype.set = function (source, at) {
    copied += source.length;
    set.call(this, source, at);
  };
  try {
    work();
  } finally {
    Uint8Array.prototype.set = set;
  }
  return copied;
}

Deno.test("MultipartScanner and its helpers throw nothing but RequestError on random bytes", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), fc.string(), (bytes, text) => {
      for (const attempt of [() => parseMultipart(bytes, "b"), () => multipartBoundary(text)]) {
        try {
          attempt();
        } catch (error) {
          if (!(error instanceof RequestError)) throw error;
        }
      }
      embeddedBoundary(bytes);
    }),
    { numRuns: 2000 },
  );
});
