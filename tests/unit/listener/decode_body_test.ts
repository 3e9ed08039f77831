import { assert, assertEquals, assertThrows } from "@std/assert";
import * as zlib from "node:zlib";
import { BodyBudget } from "../../../src/listener/body_budget.ts";
import {
  ACCEPTED_ENCODINGS,
  decodeBody,
  inflateTruncated,
  parseContentEncoding,
} from "../../../src/listener/decode_body.ts";
import { RequestError } from "../../../src/protocol/request_error.ts";

type Encoding = Parameters<typeof decodeBody>[1];

const zstd = (zlib as { zstdCompressSync?: (bytes: Uint8Array) => Uint8Array }).zstdCompressSync;
const ENCODERS: readonly [Encoding, (bytes: Uint8Array) => Uint8Array][] = ([
  ["gzip", (bytes) => zlib.gzipSync(bytes)],
  ["deflate", (bytes) => zlib.deflateSync(bytes)],
  ["br", (bytes) => zlib.brotliCompressSync(bytes)],
  ["zstd", (bytes) => zstd!(bytes)],
] as [Encoding, (bytes: Uint8Array) => Uint8Array][]).filter(([encoding]) =>
  ACCEPTED_ENCODINGS.split(",").includes(encoding)
);
const MIB = 1024 * 1024;

/** Does not compress, so that a body of any size can be made. */
function noise(bytes: number): Uint8Array {
  let state = 1;
  return Uint8Array.from({ length: bytes }, () => (state = (state * 48271) % 0x7fffffff) & 255);
}

/** Status of the refusal, or null. */
async function refusal(run: () => unknown): Promise<number | null> {
  try {
    await run();
    return null;
  } catch (error) {
    assert(error instanceof RequestError, String(error));
    return error.status;
  }
}

Deno.test("parseContentEncoding takes one encoding in lower case: section 4.1", () => {
  for (const header of [null, "", "identity", "utf-8", "UTF-8", "Utf-8"]) {
    assertEquals(parseContentEncoding(header), "", String(header));
  }
  for (const header of ACCEPTED_ENCODINGS.split(",")) {
    assertEquals<string>(parseContentEncoding(header), header);
  }
  for (const header of ["GZIP", "gzip, br", "x-gzip", "gzip;q=1", "lzma", "*"]) {
    const error = assertThrows(() => parseContentEncoding(header), RequestError);
    assertEquals(error.status, 415, header);
    assert(error.headers["accept-encoding"]?.startsWith("gzip,deflate"), header);
  }
});

Deno.test("decodeBody restores bodies of every encoding and size, and accounts for them", async () => {
  for (const [encoding, encode] of ENCODERS) {
    for (const body of [noise(10), noise(3000), noise(200_000), new Uint8Array(2 * MIB)]) {
      const budget = new BodyBudget(64 * MIB);
      const decoded = await decodeBody(encode(body), encoding, 8 * MIB, budget);
      assertEquals(decoded.length, body.length, encoding);
      assert(decoded.every((byte, index) => byte === body[index]), encoding);
      assertEquals(budget.held, body.length, encoding);
    }
  }
});

Deno.test("decodeBody takes a body of exactly its limit and refuses one byte more with 413", async () => {
  for (const [encoding, encode] of ENCODERS) {
    for (const size of [1000, 100_000]) {
      const body = encode(noise(size));
      const budget = new BodyBudget(MIB);
      assertEquals(await refusal(() => decodeBody(body, encoding, size, budget)), null, encoding);
      assertEquals(await refusal(() => decodeBody(body, encoding, size - 1, budget)), 413, encoding);
      assertEquals(budget.held, size, encoding);
    }
  }
});

Deno.test("decodeBody stops a bomb at its limit", async () => {
  const zeros = new Uint8Array(64 * MIB);
  for (const [encoding, encode] of ENCODERS) {
    const bomb = encode(zeros);
    const budget = new BodyBudget(8 * MIB);
    assertEquals(await refusal(() => decodeBody(bomb, encoding, MIB, budget)), 413, encoding);
    assertEquals(budget.held, 0, encoding);
  }
});

