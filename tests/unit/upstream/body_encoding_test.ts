import { assert, assertEquals, assertStrictEquals } from "@std/assert";
import * as zlib from "node:zlib";
import type { BodyEncoding } from "../../../src/protocol/request_meta.ts";
import { BodyEncoder, type EncodedBody, type EncodingChoice } from "../../../src/upstream/body_encoding.ts";
import { decodeContent } from "../../support/decode_content.ts";

const HAS_ZSTD = "zstdCompressSync" in zlib;
const PREFERRED: BodyEncoding = HAS_ZSTD ? "zstd" : "gzip";
const MAX = 4 * 1024 * 1024;

/** A body that compresses like an event does. */
function textOf(bytes: number): Uint8Array {
  return Uint8Array.from({ length: bytes }, (_, i) => 97 + (i * i % 7) + (i % 11));
}

function encodedAs(bytes: Uint8Array, encoding: BodyEncoding): EncodedBody {
  const { zstdCompressSync } = zlib as unknown as { zstdCompressSync: (bytes: Uint8Array) => Uint8Array };
  const encoders: Record<BodyEncoding, (bytes: Uint8Array) => Uint8Array> = {
    "": (bytes) => bytes,
    gzip: zlib.gzipSync,
    deflate: zlib.deflateSync,
    br: zlib.brotliCompressSync,
    zstd: zstdCompressSync,
  };
  return { bytes: encoders[encoding](bytes), encoding };
}

const ENCODINGS: readonly BodyEncoding[] = [
  "",
  "gzip",
  "deflate",
  "br",
  ...(HAS_ZSTD ? ["zstd" as const] : []),
];

Deno.test("BodyEncoder auto passes compressed and small bodies on untouched and at once", () => {
  const encoder = new BodyEncoder("auto", MAX);
  const bodies = [
    { bytes: textOf(4095), encoding: "" } as const,
    ...ENCODINGS.filter((name) => name !== "").map((name) => encodedAs(textOf(9000), name)),
  ];
  for (const body of bodies) assertStrictEquals(encoder.encode(body), body);
});

for (const bytes of [4096, 20_000, 1_000_000]) {
  Deno.test(`BodyEncoder auto compresses a body of ${bytes} bytes`, async () => {
    const { bytes: out, encoding } = await new BodyEncoder("auto", MAX).encode({
      bytes: textOf(bytes),
      encoding: "",
    });
    assertEquals(encoding, PREFERRED);
    assert(out.length < bytes / 2);
    assertEquals(decodeContent(out, encoding), textOf(bytes));
  });
}

for (const choice of ["identity", "gzip", "deflate", "br", "zstd"] as const) {
  Deno.test(`BodyEncoder ${choice} gives every body that encoding`, async () => {
    const encoder = new BodyEncoder(choice, MAX);
    const wanted = choice === "identity" ? "" : choice === "zstd" ? PREFERRED : choice;
    for (const from of ENCODINGS) {
      const body = encodedAs(textOf(700), from);
      const sent = await encoder.encode(body);
      assertEquals(sent.encoding, wanted, from);
      if (from === wanted) assertStrictEquals(sent, body);
      assertEquals(decodeContent(sent.bytes, sent.encoding), textOf(700));
    }
  });
}

const REFUSALS: readonly (readonly [EncodingChoice, readonly BodyEncoding[], BodyEncoding, BodyEncoding])[] =
  [
    ["auto", ["zstd"], "", "gzip"],
    ["auto", ["zstd", "gzip"], "", ""],
    ["auto", ["br"], "br", PREFERRED],
    ["auto", ["gzip"], "gzip", HAS_ZSTD ? "zstd" : ""],
    ["auto", ["br"], "deflate", "deflate"],
    ["gzip", ["gzip", "zstd"], "gzip", ""],
    ["br", ["br", "zstd"], "", "gzip"],
  ];

for (const [choice, refused, from, expected] of REFUSALS) {
  Deno.test(`BodyEncoder ${choice} sends "${from}" as "${expected}" once ${refused} was refused`, async () => {
    const encoder = new BodyEncoder(choice, MAX);
    for (const encoding of refused) {
      assert(encoder.refuse(encoding));
      assert(!encoder.refuse(encoding));
    }
    const sent = await encoder.encode(encodedAs(textOf(9000), from));
    assertEquals(sent.encoding, expected);
    assertEquals(decodeContent(sent.bytes, sent.encoding), textOf(9000));
  });
}

for (const encoding of ENCODINGS.filter((name) => name !== "")) {
  Deno.test(`BodyEncoder decodes ${encoding} up to its limit and nothing beyond`, async () => {
    const bomb = encodedAs(new Uint8Array(1_000_000), encoding);
    assertEquals((await new BodyEncoder("auto", 1_000_000).decode(bomb))?.length, 1_000_000);
    assertEquals(await new BodyEncoder("auto", 999_999).decode(bomb), null);
    assertStrictEquals(await new BodyEncoder("identity", 999_999).encode(bomb), bomb);
  });

  Deno.test({
    name: `BodyEncoder passes corrupt ${encoding} on as it is`,
    // Runtimes without zstd leak the context of a brotli stream that fails.
    sanitizeResources: HAS_ZSTD || encoding !== "br",
    async fn() {
      const body = { bytes: textOf(100), encoding };
      assertEquals(await new BodyEncoder("auto", MAX).decode(body), null);
      assertStrictEquals(await new BodyEncoder("identity", MAX).encode(body), body);
    },
  });
}
