import { assert, assertEquals, assertThrows } from "@std/assert";
import * as fc from "fast-check";
import { ResponseParser } from "../../../src/upstream/response_parser.ts";
import { UpstreamError } from "../../../src/upstream/upstream_error.ts";

const LIMITS = { headBytesMax: 1024, bodyBytesMax: 2048 };
const encoder = new TextEncoder();
const decoder = new TextDecoder();

interface Parsed {
  status: number;
  fields: readonly string[];
  body: string;
  keepAlive: boolean;
  /** Bytes after the answer. */
  surplus: number;
}

/** Feeds pieces one after the other, and the end of the stream after them. */
function parse(pieces: readonly Uint8Array[], limits = LIMITS): Parsed | null {
  const parser = new ResponseParser(limits);
  let surplus = 0;
  for (const piece of pieces) surplus += piece.length - (parser.done ? 0 : parser.feed(piece));
  parser.end();
  if (!parser.done) return null;
  const { status, fields } = parser.head!;
  return { status, fields, body: decoder.decode(parser.body()), keepAlive: parser.keepAlive, surplus };
}

function parseText(text: string, limits = LIMITS): Parsed | null {
  return parse([encoder.encode(text)], limits);
}

const ANSWERS: readonly (readonly [string, string, Partial<Parsed>])[] = [
  ["a Content-Length", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", {
    status: 200,
    body: "hello",
    keepAlive: true,
  }],
  ["no body", "HTTP/1.1 202 Accepted\r\ncontent-length:0\r\n\r\n", {
    status: 202,
    body: "",
    keepAlive: true,
  }],
  ["no reason phrase", "HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", { status: 200 }],
  ["204", "HTTP/1.1 204 No Content\r\nContent-Length: 9\r\n\r\n", { status: 204, body: "", keepAlive: true }],
  ["304", "HTTP/1.1 304 Not Modified\r\n\r\n", { status: 304, body: "", keepAlive: true }],
  [
    "chunks",
    'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nwiki\r\nA;x="y"\r\n0123456789\r\n0\r\n\r\n',
    {
      body: "wiki0123456789",
      keepAlive: true,
    },
  ],
  ["trailers", "HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n1\r\na\r\n0\r\nX: y\r\nZ: \r\n\r\n", {
    body: "a",
  }],
  ["close-delimited", "HTTP/1.1 200 OK\r\nServer: x\r\n\r\nall of it", {
    body: "all of it",
    keepAlive: false,
  }],
  ["HTTP/1.0", "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", { body: "ok", keepAlive: false }],
  ["HTTP/1.0 keep-alive", "HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\nContent-Length: 2\r\n\r\nok", {
    keepAlive: true,
  }],
  ["Connection: close", "HTTP/1.1 413 Too Large\r\nConnection: foo, Close\r\nContent-Length: 0\r\n\r\n", {
    status: 413,
    keepAlive: false,
  }],
  [
    "interim answers",
    "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n!",
    { status: 200, body: "!", fields: ["content-length", "1"] },
  ],
  ["equal lengths twice", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n!", {
    body: "!",
  }],
  ["both framings", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", {
    body: "",
    keepAlive: false,
  }],
  ["surplus bytes", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n!more", { body: "!", surplus: 4 }],
];

for (const [name, text, expected] of ANSWERS) {
  Deno.test(`ResponseParser reads an answer with ${name}, wherever it is split`, () => {
    const bytes = encoder.encode(text);
    const whole = parse([bytes]);
    assert(whole);
    assertEquals({ ...whole, ...expected }, whole);
    for (let i = 0; i <= bytes.length; i++) {
      assertEquals(parse([bytes.subarray(0, i), bytes.subarray(i)]), whole, `split at ${i}`);
    }
    assertEquals(parse([...bytes].map((byte) => Uint8Array.of(byte))), whole, "byte by byte");
  });
}

