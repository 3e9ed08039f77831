import { assert, assertEquals, assertRejects } from "@std/assert";
import fc from "fast-check";
import { concatBytes } from "../../../src/core/bytes.ts";
import { LargeStream } from "../../../src/listener/large_stream.ts";
import { RequestError } from "../../../src/protocol/request_error.ts";
import { FakeRequest } from "../../support/fake_request.ts";

function streamOf(first: Uint8Array[], rest: Uint8Array[], limit = 1 << 30) {
  const ends: number[] = [];
  let reading = 0;
  const stream = new LargeStream({
    request: new FakeRequest({}, rest),
    encoding: "",
    limit,
    first,
    track: () => (reading++, () => void reading--),
    onEnd: (bytes) => ends.push(bytes),
  });
  return { stream, ends, reading: () => reading };
}

const chunkOf = (bytes: number, seed: number): Uint8Array =>
  Uint8Array.from({ length: bytes }, (_, n) => n * 7 + seed);

Deno.test("LargeStream: pieces are the body, however it is cut, and fewer than its chunks", async () => {
  const sizes = fc.array(fc.oneof(fc.nat(10), fc.nat(70_000), fc.integer({ min: 131_000, max: 132_000 })), {
    maxLength: 20,
  });
  await fc.assert(fc.asyncProperty(sizes, fc.nat(2), async (sizes, firstCount) => {
    const chunks = sizes.map(chunkOf);
    const { stream, ends, reading } = streamOf(chunks.slice(0, firstCount), chunks.slice(firstCount));
    const pieces: Uint8Array[] = [];
    for await (const piece of stream.pieces()) {
      pieces.push(piece.slice());
      assertEquals(reading(), 1);
    }
    const whole = concatBytes(chunks);
    assertEquals(concatBytes(pieces), whole);
    assertEquals([ends, reading()], [[whole.length], 0]);
    assert(pieces.length <= firstCount + 2 * (Math.floor(whole.length / 131_072) + 1));
  }));
});

Deno.test("LargeStream: a body beyond its limit is refused with the byte that exceeds it", async () => {
  for (const [first, rest] of [[[], [99, 2]], [[90], [11]], [[101], []]] as const) {
    const { stream, reading } = streamOf(first.map(chunkOf), rest.map(chunkOf), 100);
    const read = async () => {
      for await (const _ of stream.pieces());
    };
    const error = await assertRejects(read, RequestError);
    assertEquals([error.status, reading()], [413, 0]);
  }
});
