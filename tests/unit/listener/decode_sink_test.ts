import { assertEquals, assertRejects } from "@std/assert";
import * as zlib from "node:zlib";
import { concatBytes } from "../../../src/core/bytes.ts";
import { BodyBudget } from "../../../src/listener/body_budget.ts";
import { ACCEPTED_ENCODINGS, type CompressedEncoding } from "../../../src/listener/decode_body.ts";
import { decodeSink } from "../../../src/listener/decode_sink.ts";
import { RequestError } from "../../../src/protocol/request_error.ts";
import { encodeZstd } from "../../../src/protocol/zstd.ts";
import { seededRandom } from "../../support/seeded_random.ts";

const MIB = 1024 * 1024;
const ENCODERS: Readonly<Record<CompressedEncoding, (bytes: Uint8Array) => Uint8Array>> = {
  gzip: zlib.gzipSync,
  deflate: zlib.deflateSync,
  br: (bytes) => zlib.brotliCompressSync(bytes, { params: { [zlib.constants.BROTLI_PARAM_QUALITY]: 2 } }),
  zstd: encodeZstd,
};
const ENCODINGS = ACCEPTED_ENCODINGS.split(",") as CompressedEncoding[];

/** Bytes that compress to about half. */
function content(bytes: number, seed: number): Uint8Array {
  const random = seededRandom(seed);
  return Uint8Array.from({ length: bytes }, (_, n) => n % 3 === 0 ? random() * 256 : n >> 10);
}

/** What comes out of an encoded body that is pushed in pieces. */
async function decoded(
  encoding: CompressedEncoding,
  body: Uint8Array,
  o: { limit?: number; budget?: BodyBudget; pieceBytes?: () => number } = {},
): Promise<Uint8Array> {
  const { limit = 16 * MIB, budget = new BodyBudget(64 * MIB), pieceBytes = () => 65_536 } = o;
  const out: Uint8Array[] = [];
  const take = async (chunk: Uint8Array): Promise<void> => {
    await Promise.resolve();
    out.push(chunk.slice());
  };
  const sink = decodeSink(encoding, { limit, budget, take });
  const piece = new Uint8Array(MIB);
  try {
    for (let at = 0; at < body.length;) {
      const part = body.subarray(at, at + Math.max(1, Math.min(MIB, pieceBytes())));
      piece.set(part);
      await sink.write(piece.subarray(0, part.length));
      piece.fill(0xee);
      at += part.length;
    }
    await sink.end();
    return concatBytes(out);
  } finally {
    await sink.destroy();
    assertEquals(budget.held, 0);
  }
}

const refusal = (work: Promise<unknown>): Promise<RequestError> => assertRejects(() => work, RequestError);

for (const encoding of ENCODINGS) {
  const encode = ENCODERS[encoding];

  Deno.test(`decodeSink: ${encoding} gives back what was packed, however it is cut`, async () => {
    const random = seededRandom(7);
    for (const bytes of [1, 5000, 300_000, 3 * MIB]) {
      const body = encode(content(bytes, bytes));
      for (const most of [3000, 200_000, MIB]) {
        const out = await decoded(encoding, body, { pieceBytes: () => Math.ceil(random() * most) });
        assertEquals(out, content(bytes, bytes));
      }
    }
    const small = encode(content(100, 1));
    assertEquals(await decoded(encoding, small, { pieceBytes: () => 1 }), content(100, 1));
    assertEquals(await decoded(encoding, new Uint8Array(0)), new Uint8Array(0));
  });

  Deno.test(`decodeSink: ${encoding} that is cut short is refused with 400`, async () => {
    const body = encode(content(600_000, 3));
    for (const bytes of [1, 20, 70_000, body.length - 5, body.length - 1]) {
      assertEquals((await refusal(decoded(encoding, body.subarray(0, bytes)))).status, 400);
    }
  });

  Deno.test(`decodeSink: damaged ${encoding} is refused or decoded, and nothing else happens`, async () => {
    const random = seededRandom(11);
    const body = encode(content(900_000, 4));
    for (let run = 0; run < 40; run++) {
      const damaged = body.slice();
      const at = Math.floor(random() * damaged.length);
      for (let i = 0; i < (run % 2 ? 1 : 3000); i++) damaged[at + i] = random() * 256;
      try {
        await decoded(encoding, damaged, { pieceBytes: () => MIB });
      } catch (error) {
        if (!(error instanceof RequestError) || error.status !== 400) throw error;
      }
    }
  });

  Deno.test(`decodeSink: ${encoding} stops at its limit`, async () => {
    const body = encode(new Uint8Array(8 * MIB));
    assertEquals((await decoded(encoding, body, { limit: 8 * MIB })).length, 8 * MIB);
    assertEquals((await refusal(decoded(encoding, body, { limit: 8 * MIB - 1 }))).status, 413);
    assertEquals((await refusal(decoded(encoding, body, { limit: 1000 }))).status, 413);
  });

  Deno.test(`decodeSink: ${encoding} hands on what the taker throws`, async () => {
    const take = () => Promise.reject(new RangeError("mine"));
    const sink = decodeSink(encoding, { limit: MIB, budget: new BodyBudget(64 * MIB), take });
    await assertRejects(async () => {
      await sink.write(encode(content(300_000, 5)));
      await sink.end();
    }, RangeError);
    await sink.destroy();
  });
}

