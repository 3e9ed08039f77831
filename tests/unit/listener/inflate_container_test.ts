import { assertEquals, assertRejects } from "@std/assert";
import * as zlib from "node:zlib";
import { concatBytes, fromUtf8 } from "../../../src/core/bytes.ts";
import { systemClock } from "../../../src/core/clock.ts";
import { BodyBudget } from "../../../src/listener/body_budget.ts";
import { type Container, containerOf, inflateContainer } from "../../../src/listener/inflate_container.ts";
import { RequestError } from "../../../src/protocol/request_error.ts";
import { encodeZstd, HAS_ZSTD } from "../../../src/protocol/zstd.ts";
import {
  DUMP,
  DUMP_BZ2,
  DUMP_XZ,
  DUMP_XZ_HUGE_DICTIONARY,
  ZEROS_BZ2,
  ZEROS_XZ,
} from "../../support/compressed_files.ts";

const MIB = 1024 * 1024;
const dump = new TextEncoder().encode(DUMP);

const SMALL = new Map<Container, Uint8Array>([
  ["gzip", new Uint8Array(zlib.gzipSync(dump))],
  ["bzip2", DUMP_BZ2],
  ["xz", DUMP_XZ],
  ...(HAS_ZSTD ? [["zstd", encodeZstd(dump)] as const] : []),
]);
const ZEROS = new Map<Container, Uint8Array>([
  ["gzip", new Uint8Array(zlib.gzipSync(new Uint8Array(8 * MIB)))],
  ["bzip2", ZEROS_BZ2],
  ["xz", ZEROS_XZ],
  ...(HAS_ZSTD ? [["zstd", encodeZstd(new Uint8Array(8 * MIB))] as const] : []),
]);

function fixture(bytesMax = 64 * MIB) {
  const budget = new BodyBudget(bytesMax);
  const inflate = (bytes: Uint8Array, limit = 32 * MIB) =>
    inflateContainer(bytes, containerOf(bytes)!, { limit, budget, clock: systemClock });
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

Deno.test("inflateContainer inflates every format, and takes what comes out from the budget", async () => {
  for (const [container, bytes] of SMALL) {
    const { budget, inflate } = fixture();
    assertEquals(fromUtf8(await inflate(bytes)), DUMP, container);
    assertEquals(budget.held, DUMP.length, container);
  }
  for (const [container, bytes] of ZEROS) {
    const { inflate } = fixture();
    assertEquals((await inflate(bytes)).length, 8 * MIB, container);
  }
});

Deno.test("inflateContainer stops at the limit with 413 and at the budget with 503, holding nothing then", async () => {
  for (const [container, bytes] of ZEROS) {
    const large = fixture();
    assertEquals((await refusal(large.inflate(bytes, MIB)))[0], 413, container);
    const small = fixture(MIB);
    assertEquals((await refusal(small.inflate(bytes)))[0], 503, container);
    assertEquals([large.budget.held, small.budget.held], [0, 0], container);
    assertEquals((await large.inflate(bytes, 8 * MIB)).length, 8 * MIB, container);
  }
});

Deno.test("inflateContainer refuses what is cut short or damaged, and goes on with the next", async () => {
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
    damaged[container === "zstd" ? 5 : bytes.length - 12]! ^= 0xff;
    assertEquals(await refusal(inflate(damaged)), refused, `${container} damaged`);
    assertEquals(fromUtf8(await inflate(bytes)), DUMP, container);
  }
  assertEquals(budget.held, DUMP.length * SMALL.size);
});

Deno.test("inflateContainer refuses an xz file that needs a larger dictionary than 64 MiB", async () => {
  const { inflate } = fixture();
  assertEquals((await refusal(inflate(DUMP_XZ_HUGE_DICTIONARY)))[0], 400);
});

Deno.test("inflateContainer inflates several xz files at the same time, damaged ones among them", async () => {
  const { inflate } = fixture(256 * MIB);
  const files = [ZEROS_XZ, DUMP_XZ, DUMP_XZ.subarray(0, 40), ZEROS_XZ, concatBytes([DUMP_XZ, DUMP_XZ])];
  const settled = await Promise.allSettled([
    ...files.map((bytes) => inflate(bytes)),
    inflate(ZEROS_XZ, MIB),
    inflate(DUMP_XZ),
  ]);
  assertEquals(
    settled.map((result) => result.status === "fulfilled" ? result.value.length : result.reason.status),
    [8 * MIB, DUMP.length, 400, 8 * MIB, 2 * DUMP.length, 413, DUMP.length],
  );
});

Deno.test("inflateContainer refuses xz files with any byte changed, or inflates them to the same", async () => {
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
