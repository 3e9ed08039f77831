import { assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { utf8 } from "../../../src/core/bytes.ts";
import { JsonObjectError, readJsonObject, repeatedKeys } from "../../../src/protocol/json_object.ts";

const object = fc.dictionary(fc.string({ unit: "grapheme" }), fc.jsonValue({ maxDepth: 4 }));

Deno.test("readJsonObject: finds the end of any object and reads what JSON.parse reads", () => {
  fc.assert(fc.property(object, fc.nat({ max: 2 }), fc.string(), (value, indent, rest) => {
    const text = JSON.stringify(value, null, indent);
    const read = readJsonObject(utf8(` ${text}${rest}`), 0, 10_000_000);
    assertEquals(read?.value, JSON.parse(text));
    assertEquals([read?.start, read?.end], [1, 1 + utf8(text).length]);
    assertEquals(read?.pairs, Object.keys(value).length);
  }));
});

Deno.test("readJsonObject: no object cut short is read", () => {
  fc.assert(
    fc.property(object, fc.noBias(fc.nat({ max: 9999 })), (value, part) => {
      const bytes = utf8(JSON.stringify(value));
      const cut = bytes.subarray(0, Math.max(1, Math.floor(bytes.length * part / 10_000)));
      assertThrows(() => readJsonObject(cut, 0, 10_000_000), JsonObjectError);
    }),
  );
});

Deno.test("readJsonObject: nothing is left after white space", () => {
  assertEquals(readJsonObject(utf8("{} \t\r\n"), 2, 10_000_000), null);
  assertEquals(readJsonObject(utf8("{}"), 2, 10_000_000), null);
});

Deno.test("repeatedKeys: names top-level keys only, whatever escapes they are written with", () => {
  const bytes = utf8('{"a":{"b":1,"b":2},"c\\"":[":"],"\\u0061":3,"c\\u0022":4,"a":5}');
  const read = readJsonObject(bytes, 0, 10_000_000);
  assertEquals(read?.pairs, 5);
  assertEquals(read && repeatedKeys(bytes, read), ["a", 'c"', "a"]);
});

Deno.test("readJsonObject: an object may have as many bytes as it is told, and no more", () => {
  const bytes = utf8(' {"a":"bc"} ');
  assertEquals(readJsonObject(bytes, 0, 10)?.end, 11);
  assertThrows(() => readJsonObject(bytes, 0, 9), JsonObjectError, "too long");
});
