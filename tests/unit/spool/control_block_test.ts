import { assert, assertEquals } from "@std/assert";
import { systemClock } from "../../../src/core/clock.ts";
import { ControlBlock } from "../../../src/spool/control_block.ts";
import { ManualClock } from "../../support/manual_clock.ts";

Deno.test("ControlBlock: another isolate reads what was published last", () => {
  const writer = new ControlBlock();
  const reader = new ControlBlock(writer.buffer);
  assertEquals(reader.position(), { segment: 0, offset: 0, sequence: 0 });
  writer.publish(4, 0, 10);
  writer.publish(4, 2 ** 40, 12);
  assertEquals(reader.position(), { segment: 4, offset: 2 ** 40, sequence: 12 });
  writer.publish(5, 1, 13);
  assertEquals([reader.firstSegment, reader.position().segment], [4, 5]);
});

Deno.test("ControlBlock: waiting records are those appended and not read, and those in hand", () => {
  const control = new ControlBlock();
  control.publish(1, 100, 7);
  assertEquals(control.waitingRecords, 7);
  control.reportRead(3, 2);
  assertEquals(control.waitingRecords, 6);
  control.reportRead(null, 0);
  assertEquals(control.waitingRecords, 4);
});

Deno.test("ControlBlock.wait: returns at once when something happened since it was looked", async () => {
  const control = new ControlBlock();
  const seen = control.wakes;
  control.wake();
  await control.wait(seen, new ManualClock());
});

Deno.test("ControlBlock.wait: ends on a wake-up, on the signal and after a second", async () => {
  const control = new ControlBlock();
  const clock = new ManualClock();
  const woken = control.wait(control.wakes, clock);
  control.publish(1, 0, 0);
  await woken;
  const stop = new AbortController();
  const stopped = control.wait(control.wakes, clock, stop.signal);
  stop.abort();
  await stopped;
  await control.wait(control.wakes, clock, stop.signal);
  const polled = control.wait(control.wakes, clock);
  await clock.advance(1000);
  await polled;
  assertEquals(clock.pending, 0);
});

Deno.test("ControlBlock: another thread is woken, and never sees a torn position", async () => {
  const control = new ControlBlock();
  const module = new URL("../../../src/spool/control_block.ts", import.meta.url).href;
  const worker = startWorker(`
    import { ControlBlock } from ${JSON.stringify(module)};
    self.onmessage = ({ data }) => {
      const control = new ControlBlock(data);
      for (let i = 1; i <= 20000; i++) control.publish(i, i * 3, i * 5);
      setTimeout(() => control.publish(30000, 90000, 150000), 20);
    };
  `);
  worker.postMessage(control.buffer);
  let last = 0;
  while (last < 30_000) {
    const seen = control.wakes;
    const { segment, offset, sequence } = control.position();
    assert(segment >= last && offset === segment * 3 && sequence === segment * 5);
    if (segment === last) await control.wait(seen, systemClock);
    last = segment;
  }
  worker.terminate();
});

function startWorker(source: string): Worker {
  const url = URL.createObjectURL(new Blob([source], { type: "application/javascript" }));
  const worker = new Worker(url, { type: "module" });
  URL.revokeObjectURL(url);
  return worker;
}
