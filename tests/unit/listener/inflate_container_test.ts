import { assert, assertEquals, assertRejects } from "@std/assert";
import * as zlib from "node:zlib";
import { concatBytes, fromUtf8 } from "../../../src/core/bytes.ts";
import { systemClock } from "../../../src/core/clock.ts";
import { BodyBudget } from "../../../src/listener/body_budget.ts";
import { type Container, containerOf, inflateSink } from "../../../src/listener/inflate_container.ts";
import { RequestError } from "../../../src/protocol/request_error.ts";
import { encodeZstd, HAS_ZSTD } from "../../../src/protocol/zstd.ts";
import {
  DUMP,
  DUMP_BZ2,
  DUMP_XZ,
  DUMP_XZ_HUGE_DICTIONARY,
  HUGE_DUMP_BZ2,
  HUGE_DUMP_XZ,
} from "../../support/compressed_files.ts";

const MIB = 1024 * 1024;
const PIECE_BYTES = 20;
const dump = new TextEncoder().encode(DUMP);

const SMALL = new Map<Container, Uint8Array>([
  ["gzip", new Uint8Array(zlib.gzipSync(dump))],
  ["bzip2", DUMP_BZ2],
  ["xz", DUMP_XZ],
  ...(HAS_ZSTD ? [["zstd", encodeZstd(dump)] as const] : []),
]);
const HUGE = new Map<Container, Uint8Array>([
  ["gzip", new Uint8Array(zlib.gzipSync(new Uint8Array(8 * MIB)))],
  ["bzip2", HUGE_DUMP_BZ2],
  ["xz", HUGE_DUMP_XZ],
  ...(HAS_ZSTD ? [["zstd", encodeZstd(new Uint8Array(8 * MIB))] as const] : []),
]);

function fixture(bytesMax = 64 * MIB) {
  const budget = new BodyBudget(bytesMax);
  const inflate = async (bytes: Uint8Array, limit = 32 * MIB): Promise<Uint8Array> => {
    const inflated: Uint8Array[] = [];
    let isEnded = false;
    const into = {
      write: (chunk: Uint8Array) => Promise.resolve(void inflated.push(chunk.slice())),
      end: () => Promise.resolve(void (isEnded = true)),
      destroy: () => Promise.resolve(),
    };
    const sink = inflateSink(containerOf(bytes)!, into, { limit, budget, clock: systemClock });
    try {
      for (let at = 0; at < bytes.length; at += PIECE_BYTES) {
        await sink.write(bytes.subarray(at, at + PIECE_BYTES));
      }
      await sink.end();
      assert(isEnded);
      return concatBytes(inflated);
    } finally {
      await sink.destroy();
    }
  };
  return { budget, inflate };
}

async function refusal(promise: Promise<unknown>): Promise<readonly [number, string]> {
  const error = await assertRejects(() => promise, RequestError);
  return [error.status, error.message];
}

Deno.test("containerOf knows a format by its first bytes", () => {
  for (const [container, bytes] of SMALL) assertEquals(containerOf(bytes), container);
  assertEquals(containerOf(Uint8Array.of(0x28, 0xb5, 0x2f, 0xfd)), "zstd");
  for (const text of ["", "MDMP", "BZ", "\x1f"]) {
    assertEquals(containerOf(new TextEncoder().encode(text)), null);
  }
});

Deno.test("inflateSink inflates every format, and holds nothing then", async () => {
  for (const [container, bytes] of SMALL) {
    const { budget, inflate } = fixture();
    assertEquals(fromUtf8(await inflate(bytes)), DUMP, container);
    assertEquals(budget.held, 0, container);
  }
  for (const [container, bytes] of HUGE) {
    const { inflate } = fixture();
    assertEquals((await inflate(bytes)).length, 8 * MIB, container);
  }
});

Deno.test("inflateSink stops at the limit with 413, holding nothing then", async () => {
  for (const [container, bytes] of HUGE) {
    const { budget, inflate } = fixture();
    assertEquals((await refusal(inflate(bytes, MIB)))[0], 413, container);
    assertEquals(budget.held, 0, container);
    assertEquals((await inflate(bytes, 8 * MIB)).length, 8 * MIB, container);
  }
});

Deno.test("inflateSink holds xz and bzip2 as they came, within the budget, and nothing of what comes out", async () => {
  for (const [container, bytes] of [["xz", HUGE_DUMP_XZ], ["bzip2", HUGE_DUMP_BZ2]] as const) {
    const enough = fixture(2 * bytes.length);
    assertEquals((await enough.inflate(bytes)).length, 8 * MIB, container);
    const small = fixture(bytes.length - 1);
    assertEquals((await refusal(small.inflate(bytes)))[0], 503, container);
    assertEquals([enough.budget.held, small.budget.held], [0, 0], container);
  }
});

Deno.test("inflateSink refuses what is cut short or damaged, and goes on with the next", async () => {
  const { budget, inflate } = fixture();
  for (const [container, bytes] of SMALL) {
    const refused = [400, "invalid compression container"] as const;
    for (const length of [8, bytes.length >> 1, bytes.length - 1]) {
      assertEquals(
        await refusal(inflate(bytes.subarray(0, length))),
        refused,
        `${container} cut to ${length}`,
      );
    }
    const damaged = bytes.slice();
    // Where the data is, or a checksum of it; zstd comes without one.
    damaged[container === "zstd" ? 6 : bytes.length - 12]! ^= 0xff;
    assertEquals(await refusal(inflate(damaged)), refused, `${container} damaged`);
    assertEquals(fromUtf8(await inflate(bytes)), DUMP, container);
  }
  assertEquals(budget.held, 0);
});

Deno.test("inflateSink refuses an xz file that needs a larger dictionary than 64 MiB", async () => {
  const { inflate } = fixture();
  assertEquals((await refusal(inflate(DUMP_XZ_HUGE_DICTIONARY)))[0], 400);
});

Deno.test("inflateSink inflates several xz files at the same time, damaged ones among them", async () => {
  const { inflate } = fixture(256 * MIB);
  const files = [
    HUGE_DUMP_XZ,
    DUMP_XZ,
    DUMP_XZ.subarray(0, 40),
    HUGE_DUMP_XZ,
    concatBytes([DUMP_XZ, DUMP_XZ]),
  ];
  const settled = await Promise.allSettled([
    ...files.map((bytes) => inflate(bytes)),
    inflate(HUGE_DUMP_XZ, MIB),
    inflate(DUMP_XZ),
  ]);
  assertEquals(
    settled.map((result) => result.status === "fulfilled" ? result.value.length : result.reason.status),
    [8 * MIB, DUMP.length, 400, 8 * MIB, 2 * DUMP.length, 413, DUMP.length],
  );
});

Deno.test("inflateSink refuses xz files with any byte changed, or inflates them to the same", async () => {
  const { inflate } = fixture();
  for (let at = 6; at < DUMP_XZ.length; at++) {
    for (const mask of [1, 0x80, 0xff]) {
      const bytes = DUMP_XZ.slice();
      bytes[at]! ^= mask;
      await inflate(bytes).then(
        (inflated) => assertEquals(fromUtf8(inflated), DUMP),
        (error) => assertEquals([error.status, error.message], [400, "invalid compression container"]),
      );
    }
  }
  assertEquals(fromUtf8(await inflate(DUMP_XZ)), DUMP);
});