Deno.test("decodeBody answers 503 when the budget is used up", async () => {
  for (const [encoding, encode] of ENCODERS) {
    const budget = new BodyBudget(50_000);
    assertEquals(
      await refusal(() => decodeBody(encode(noise(60_000)), encoding, MIB, budget)),
      503,
      encoding,
    );
    assertEquals(budget.held, 0, encoding);
  }
});

Deno.test("decodeBody answers 400 to corrupt and cut bodies of every encoding and size", async () => {
  for (const [encoding, encode] of ENCODERS) {
    const budget = new BodyBudget(8 * MIB);
    for (const size of [100, 100_000]) {
      const body = encode(noise(size));
      const cut = body.subarray(0, body.length - 11);
      assertEquals(await refusal(() => decodeBody(cut, encoding, MIB, budget)), 400, `${encoding} cut`);
      assertEquals(await refusal(() => decodeBody(noise(size), encoding, MIB, budget)), 400, encoding);
    }
    assertEquals(budget.held, 0, encoding);
  }
});

Deno.test("decodeBody reads several gzip members as one body, an empty body as empty", async () => {
  const budget = new BodyBudget(MIB);
  const trailing = new Uint8Array([...zlib.deflateSync("ab"), 1, 2, 3]);
  assertEquals(new TextDecoder().decode(await decodeBody(trailing, "deflate", 100, budget)), "ab");
  const members = new Uint8Array([...zlib.gzipSync("ab"), ...zlib.gzipSync("cd")]);
  assertEquals(new TextDecoder().decode(await decodeBody(members, "gzip", 100, budget)), "abcd");
  assertEquals((await decodeBody(new Uint8Array(0), "gzip", 100, budget)).length, 0);
});

Deno.test("decodeBody answers or refuses whatever a compressed body has become, and nothing else happens", async () => {
  const text = new TextEncoder().encode(
    JSON.stringify(Array.from({ length: 9000 }, (_, i) => ({ i, x: i * i }))),
  );
  let state = 7;
  const random = (below: number) => (state = (state * 48271) % 0x7fffffff) % below;
  for (const [encoding, encode] of ENCODERS.filter(([name]) => name !== "br")) {
    for (const body of [encode(text), encode(new Uint8Array(3 * MIB))]) {
      const budget = new BodyBudget(8 * MIB);
      for (let round = 0; round < 60; round++) {
        const broken = new Uint8Array(body);
        broken[random(broken.length)]! ^= 1 + random(255);
        const status = await refusal(async () => {
          budget.release((await decodeBody(broken, encoding, 4 * MIB, budget)).length);
        });
        assert([null, 400, 413].includes(status), `${encoding} ${status}`);
      }
      assertEquals(budget.held, 0, encoding);
    }
  }
});

Deno.test(
  "decodeBody takes complete zstd frames and nothing else",
  { ignore: !ACCEPTED_ENCODINGS.includes("zstd") },
  async () => {
    for (const size of [0, 1, 255, 256, 70_000, 3 * MIB]) {
      for (const body of [noise(Math.min(size, 200_000)), new Uint8Array(size)]) {
        const frame = new Uint8Array(zstd!(body));
        const budget = new BodyBudget(16 * MIB);
        const decode = (bytes: Uint8Array) => decodeBody(bytes, "zstd", 6 * MIB, budget);
        assertEquals((await decode(frame)).length, body.length);
        assertEquals(await refusal(() => decode(new Uint8Array([...frame, 0]))), 400);
        const skippable = [0x53, 0x2a, 0x4d, 0x18, 2, 0, 0, 0, 9, 9];
        const twice = await decode(new Uint8Array([...frame, ...skippable, ...frame]));
        assertEquals(twice.length, 2 * body.length);
        assertEquals(await refusal(() => decode(frame.subarray(0, frame.length - 1))), 400);
      }
    }
  },
);

Deno.test("inflateTruncated restores what fits and cuts what does not: section 1.3", () => {
  const body = noise(100_000);
  assertEquals(new Uint8Array(inflateTruncated(zlib.deflateSync(body), 100_000)), body);
  assertEquals(inflateTruncated(zlib.deflateSync(body), 99_999).length, 1);
  assertEquals(inflateTruncated(zlib.deflateSync(new Uint8Array(64 * MIB)), MIB).length, 1);
  assertThrows(() => inflateTruncated(noise(100), MIB));
});
