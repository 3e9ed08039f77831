import { assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { concatBytes, utf8 } from "../../../src/core/bytes.ts";
import { minidumpEventId } from "../../../src/protocol/minidump_id.ts";
import { RequestError } from "../../../src/protocol/request_error.ts";

const [A, B, C] = ["a", "b", "c"].map((digit) => digit.repeat(32)) as [string, string, string];
const DASHED = "AAAAAAAA-aaaa-aaaa-aaaa-aaaaaaaaaaaa";

const bytes = (...parts: (number | string)[]) =>
  concatBytes(parts.map((part) => typeof part === "number" ? Uint8Array.of(part) : utf8(part)));
/** A text of less than 256 bytes. */
const str = (text: string) => bytes(0xd9, text.length, text);
/** A map of up to 15 pairs. */
const map = (...entries: Uint8Array[]) =>
  concatBytes([Uint8Array.of(0x80 | (entries.length / 2)), ...entries]);
const idMap = (id: string) => map(str("event_id"), str(id));

Deno.test("minidumpEventId takes the first that is there: event file, JSON field, bracket field", () => {
  const json = ["sentry", JSON.stringify({ event_id: B })] as const;
  const bracket = ["sentry[event_id]", C] as const;
  assertEquals(minidumpEventId(idMap(A), [bracket, json]), A);
  assertEquals(minidumpEventId(idMap(DASHED), []), A);
  assertEquals(minidumpEventId(map(), [bracket, json]), B);
  assertEquals(minidumpEventId(map(str("event_id"), bytes(0xc0)), [json]), B);
  assertEquals(minidumpEventId(null, [bracket, ["sentry", "{}"]]), C);
  assertEquals(minidumpEventId(null, [["sentry__1", json[1]], ["other", A]]), null);
  assertEquals(minidumpEventId(null, []), null);
});

Deno.test("minidumpEventId counts form fields that cannot be read as absent", () => {
  for (const text of ["", "{", "null", "[]", "7", `"${A}"`, `{"event_id":7}`, `{"event_id":"x"}`]) {
    assertEquals(minidumpEventId(null, [["sentry", text]]), null);
    assertEquals(minidumpEventId(null, [["sentry", text], ["sentry[event_id]", C]]), C);
  }
  assertEquals(minidumpEventId(null, [["sentry[event_id]", "x"]]), null);
});

Deno.test("minidumpEventId finds the id behind values of every kind of MessagePack", () => {
  // deno-fmt-ignore
  const values: Uint8Array[] = [
    bytes(0x05), bytes(0xff), bytes(0xc0), bytes(0xc2), bytes(0xc3),
    bytes(0xcc, 1), bytes(0xcd, 1, 2), bytes(0xce, 1, 2, 3, 4), bytes(0xcf, 1, 2, 3, 4, 5, 6, 7, 8),
    bytes(0xd0, 1), bytes(0xd1, 1, 2), bytes(0xd2, 1, 2, 3, 4), bytes(0xd3, 1, 2, 3, 4, 5, 6, 7, 8),
    bytes(0xca, 1, 2, 3, 4), bytes(0xcb, 1, 2, 3, 4, 5, 6, 7, 8),
    bytes(0xa2, "ab"), str("abc"), bytes(0xda, 0, 2, "ab"), bytes(0xdb, 0, 0, 0, 2, "ab"),
    bytes(0xc4, 2, 1, 2), bytes(0xc5, 0, 1, 9), bytes(0xc6, 0, 0, 0, 1, 9),
    bytes(0xc7, 1, 5, 9), bytes(0xc8, 0, 1, 5, 9), bytes(0xc9, 0, 0, 0, 1, 5, 9),
    bytes(0xd4, 5, 1), bytes(0xd5, 5, 1, 2), bytes(0xd6, 5, 1, 2, 3, 4),
    bytes(0xd7, 5, 1, 2, 3, 4, 5, 6, 7, 8), bytes(0xd8, 5, ..."0123456789abcdef"),
    bytes(0x92, 1, 2), bytes(0xdc, 0, 1, 0x91, 7), bytes(0xdd, 0, 0, 0, 1, 7),
    bytes(0x81, 1, 0x81, 2, 3), bytes(0xde, 0, 1, 1, 2), bytes(0xdf, 0, 0, 0, 1, 1, 2),
  ];
  for (const value of values) {
    assertEquals(minidumpEventId(map(str("x"), value, ...[str("event_id"), str(A)]), []), A);
    assertEquals(minidumpEventId(map(value, str("event_id"), str("event_id"), str(A)), []), A);
  }
  const large = concatBytes([bytes(0xde, 0, 20), ...Array(19).fill(bytes(1, 2)), str("event_id"), str(A)]);
  assertEquals(minidumpEventId(large, []), A);
  assertEquals(minidumpEventId(concatBytes([bytes(0xdf, 0, 0, 0, 1), str("event_id"), str(A)]), []), A);
});

Deno.test("minidumpEventId refuses an event file that is no map or names no UUID: section 5.3", () => {
  const broken: Uint8Array[] = [
    bytes(),
    bytes("{}"),
    bytes(0x90),
    bytes(0x81),
    bytes(0x81, 0xc1, 1),
    idMap(A).subarray(0, 20),
    idMap("x"),
    map(str("event_id"), bytes(7)),
    bytes(0xdf, 0xff, 0xff, 0xff, 0xff),
    map(str("x"), bytes(0xdd, 0xff, 0xff, 0xff, 0xff)),
    bytes(0x81, 1, ...Array<number>(100_000).fill(0x91)),
  ];
  for (const payload of broken) {
    const error = assertThrows(() => minidumpEventId(payload, []), RequestError, "invalid messagepack data");
    assertEquals([error.status, error.reason], [400, "invalid_msgpack"]);
  }
});

Deno.test("minidumpEventId throws nothing but RequestError on random bytes", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 60 }), fc.nat(15), (payload, pairs) => {
      try {
        minidumpEventId(concatBytes([Uint8Array.of(0x80 | pairs), payload]), []);
      } catch (error) {
        if (!(error instanceof RequestError)) throw error;
      }
    }),
    { numRuns: 3000 },
  );
});
