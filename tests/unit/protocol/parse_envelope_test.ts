import { assertEquals, assertThrows } from "@std/assert";
import { utf8 } from "../../../src/core/bytes.ts";
import {
  HEADER_BYTES_MAX,
  needsEventId,
  parseEnvelope,
  parseEnvelopeHeader,
} from "../../../src/protocol/envelope.ts";
import { RequestError } from "../../../src/protocol/request_error.ts";

const ID = "9ec79c33ec9942ab8353589fcb2e04dc";
const KEY = "a0b1c2d3e4f5a0b1c2d3e4f5a0b1c2d3";

function payloadsOf(text: string): string[] {
  return parseEnvelope(utf8(text)).items.map((item) =>
    new TextDecoder().decode(utf8(text).subarray(item.payloadStart, item.payloadEnd))
  );
}

function refusal(run: () => unknown): { status: number; body: string | null; reason: string } {
  const error = assertThrows(run, RequestError);
  return { status: error.status, body: error.toBody(), reason: error.reason };
}

/** Framing that is accepted: section 3.1. */
const ACCEPTED: readonly (readonly [string, string, readonly string[]])[] = [
  ["header only", "{}", []],
  ["header only, with newline", "{}\n", []],
  ["white space before the header", " \t\r\n{}\n", []],
  ["newlines inside the header", '{\n"a":\n1}\n{"type":"x"}\nabc', ["abc"]],
  ["length", '{}\n{"type":"x","length":3}\na\nb\n', ["a\nb"]],
  ["length null", '{}\n{"type":"x","length":null}\nabc\n', ["abc"]],
  ["no length, last newline omitted", '{}\n{"type":"x"}\nabc', ["abc"]],
  ["length, last newline omitted", '{}\n{"type":"x","length":3}\nabc', ["abc"]],
  ["carriage return stays in a payload without length", '{}\n{"type":"x"}\nabc\r\n', ["abc\r"]],
  ["empty payloads", '{}\n{"type":"x","length":0}\n\n{"type":"x"}\n\n', ["", ""]],
  ["item header at the end, no newline", '{}\n{"type":"x"}', [""]],
  ["item header at the end, length 0", '{}\n{"type":"x","length":0}', [""]],
  ["item header at the end, with newline", '{}\n{"type":"x"}\n', [""]],
  ["blank lines before an item header", '{}\n\n \n{"type":"x"}\nabc\n', ["abc"]],
  ["binary payload with brackets", '{}\n{"type":"x","length":5}\n{"}"\n\n{"type":"y"}\n}\n', ['{"}"\n', "}"]],
  ["braces and escaped quotes in header strings", '{"a":"}\\"{"}\n{"type":"x"}\n\n', [""]],
  ["unknown keys twice", '{"z":1,"z":2}\n{"type":"x","z":1,"z":2}\n\n', [""]],
  ["127 levels", `{"a":${"[".repeat(126)}${"]".repeat(126)}}`, []],
];

for (const [name, text, payloads] of ACCEPTED) {
  Deno.test(`parseEnvelope: section 3.1, accepts ${name}`, () =>
    assertEquals(payloadsOf(text), [...payloads]));
}

