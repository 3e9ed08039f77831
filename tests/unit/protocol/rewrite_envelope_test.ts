import { assertEquals, assertStrictEquals } from "@std/assert";
import { concatBytes, fromUtf8, utf8 } from "../../../src/core/bytes.ts";
import { buildEnvelope, parseEnvelope, rewriteEnvelope } from "../../../src/protocol/envelope.ts";

const text = (chunks: readonly Uint8Array[]) => fromUtf8(concatBytes(chunks));

Deno.test("rewriteEnvelope: replaced keys keep their place, new ones follow, undefined ones go", () => {
  const envelope = parseEnvelope(
    utf8('{"sent_at":null,"sdk":{"name":"x"},"no_cache":true}\n{"type":"x"}\nabc'),
  );
  const headers = { event_id: "a", no_cache: undefined, sent_at: "2026-01-01T00:00:00Z" };
  assertEquals(
    text(rewriteEnvelope(envelope, { headers })),
    '{"sent_at":"2026-01-01T00:00:00Z","sdk":{"name":"x"},"event_id":"a"}\n{"type":"x"}\nabc\n',
  );
});

Deno.test("rewriteEnvelope: neighbouring items stay one chunk over the original bytes", () => {
  const bytes = utf8('{"a": 1}\n{"type":"a"}\n1\n{"type":"b"}\n2\n{"type":"c"}\n3\n{"type":"d"}\n4');
  const envelope = parseEnvelope(bytes);
  const items = envelope.items.filter(({ headers }) => headers.type !== "b");
  const chunks = rewriteEnvelope(envelope, { items });
  assertEquals(text(chunks), '{"a": 1}\n{"type":"a"}\n1\n{"type":"c"}\n3\n{"type":"d"}\n4\n');
  assertEquals(chunks.length, 5);
  for (const chunk of [chunks[0], chunks[2], chunks[3]]) assertStrictEquals(chunk?.buffer, bytes.buffer);
});

Deno.test("rewriteEnvelope: an item header at the very end gets both newlines", () => {
  assertEquals(text(rewriteEnvelope(parseEnvelope(utf8('{}\n{"type":"x"}')), {})), '{}\n{"type":"x"}\n\n');
});

Deno.test("rewriteEnvelope: nothing left but the header is an envelope, too", () => {
  assertEquals(text(rewriteEnvelope(parseEnvelope(utf8('{}\n{"type":"x"}\n1\n')), { items: [] })), "{}\n");
});

Deno.test("buildEnvelope: writes length and newline of every item", () => {
  const chunks = buildEnvelope({ event_id: "a" }, [
    { headers: { type: "event" }, payload: utf8("{}") },
    { headers: { type: "attachment", filename: "ä" }, payload: utf8("a\nb") },
  ]);
  assertEquals(
    text(chunks),
    '{"event_id":"a"}\n{"type":"event","length":2}\n{}\n{"type":"attachment","filename":"ä","length":3}\na\nb\n',
  );
});
