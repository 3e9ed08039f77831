import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { ReceiptTimes } from "../../../src/spool/receipt_times.ts";
import { ManualClock } from "../../support/manual_clock.ts";

const DAY_MS = 86_400_000;
const YEAR_MS = 365 * DAY_MS;

/** A partition of which every record takes one byte, and a clock that may be set. */
function fixture() {
  const clock = new ManualClock();
  const written = { segment: 1, offset: 0, sequence: 0 };
  const records: { place: { segment: number; offset: number }; atMs: number; trueMs: number }[] = [];
  const append = (atMs = clock.now()): void => {
    records.push({ place: { ...written }, atMs, trueMs: clock.monotonic() });
    written.offset++;
  };
  const control = { position: () => ({ ...written }) };
  const open = (): ReceiptTimes => new ReceiptTimes(clock, control, { ...written });
  /** By how much each record is taken to be older than it is. */
  const errors = (times: ReceiptTimes): number[] =>
    records.map(({ place, atMs, trueMs }) => trueMs - times.of(place, atMs));
  return { clock, written, records, append, open, errors };
}

Deno.test("ReceiptTimes: what was there at the start is as old as it says, and nothing is from the future", () => {
  const { clock, append, open, records } = fixture();
  append(clock.now() - 5000);
  append(clock.now() + YEAR_MS);
  const times = open();
  assertEquals(records.map(({ place, atMs }) => times.of(place, atMs)), [-5000, 0]);
});

Deno.test("ReceiptTimes: a record appended between a jump and the look that finds it is taken for neither older nor younger", async () => {
  for (const jumpMs of [DAY_MS, -DAY_MS, YEAR_MS, -YEAR_MS]) {
    const { clock, append, open, errors } = fixture();
    const times = open();
    append();
    times.look();
    await clock.advance(50);
    append();
    clock.jump(jumpMs);
    append();
    await clock.advance(50);
    append();
    times.follow();
    append();
    assertEquals(errors(times), [0, 0, 0, 0, 0], `${jumpMs}`);
  }
});

Deno.test("ReceiptTimes: small steps are followed, and add up to nothing", async () => {
  const { clock, append, open, errors } = fixture();
  const times = open();
  append();
  for (let step = 0; step < 10; step++) {
    clock.jump(400);
    await clock.advance(1000);
    times.look();
    append();
  }
  for (const error of errors(times)) assert(Math.abs(error) < 1000, `${errors(times)}`);
});

Deno.test("ReceiptTimes: however the clock is set, ages are true", async () => {
  const step = fc.oneof(
    fc.record({ kind: fc.constant("append" as const), ms: fc.constant(0) }),
    fc.record({ kind: fc.constant("wait" as const), ms: fc.nat(3 * DAY_MS) }),
    fc.record({ kind: fc.constant("jump" as const), ms: fc.integer({ min: -YEAR_MS, max: YEAR_MS }) }),
  );
  await fc.assert(fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
    const { clock, append, open, errors } = fixture();
    const times = open();
    let jumps = 0;
    for (const { kind, ms } of steps) {
      if (kind === "append") append();
      else if (kind === "wait") await clock.advance(ms);
      else if (jumps++ < 16) clock.jump(ms);
      times.look();
    }
    for (const error of errors(times)) assert(Math.abs(error) < 1000 * (jumps + 1), `${errors(times)}`);
  }));
});