const INVALID: readonly (readonly [string, string])[] = [
  ["what is not HTTP", "SSH-2.0-OpenSSH_9.2\r\n"],
  ["HTTP/2", "HTTP/2 200\r\n\r\n"],
  ["a short status", "HTTP/1.1 20 OK\r\n\r\n"],
  ["status 600", "HTTP/1.1 600 What\r\n\r\n"],
  ["status 101", "HTTP/1.1 101 Switching Protocols\r\n\r\n"],
  ["bare line feeds", "HTTP/1.1 200 OK\nContent-Length: 0\r\n\r\n"],
  ["a folded header line", "HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n"],
  ["a space before the colon", "HTTP/1.1 200 OK\r\nContent-Length : 0\r\n\r\n"],
  ["a header line without colon", "HTTP/1.1 200 OK\r\nnonsense\r\n\r\n"],
  ["NUL in a header", "HTTP/1.1 200 OK\r\nA: b\0c\r\n\r\n"],
  ["a negative length", "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n"],
  ["a length in hex", "HTTP/1.1 200 OK\r\nContent-Length: 0x1\r\n\r\n"],
  ["an empty length", "HTTP/1.1 200 OK\r\nContent-Length: \r\n\r\n"],
  ["different lengths", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n"],
  ["an unknown coding", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n"],
  ["a coding in HTTP/1.0", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"],
  ["a bad chunk size", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n"],
  ["a chunk longer than its size", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n"],
  ["a chunk line ending without CR", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\na"],
  ["an overlong chunk line", `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;${"x".repeat(300)}`],
  ["a head over the limit", `HTTP/1.1 200 OK\r\nA: ${"x".repeat(1024)}\r\n\r\n`],
  ["an endless head", `HTTP/1.1 200 OK\r\nA: ${"x".repeat(1024)}`],
  ["endless interim answers", "HTTP/1.1 100 Continue\r\n\r\n".repeat(50)],
  ["endless trailers", `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n${"A: b\r\n".repeat(200)}`],
];

for (const [name, text] of INVALID) {
  Deno.test(`ResponseParser refuses ${name}, in one piece or byte by byte`, () => {
    const bytes = encoder.encode(text);
    assertEquals(assertThrows(() => parse([bytes]), UpstreamError).kind, "protocol");
    const single = [...bytes].map((byte) => Uint8Array.of(byte));
    assertEquals(assertThrows(() => parse(single), UpstreamError).kind, "protocol");
  });
}

const LARGE: readonly (readonly [string, string])[] = [
  ["a Content-Length", "HTTP/1.1 200 OK\r\nContent-Length: 2049\r\n\r\n"],
  ["chunks", `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n400\r\n${"x".repeat(1024)}\r\n401\r\n`],
  ["the end of the stream", `HTTP/1.1 200 OK\r\n\r\n${"x".repeat(2049)}`],
];

for (const [name, text] of LARGE) {
  Deno.test(`ResponseParser refuses a body over the limit framed by ${name}`, () => {
    assertEquals(assertThrows(() => parseText(text), UpstreamError).kind, "too_large");
  });
}

Deno.test("ResponseParser has no answer as long as one is incomplete", () => {
  for (
    const text of [
      "",
      "HTTP/1.1 2",
      "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n1",
      "HTTP/1.1 100 Continue\r\n\r\n",
    ]
  ) {
    assertEquals(parseText(text), null);
  }
});

Deno.test("ResponseParser reads the next answer after a reset as if it were new", () => {
  const parser = new ResponseParser(LIMITS);
  for (const body of ["one", "three"]) {
    parser.reset();
    assert(!parser.started);
    const bytes = encoder.encode(`HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
    parser.feed(bytes.subarray(0, 7));
    parser.feed(bytes.subarray(7));
    assert(parser.done && parser.started);
    assertEquals(decoder.decode(parser.body()), body);
  }
});

Deno.test("ResponseParser finds the same body in any chunking and any splitting", () => {
  const chunks = fc.array(fc.uint8Array({ minLength: 1, maxLength: 40 }), { maxLength: 8 });
  const cuts = fc.array(fc.nat(900), { maxLength: 12 });
  fc.assert(fc.property(chunks, cuts, fc.boolean(), (chunks, cuts, isChunked) => {
    const body = chunks.flatMap((chunk) => [...chunk]);
    const text = (line: string): number[] => [...encoder.encode(line)];
    const framed = chunks.flatMap((
      chunk,
    ) => [...text(`${chunk.length.toString(16)}\r\n`), ...chunk, ...text("\r\n")]);
    const message = Uint8Array.from(
      isChunked
        ? [...text("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"), ...framed, ...text("0\r\n\r\n")]
        : [...text(`HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n`), ...body],
    );
    const parser = new ResponseParser(LIMITS);
    const marks = [
      0,
      ...cuts.map((cut) => Math.min(cut, message.length)).toSorted((a, b) => a - b),
      message.length,
    ];
    for (let i = 1; i < marks.length; i++) parser.feed(message.slice(marks[i - 1], marks[i]));
    assert(parser.done);
    assertEquals([...parser.body()], body);
  }));
});

Deno.test("ResponseParser throws nothing but UpstreamError, whatever it is fed", () => {
  const piece = fc.oneof(
    fc.uint8Array({ maxLength: 60 }),
    fc.constantFrom(...ANSWERS.map(([, text]) => encoder.encode(text))),
    fc.constantFrom(
      "HTTP/1.1 200 OK\r\n",
      "\r\n",
      "Transfer-Encoding: chunked\r\n",
      "5\r\n",
      "Content-Length: 3\r\n",
    )
      .map((text) => encoder.encode(text)),
  );
  fc.assert(fc.property(fc.array(piece, { maxLength: 6 }), (pieces) => {
    try {
      parse(pieces);
    } catch (error) {
      assert(error instanceof UpstreamError);
    }
  }));
});
