import { assert, assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { fromUtf8, utf8 } from "../../../src/core/bytes.ts";
import { DATA_CATEGORIES } from "../../../src/protocol/data_category.ts";
import {
  decodeRequestMeta,
  encodeRequestMeta,
  type RequestMeta,
  xSentryAuth,
} from "../../../src/protocol/request_meta.ts";

const text = fc.string({ unit: "grapheme" });
const meta: fc.Arbitrary<RequestMeta> = fc.record({
  projectId: text,
  key: text,
  version: fc.integer({ min: 1, max: 7 }),
  client: fc.option(text),
  origin: fc.option(text),
  remoteAddr: text,
  forwardedFor: text,
  userAgent: fc.option(text),
  noCache: fc.boolean(),
  contentEncoding: fc.constantFrom(
    "" as const,
    "gzip" as const,
    "deflate" as const,
    "br" as const,
    "zstd" as const,
  ),
  eventId: fc.option(text),
  quantities: fc.array(fc.tuple(fc.constantFrom(...DATA_CATEGORIES), fc.nat())),
  clientHints: fc.option(fc.array(fc.tuple(text, text))),
  passthrough: fc.option(fc.record({ path: text, contentType: fc.option(text) })),
});

Deno.test("decodeRequestMeta: reads what encodeRequestMeta writes", () => {
  fc.assert(fc.property(meta, (value) => assertEquals(decodeRequestMeta(encodeRequestMeta(value)), value)));
});

Deno.test("encodeRequestMeta: what is only asked of records without policy is kept of those alone", () => {
  fc.assert(fc.property(meta, text, text, (value, rootKey, relaySignature) => {
    const asked = { ...value, rootKey, relaySignature };
    assertEquals(decodeRequestMeta(encodeRequestMeta(asked)), asked);
    const policed = { ...value, isPoliced: true } as const;
    assertEquals(decodeRequestMeta(encodeRequestMeta({ ...policed, rootKey, relaySignature })), policed);
  }));
});

Deno.test("encodeRequestMeta: absent values take no room", () => {
  const bytes = encodeRequestMeta({
    projectId: "42",
    key: "k",
    version: 7,
    client: null,
    origin: null,
    remoteAddr: "::1",
    forwardedFor: "::1",
    userAgent: null,
    noCache: false,
    contentEncoding: "",
    eventId: null,
    clientHints: null,
    quantities: [["error", 1]],
    passthrough: null,
  });
  assertEquals(fromUtf8(bytes), '{"p":"42","k":"k","a":"::1","f":"::1","q":[["error",1]]}');
});

Deno.test("decodeRequestMeta: refuses other bytes, and reads categories of later versions as unknown", () => {
  for (const other of ["", "null", "{}", "[]", '{"p":1,"k":"","q":[]}']) {
    assertThrows(() => decodeRequestMeta(utf8(other)), SyntaxError);
  }
  const later = decodeRequestMeta(utf8('{"p":"1","k":"k","a":"","f":"","z":1,"q":[["hologram",2]]}'));
  assertEquals(later.quantities, [["unknown", 2]]);
});

Deno.test("xSentryAuth: section 6.2, in one line of printable ASCII whatever the client is called", () => {
  const auth = (client: string | null) => xSentryAuth({ key: "k", version: 7, client });
  assertEquals(auth("raven/1"), "Sentry sentry_key=k, sentry_version=7, sentry_client=raven/1");
  assertEquals(auth(null), "Sentry sentry_key=k, sentry_version=7");
  assertEquals(
    auth("a\r\nHost: b\u00e4"),
    "Sentry sentry_key=k, sentry_version=7, sentry_client=a??Host: b?",
  );
  fc.assert(fc.property(fc.string({ unit: "binary" }), (client) => assert(/^[ -~]*$/.test(auth(client)))));
});