/** Framing that is refused: section 3.1. The cause is the first one. */
const REFUSED: readonly (readonly [string, string, string])[] = [
  ["nothing but white space", " \n", "missing envelope header"],
  ["CRLF after the header", "{}\r\n", "missing newline after header or payload"],
  ["space after the header", "{} \n", "missing newline after header or payload"],
  ["CRLF after an item header", '{}\n{"type":"x"}\r\nabc\n', "missing newline after header or payload"],
  [
    "payload longer than its length",
    '{}\n{"type":"x","length":2}\nabc\n',
    "missing newline after header or payload",
  ],
  ["payload shorter than its length", '{}\n{"type":"x","length":9}\nabc\n', "unexpected end of file"],
  ["item header at the end with a length", '{}\n{"type":"x","length":1}', "unexpected end of file"],
  ["a second trailing newline", '{}\n{"type":"x"}\nabc\n\n', "unexpected end of file"],
  ["a newline after a header-only envelope", "{}\n\n", "unexpected end of file"],
  ["array as header", "[]\n", "invalid envelope header"],
  ["text as header", "hello\n", "invalid envelope header"],
  ["byte order mark", "\ufeff{}\n", "invalid envelope header"],
  ["unterminated header", '{"a":"}', "invalid envelope header"],
  ["backslash at the end", '{"a":"\\', "invalid envelope header"],
  ["broken JSON", '{"a":]}\n', "invalid envelope header"],
  ["trailing comma", '{"a":1,}\n', "invalid envelope header"],
  ["half a surrogate pair", '{"a":"\\ud800"}\n', "invalid envelope header"],
  ["half a surrogate pair in a key", '{"\\udc00":1}\n', "invalid envelope header"],
  ["128 levels", `{"a":${"[".repeat(127)}${"]".repeat(127)}}`, "invalid envelope header"],
  ["a hundred thousand levels", `{"a":${"[".repeat(100_000)}`, "invalid envelope header"],
  ["payload where an item header belongs", "{}\nabc\n", "invalid item header"],
  ["item header without type", '{}\n{"length":0}\n\n', "invalid item header"],
];

for (const [name, text, cause] of REFUSED) {
  Deno.test(`parseEnvelope: section 3.1, refuses ${name}`, () => {
    const error = assertThrows(() => parseEnvelope(utf8(text)), RequestError);
    assertEquals(error.status, 400);
    assertEquals(error.reason, "invalid_envelope");
    assertEquals(error.body.kind === "json" && [error.body.detail, error.body.causes[0]], [
      "invalid event envelope",
      cause,
    ]);
  });
}

/** Wrong values of known keys: sections 3.2 and 3.3. */
const HEADERS: readonly (readonly [string, boolean])[] = [
  [`"event_id":"${ID}"`, true],
  ['"event_id":"9EC79C33-ec99-42ab-8353-589fcb2e04dc"', true],
  ['"event_id":null', true],
  ['"event_id":"9ec79c33"', false],
  ['"event_id":"9ec79c33ec99-42ab-8353-589fcb2e04dc"', false],
  ['"event_id":7', false],
  [`"dsn":"https://${KEY}@sentry.io/42"`, true],
  ['"dsn":null', true],
  ['"dsn":"https://short@sentry.io/42"', false],
  [`"dsn":"https://${KEY}@sentry.io/"`, false],
  ['"dsn":7', false],
  ['"client":"a/1"', true],
  ['"client":null', true],
  ['"client":7', false],
  ['"version":7', true],
  ['"version":"7"', false],
  ['"version":65536', false],
  ['"version":null', false],
  ['"origin":"http://valid.com"', true],
  ['"origin":"valid"', false],
  ['"remote_addr":"::1"', true],
  ['"remote_addr":"localhost"', false],
  ['"forwarded_for":"a, b"', true],
  ['"forwarded_for":null', false],
  ['"user_agent":null', true],
  ['"user_agent":[]', false],
  ['"no_cache":true', true],
  ['"no_cache":1', false],
  ['"client_hints":{"sec_ch_ua":"x","other":1}', true],
  ['"client_hints":{"sec_ch_ua":1}', false],
  ['"client_hints":[]', false],
  ['"retention":90', true],
  ['"retention":-1', false],
  ['"downsampled_retention":30', true],
  ['"downsampled_retention":"30"', false],
  ['"client_hints":{}', true],
  ['"client_hints":{"sec_ch_ua_platform":null,"sec_ch_ua_platform_version":"1","sec_ch_ua_model":"x"}', true],
  ['"sent_at":"2026-01-31T23:59:60.123456Z"', true],
  ['"sent_at":"2026-01-31 23:59:59+02:00"', true],
  ['"sent_at":null', true],
  ['"sent_at":"yesterday"', false],
  ['"sent_at":"2026-13-01T00:00:00Z"', false],
  ['"sent_at":"2026-01-31T23:59:59"', false],
  ['"sent_at":1767225600', false],
  ['"trace":"anything"', true],
  ['"trace":{"trace_id":7}', true],
  ['"required_features":["a"]', true],
  ['"required_features":[1]', false],
  ['"sdk":1', true],
  ['"sent_at":null,"sent_at":null', false],
  ['"sent_at":null,"\\u0073ent_at":null', false],
];

