import { assertEquals, assertThrows } from "@std/assert";
import { mediaType } from "../../../src/protocol/media_type.ts";
import { RequestError } from "../../../src/protocol/request_error.ts";

/** Headers of section 1.2; `null` for one that is refused. */
const HEADERS: readonly (readonly [string | null, string | null])[] = [
  ["application/json", "application/json"],
  ["Application/JSON", "application/json"],
  ["application/json;charset=utf-8", "application/json"],
  ["application/json ; charset=utf-8", "application/json"],
  ["application/expect-ct-report+json", "application/expect-ct-report+json"],
  ["*/*", "*/*"],
  [null, null],
  ["", null],
  ["json", null],
  ["application/", null],
  ["/json", null],
  ["application/json x", null],
  ["application/json, text/plain", null],
  ["application/json\nx", null],
];

for (const [header, expected] of HEADERS) {
  Deno.test(`mediaType: section 1.2, ${JSON.stringify(header)} is ${expected ?? "refused"}`, () => {
    if (expected !== null) return assertEquals(mediaType(header), expected);
    const error = assertThrows(() => mediaType(header), RequestError);
    assertEquals([error.status, error.reason], [400, "content_type"]);
  });
}
