import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { ByteBuffer } from "../../../src/core/byte_buffer.ts";
import { concatBytes } from "../../../src/core/bytes.ts";

Deno.test("ByteBuffer: holds all that was added, in at most twice the memory, and says before how much that will be", () => {
  fc.assert(fc.property(fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 30 }), (chunks) => {
    const buffer = new ByteBuffer();
    for (const chunk of chunks) {
      const capacity = buffer.capacityWith(chunk.length);
      const copy = chunk.slice();
      buffer.append(copy);
      copy.fill(0xee);
      assertEquals(buffer.capacity, capacity);
    }
    const whole = concatBytes(chunks);
    assertEquals([buffer.length, buffer.bytes], [whole.length, whole]);
    assert(buffer.capacity <= 2 * whole.length);
  }));
});

Deno.test("ByteBuffer: many small chunks are copied a few times each", () => {
  const buffer = new ByteBuffer();
  let grown = 0;
  for (let n = 0; n < 100_000; n++) {
    const { capacity } = buffer;
    buffer.append(Uint8Array.of(n));
    if (buffer.capacity > capacity) grown++;
  }
  assert(grown < 20, `${grown}`);
});