// That for zstd hands on all there is before a write resolves.
for (const encoding of ENCODINGS.filter((encoding) => encoding !== "zstd")) {
  Deno.test(`decodeSink: ${encoding} that is destroyed waits for what is being handed on, and hands on nothing after`, async () => {
    const [taking, taken] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    let takes = 0;
    const take = (): Promise<void> => {
      takes++;
      taking.resolve();
      return taken.promise;
    };
    const turns = async () => {
      for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
    };
    const sink = decodeSink(encoding, { limit: 8 * MIB, budget: new BodyBudget(64 * MIB), take });
    await sink.write(ENCODERS[encoding](content(20_000, 9)));
    await taking.promise;
    let isDestroyed = false;
    const destroyed = sink.destroy().then(() => isDestroyed = true);
    await turns();
    assertEquals([isDestroyed, takes], [false, 1]);
    taken.resolve();
    await destroyed;
    await turns();
    assertEquals(takes, 1);
  });
}

Deno.test({
  name:
    "decodeSink: what a decoder remembers is taken from the memory of bodies, and refused with 503 beyond it",
  ignore: !ENCODINGS.includes("zstd"),
  async fn() {
    const window = (bits: number) =>
      zlib.brotliCompressSync(content(100_000, 6), { params: { [zlib.constants.BROTLI_PARAM_LGWIN]: bits } });
    for (
      const [bits, bytes] of [[10, 2 ** 10], [16, 2 ** 16], [17, 2 ** 17], [22, 2 ** 22], [
        24,
        2 ** 24,
      ]] as const
    ) {
      const body = window(bits);
      await decoded("br", body, { budget: new BodyBudget(bytes) });
      assertEquals((await refusal(decoded("br", body, { budget: new BodyBudget(bytes - 1) }))).status, 503);
    }
    const body = encodeZstd(content(100_000, 6));
    assertEquals((await refusal(decoded("zstd", body, { budget: new BodyBudget(1000) }))).status, 503);
    // A frame that says it needs 128 MiB.
    const wide = Uint8Array.of(0x28, 0xb5, 0x2f, 0xfd, 0x00, 17 << 3, 0x01, 0x00, 0x00);
    assertEquals((await refusal(decoded("zstd", wide))).status, 503);
  },
});

Deno.test("decodeSink: what follows the end of br and deflate is ignored, several members of gzip are one body", async () => {
  const bytes = content(200_000, 8);
  const after = concatBytes([ENCODERS.deflate(bytes), new Uint8Array(100_000)]);
  assertEquals(await decoded("deflate", after), bytes);
  if (ENCODINGS.includes("br")) {
    assertEquals(await decoded("br", concatBytes([ENCODERS.br(bytes), new Uint8Array(100_000)])), bytes);
  }
  const members = concatBytes([ENCODERS.gzip(bytes), ENCODERS.gzip(bytes)]);
  assertEquals(await decoded("gzip", members), concatBytes([bytes, bytes]));
});