for (const [pair, isValid] of HEADERS) {
  Deno.test(`parseEnvelope: section 3.2, {${pair}} is ${isValid ? "valid" : "refused"}`, () => {
    const parse = () => parseEnvelopeHeader(utf8(`{${pair}}\nwhatever follows`));
    if (isValid) return void parse();
    const error = assertThrows(parse, RequestError);
    assertEquals(error.body.kind === "json" && error.body.causes[0], "invalid envelope header");
    assertEquals(error.body.kind === "json" && error.body.causes.length, 2);
  });
}

const ITEM_HEADERS: readonly (readonly [string, boolean])[] = [
  ['"type":"event"', true],
  ['"type":"Event"', true],
  ['"type":7', false],
  ['"type":null', false],
  ['"type":"x","type":"x"', false],
  ['"type":"x","length":"0"', false],
  ['"type":"x","length":-1', false],
  ['"type":"x","length":0.5', false],
  ['"type":"x","length":4294967296', false],
  ['"type":"x","length":0,"length":0', false],
  ['"type":"x","item_count":3', true],
  ['"type":"x","item_count":"3"', false],
  ['"type":"x","attachment_type":"whatever","content_type":"nonsense"', true],
  ['"type":"x","attachment_type":7', false],
  ['"type":"x","filename":7', false],
  ['"type":"x","platform":null', true],
  ['"type":"x","routing_hint":"no uuid"', false],
  ['"type":"x","metrics_extracted":null', false],
  ['"type":"x","sampled":false', true],
  ['"type":"x","span_id":null', true],
  ['"type":"x","span_id":7', false],
  ['"type":"x","spans_extracted":true', true],
  ['"type":"x","spans_extracted":1', false],
  ['"type":"x","fully_normalized":false', true],
  ['"type":"x","fully_normalized":"false"', false],
  ['"type":"x","sampled":null', false],
  ['"type":"x","span_count":3', true],
  ['"type":"x","span_count":-3', false],
  ['"type":"x","meta_length":4', true],
  ['"type":"x","meta_length":0.5', false],
  ['"type":"x","attachment_length":4', true],
  ['"type":"x","attachment_length":"4"', false],
  ['"type":"x","routing_hint":"9ec79c33-ec99-42ab-8353-589fcb2e04dc"', true],
  ['"type":"x","item_count":null', true],
  ['"type":"x","item_count":4294967296', false],
  ['"type":"x","content_type":7', false],
  ['"type":"x","platform":7', false],
  ['"type":"x","other":{"deep":[1]}', true],
];

for (const [pairs, isValid] of ITEM_HEADERS) {
  Deno.test(`parseEnvelope: section 3.3, {${pairs}} is ${isValid ? "valid" : "refused"}`, () => {
    const parse = () => parseEnvelope(utf8(`{}\n{${pairs}}\n\n`));
    if (isValid) return void parse();
    const error = assertThrows(parse, RequestError);
    assertEquals(error.body.kind === "json" && error.body.causes[0], "invalid item header");
  });
}

Deno.test("parseEnvelope: section 3.1, an empty body is refused as such", () => {
  assertEquals(refusal(() => parseEnvelope(new Uint8Array(0))), {
    status: 400,
    body: '{"detail":"empty request body"}',
    reason: "empty_body",
  });
});

