import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { fromUtf8, utf8 } from "../../../src/core/bytes.ts";
import { countLines, SharedRing } from "../../../src/core/shared_ring.ts";
import { until } from "../../support/until.ts";
import { ManualClock } from "../../support/manual_clock.ts";

Deno.test("SharedRing: what is taken is what was pushed, line by line; what does not fit is counted", () => {
  const operation = fc.oneof(
    fc.string({ maxLength: 30 }).map((text) => text.replace(/\n/g, "")),
    fc.constant(null),
  );
  fc.assert(fc.property(fc.array(operation, { maxLength: 200 }), (operations) => {
    const buffer = SharedRing.createBuffer(64);
    const [writer, reader] = [new SharedRing(buffer), new SharedRing(buffer)];
    let waiting = "";
    let refused = 0;
    for (const text of operations) {
      if (text === null) {
        assertEquals(fromUtf8(reader.take()), waiting);
        waiting = "";
        continue;
      }
      const line = utf8(`${text}\n`);
      const fits = utf8(waiting).length + line.length <= 64;
      assertEquals(writer.push(line), fits);
      if (fits) waiting += fromUtf8(line);
      else refused++;
      assertEquals(reader.pending, utf8(waiting).length);
    }
    assertEquals(fromUtf8(reader.take()), waiting);
    assertEquals(reader.takeRefused(), refused);
    assertEquals(reader.takeRefused(), 0);
  }));
});

Deno.test("SharedRing: positions wrap around 2^32", () => {
  const buffer = SharedRing.createBuffer(64);
  const nearEnd = new Int32Array(buffer, 0, 2);
  nearEnd.fill(-10);
  const ring = new SharedRing(buffer);
  for (let round = 0; round < 10; round++) {
    assert(ring.push(utf8("0123456\n")));
    assertEquals(fromUtf8(ring.take()), "0123456\n");
  }
  assert(nearEnd[0]! > 0);
});

Deno.test("SharedRing.wait: the reader is woken by enough bytes, by its own second, and by its signal", async () => {
  const clock = new ManualClock();
  const stop = new AbortController();
  const ring = new SharedRing(SharedRing.createBuffer(1024), 20);
  let woken = 0;
  const wait = (): Promise<void> => ring.wait(clock, stop.signal).then(() => void woken++);

  let waiting = wait();
  ring.push(utf8("too few\n"));
  await clock.advance(999);
  assertEquals(woken, 0);
  await clock.advance(1);
  await waiting;
  assertEquals(woken, 1);

  waiting = wait();
  ring.push(utf8("now it is enough\n"));
  await until("the reader is woken", () => woken === 2);
  assertEquals([woken, clock.monotonic()], [2, 1000]);

  ring.take();
  waiting = wait();
  stop.abort();
  await waiting;
  assertEquals([woken, clock.pending], [3, 0]);
});

Deno.test("SharedRing: a writer in another isolate is heard, in order and whole", async () => {
  const buffer = SharedRing.createBuffer(4096);
  const ring = new SharedRing(buffer);
  const url = new URL("../../support/ring_worker.ts", import.meta.url);
  const worker = new Worker(url, { type: "module" });
  const lines = 20_000;
  worker.postMessage({ buffer, lines });
  const done = new Promise<number>((resolve) => worker.onmessage = ({ data }) => resolve(data));
  let text = "";
  let isDone = false;
  const accepted = done.then((count) => (isDone = true, count));
  while (!isDone) {
    text += fromUtf8(ring.take());
    await new Promise((resolve) => setTimeout(resolve, 0));
  }
  text += fromUtf8(ring.take());
  worker.terminate();
  const seen = text.split("\n").slice(0, -1);
  assertEquals(seen.length, await accepted);
  assertEquals(seen.length + ring.takeRefused(), lines);
  let last = -1;
  for (const line of seen) {
    const [, number, rest] = /^(\d+) (x+)$/.exec(line)!;
    assertEquals(rest!.length, Number(number) % 100 + 1);
    assert(Number(number) > last);
    last = Number(number);
  }
});

Deno.test("countLines", () => {
  assertEquals(["", "a\n", "a\n\nb\n"].map((text) => countLines(utf8(text))), [0, 1, 3]);
});
