import { deflateSync, inflateSync } from "node:zlib";
import { assertEquals, assertMatch, assertThrows } from "@std/assert";
import fc from "fast-check";
import { fromUtf8, utf8 } from "../../../src/core/bytes.ts";
import { RequestError } from "../../../src/protocol/request_error.ts";
import { parseStoreBody, type StoreEvent } from "../../../src/protocol/store_event.ts";

const ID = "9ec79c33ec9942ab8353589fcb2e04dc";

function parse(body: Uint8Array | string, client: string | null = null): StoreEvent {
  return parseStoreBody(typeof body === "string" ? utf8(body) : body, {
    maxEventBytes: 1000,
    client,
    inflate: (zlib, max) => new Uint8Array(inflateSync(zlib)).subarray(0, max),
  });
}

function base64(bytes: Uint8Array): string {
  return btoa(String.fromCharCode(...bytes));
}

function refused(body: string, client: string | null = null): [number, string, string] {
  const error = assertThrows(() => parse(body, client), RequestError);
  return [error.status, error.reason, error.message];
}

for (
  const [name, body] of [
    ["JSON", `{"event_id":"${ID}"}`],
    ["base64 of JSON", base64(utf8(`{"event_id":"${ID}"}`))],
    ["base64 of zlib", base64(deflateSync(utf8(`{"event_id":"${ID}"}`)))],
  ] as const
) {
  Deno.test(`parseStoreBody: section 1.3, reads ${name}`, () => {
    const event = parse(body);
    assertEquals([event.eventId, event.itemType, fromUtf8(event.payload)], [
      ID,
      "event",
      `{"event_id":"${ID}"}`,
    ]);
  });
}

for (
  const [type, expected] of [
    ["transaction", "transaction"],
    ["csp", "security"],
    ["hpkp", "security"],
    ["expectct", "security"],
    ["expectstaple", "security"],
    ["feedback", "feedback"],
    ["error", "event"],
    ["default", "event"],
    ["hologram", "event"],
  ] as const
) {
  Deno.test(`parseStoreBody: section 1.3, type ${type} travels as ${expected}`, () => {
    assertEquals(parse(JSON.stringify({ type })).itemType, expected);
  });
}

Deno.test("parseStoreBody: section 1.3, ids are normalised, a missing one is made up", () => {
  assertEquals(parse('{"event_id":"9EC79C33-EC99-42AB-8353-589FCB2E04DC"}').eventId, ID);
  assertMatch(parse("{}").eventId, /^[0-9a-f]{32}$/);
  assertMatch(parse('{"event_id":null,"type":null}').eventId, /^[0-9a-f]{32}$/);
});

Deno.test("parseStoreBody: section 1.3, refusals", () => {
  assertEquals(refused(""), [400, "empty_body", "empty request body"]);
  assertEquals(refused(base64(deflateSync(new Uint8Array(0)))), [400, "empty_body", "empty request body"]);
  for (const body of [" {}", "hello", "e30", "e30=\n", "[]", base64(utf8("hello"))]) {
    assertEquals(refused(body), [400, "payload", "invalid request body"]);
  }
  for (
    const body of ["{", '{"event_id":"x"}', '{"event_id":7}', '{"type":7}', "{}x", '{"a":NaN}', '{"\xff":1']
  ) {
    assertEquals(refused(body).slice(0, 2), [400, "invalid_json"]);
    assertMatch(refused(body)[2], /^invalid JSON data: Error\(".+"\)$/);
  }
  assertThrows(
    () => parse(Uint8Array.of(0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d)),
    RequestError,
    "invalid JSON data",
  );
});

Deno.test("parseStoreBody: section 1.3, what inflates to too much is cut, which makes it no JSON", () => {
  const body = base64(deflateSync(utf8(JSON.stringify({ message: "x".repeat(2000) }))));
  assertEquals(refused(body).slice(0, 2), [400, "invalid_json"]);
});

Deno.test("parseStoreBody: section 1.3, numbers of old Python clients become 0, words in strings stay", () => {
  const body = '{"a":NaN,"b":[Infinity,-Infinity],"NaN":"NaN \\" Infinity\\\\"}';
  const patched = '{"a":0  ,"b":[0       ,-0       ],"NaN":"NaN \\" Infinity\\\\"}';
  for (const client of ["raven-python/6.10", "sentry-python/0.1"]) {
    assertEquals(fromUtf8(parse(body, client).payload), patched);
  }
  assertEquals(refused(body, "raven-js/3")[1], "invalid_json");
  assertEquals(refused('{"a":NaN', "raven-python/6.10")[1], "invalid_json");
  assertEquals(refused('{"a":Nan}', "raven-python/6.10")[1], "invalid_json");
});

Deno.test("parseStoreBody: nesting of any depth is no trouble", () => {
  assertEquals(parse(`{"a":${"[".repeat(200_000)}${"]".repeat(200_000)}}`).itemType, "event");
});

Deno.test("parseStoreBody: nothing but RequestError comes out, whatever goes in", () => {
  const body = fc.oneof(
    fc.uint8Array(),
    fc.string().map(utf8),
    fc.json().map(utf8),
    fc.base64String().map(utf8),
  );
  fc.assert(fc.property(body, fc.constantFrom(null, "raven-python/1"), (bytes, client) => {
    try {
      parse(bytes, client);
    } catch (error) {
      if (!(error instanceof RequestError)) throw error;
    }
  }));
});
