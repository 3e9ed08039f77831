import { assert, assertEquals } from "@std/assert";
import type { LogRecord } from "@logtape/logtape";
import fc from "fast-check";
import { EntryMaker } from "../../../src/telemetry/log_entry.ts";
import { formatEntry, LOG_FORMATS } from "../../../src/telemetry/log_format.ts";

const TIME = Date.UTC(2026, 0, 2, 3, 4, 5, 678);

function record(message: readonly unknown[], properties: Record<string, unknown> = {}): LogRecord {
  return {
    category: ["landfall", "spool"],
    level: "warning",
    message,
    rawMessage: "raw",
    timestamp: TIME,
    properties,
  };
}

const maker = new EntryMaker();

Deno.test("formatEntry: an entry in each form", () => {
  const entry = maker.entry(
    record(["the ", "ingest", " half died"], { lane: 1, reason: "no way", level: "x" }),
  );
  const expected = {
    simplified: '2026-01-02T03:04:05.678Z WARN spool: the ingest half died lane=1 reason="no way" level=x\n',
    pretty:
      '2026-01-02T03:04:05.678Z \x1b[33mWARN\x1b[0m spool: the ingest half died lane=1 reason="no way" level=x\n',
    json:
      '{"time":"2026-01-02T03:04:05.678Z","level":"warn","log":"node","room":"spool","message":"the ingest half died",' +
      '"lane":1,"reason":"no way","level_":"x"}\n',
    logfmt: "time=2026-01-02T03:04:05.678Z level=warn log=node room=spool " +
      'message="the ingest half died" lane=1 reason="no way" level_=x\n',
  };
  for (const format of LOG_FORMATS) assertEquals(formatEntry(entry, format), expected[format]);
});

Deno.test("formatEntry: whatever is logged is one line without control characters; pretty shows a stack", () => {
  fc.assert(fc.property(fc.string({ unit: "binary" }), fc.string({ unit: "binary" }), (text, value) => {
    const error = new Error(value);
    const entry = maker.entry(record([text, error, ""], { value, error, nested: { value } }));
    for (const format of ["simplified", "json", "logfmt"] as const) {
      assert(/^[^\p{Cc}]*\n$/u.test(formatEntry(entry, format)), JSON.stringify(formatEntry(entry, format)));
    }
    const [, ...stack] = formatEntry(entry, "pretty").split("\n");
    assert(stack.some((line) => line.trim().startsWith("at ")), stack.join("\n"));
    assert(stack.every((line) => !/\p{Cc}/u.test(line.replaceAll("\x1b", ""))));
    const json = JSON.parse(formatEntry(entry, "json"));
    assert(json.stack.startsWith("Error"));
  }));
});

Deno.test("EntryMaker: no secret in any form, wherever it was put", () => {
  const secret = fc.string({ minLength: 8, maxLength: 24, unit: "grapheme" });
  const wrap = fc.constantFrom<(secret: string) => LogRecord>(
    (secret) => record([`text ${secret} text`]),
    (secret) => record(["text ", secret, ""], { value: secret }),
    (secret) => record(["text ", new Error(`failed with ${secret}`), ""], { error: new Error(secret) }),
    (secret) => record(["text"], { options: { deep: [{ value: `a${secret}b` }] } }),
    (secret) => record(["text"], { url: `http://user:${secret}@host/` }),
    (secret) => record([`Authorization: Bearer ${secret}`]),
  );
  fc.assert(fc.property(secret, wrap, fc.constantFrom(...LOG_FORMATS), (secret, wrap, format) => {
    fc.pre(!"[redacted]".includes(secret));
    const entry = new EntryMaker({ secrets: [secret] }).entry(wrap(secret));
    const line = formatEntry(entry, format);
    for (const shape of [secret, JSON.stringify(secret).slice(1, -1)]) {
      assert(!line.replaceAll("[redacted]", "\0").includes(shape), line);
    }
  }));
});

Deno.test("EntryMaker: a field named as a secret shows nothing of it, also deep inside", () => {
  const entry = maker.entry(record(["x"], { token: "abc", options: { authorization: "def", path: "/x" } }));
  assertEquals(entry.fields, { token: "[redacted]", options: '{"authorization":"[redacted]","path":"/x"}' });
});

Deno.test("EntryMaker: addresses are masked where that is wanted; what is long is cut", () => {
  const masking = new EntryMaker({ redactAddresses: true });
  const entry = masking.entry(
    record(["192.0.2.7", " is banned: ", "x".repeat(10_000)], { address: "2001:db8::1" }),
  );
  assert(entry.message.startsWith("192.0.2.0 is banned: xxx"));
  assertEquals(entry.message.length, 4097);
  assertEquals(entry.fields.address, "2001:db8:0::");
  assertEquals(maker.entry(record(["192.0.2.7"])).message, "192.0.2.7");
});
