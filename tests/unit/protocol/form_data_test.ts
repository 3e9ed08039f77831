import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { fromUtf8, utf8 } from "../../../src/core/bytes.ts";
import { encodeFormData } from "../../../src/protocol/form_data.ts";

Deno.test("encodeFormData writes keys and values with their lengths in bytes: section 1.3", () => {
  assertEquals(
    [...encodeFormData([["a", "größe"], ["", ""]])],
    [1, 0, 0, 0, 0x61, 7, 0, 0, 0, ...utf8("größe"), 0, 0, 0, 0, 0, 0, 0, 0],
  );
  assertEquals(encodeFormData([]).length, 0);
});

Deno.test("encodeFormData loses nothing", () => {
  const text = fc.string({ unit: "grapheme" });
  fc.assert(fc.property(fc.array(fc.tuple(text, text)), (fields) => {
    const bytes = encodeFormData(fields);
    const texts: string[] = [];
    for (let at = 0; at < bytes.length;) {
      const length = new DataView(bytes.buffer).getUint32(at, true);
      texts.push(fromUtf8(bytes.subarray(at + 4, at + 4 + length)));
      at += 4 + length;
    }
    assertEquals(texts, fields.flat());
  }));
});