Deno.test("parseEnvelope: section 3.4, internal items are refused", () => {
  assertEquals(refusal(() => parseEnvelope(utf8('{}\n{"type":"integration"}\n\n'))), {
    status: 400,
    body: '{"detail":"envelope contains internal items"}',
    reason: "internal_envelope",
  });
});

Deno.test("parseEnvelope: the causes name the key and what it should hold", () => {
  assertEquals(
    refusal(() => parseEnvelope(utf8('{}\n{"type":"x","length":"3"}\n\n'))).body,
    '{"detail":"invalid event envelope","causes":["invalid item header",' +
      '"invalid value: string \\"3\\", expected u32 for `length`"]}',
  );
  assertEquals(
    refusal(() => parseEnvelope(utf8('{"event_id":null,"event_id":null}'))).body,
    '{"detail":"invalid event envelope","causes":["invalid envelope header","duplicate field `event_id`"]}',
  );
});

Deno.test("parseEnvelope: invalid UTF-8 is refused in headers and kept in payloads", () => {
  const bytes = utf8('{"a":"b"}\n{"type":"x"}\nb\n');
  const inPayload = bytes.with(bytes.lastIndexOf(0x62), 0xff);
  assertEquals(parseEnvelope(inPayload).items.length, 1);
  const inHeader = bytes.with(6, 0xff);
  assertThrows(() => parseEnvelope(inHeader), RequestError, "invalid event envelope");
});

Deno.test("parseEnvelope: event ids are normalised, header and DSN are kept as sent", () => {
  const head =
    `{"event_id":"9EC79C33-EC99-42AB-8353-589FCB2E04DC","dsn":"https://${KEY}:secret@host:8443/prefix/042"}`;
  const envelope = parseEnvelope(utf8(` ${head}\n`));
  assertEquals(envelope.eventId, ID);
  assertEquals(envelope.dsn, { scheme: "https", key: KEY, host: "host", port: 8443, projectId: "42" });
  assertEquals(envelope.headers, JSON.parse(head));
  assertEquals([envelope.headerStart, envelope.headerEnd], [1, 1 + head.length]);
});

Deno.test("needsEventId: section 3.2, asked for by items that require an event and by nothing else", () => {
  const needs = (text: string) => needsEventId(parseEnvelope(utf8(text)));
  assertEquals(needs('{}\n{"type":"event"}\n{}\n'), true);
  assertEquals(needs('{}\n{"type":"session"}\n{}\n{"type":"attachment"}\n\n'), true);
  assertEquals(needs(`{"event_id":"${ID}"}\n{"type":"event"}\n{}\n`), false);
  assertEquals(needs('{}\n{"type":"session"}\n{}\n{"type":"future"}\n\n'), false);
  assertEquals(needs("{}"), false);
});

Deno.test("parseEnvelope: all headers together are bounded, however many items they are spread over", () => {
  const headersOf = (bytes: number, each: number) => {
    const header = `${
      JSON.stringify({ type: "x", a: "" }).padEnd(each - 1, "z").replace(/""}(z*)$/, '"$1"}')
    }\n`;
    return utf8(`{"a":1}\n${`${header}\n`.repeat((bytes - 7) / each)}`);
  };
  for (const each of [29, 1000, HEADER_BYTES_MAX - 7]) {
    const fitting = Math.floor((HEADER_BYTES_MAX - 7) / each) * each + 7;
    assertEquals(parseEnvelope(headersOf(fitting, each)).items.length, (fitting - 7) / each);
    assertEquals(refusal(() => parseEnvelope(headersOf(fitting + each, each))), {
      status: 400,
      body: '{"detail":"invalid event envelope","causes":["invalid item header","too long"]}',
      reason: "invalid_envelope",
    });
  }
});

Deno.test("parseEnvelope: a header above the bound is refused without being parsed", () => {
  const text = `{"a":"${"x".repeat(HEADER_BYTES_MAX)}"}\n`;
  assertEquals(
    refusal(() => parseEnvelope(utf8(text))).body,
    '{"detail":"invalid event envelope","causes":["invalid envelope header","too long"]}',
  );
});
