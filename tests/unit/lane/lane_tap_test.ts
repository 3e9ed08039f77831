import { assertEquals } from "@std/assert";
import { LaneTap, type TappedMessage } from "../../../src/lane/lane_tap.ts";
import { TapControl } from "../../../src/lane/tap_control.ts";
import type { TapEvent } from "../../../src/telemetry/tap_event.ts";
import { ManualClock } from "../../support/manual_clock.ts";

const event = (project: string): TapEvent => ({
  stage: "forwarding",
  lane: 0,
  atMs: 1,
  project,
  key: "k",
  event: null,
  waitedMs: 0,
  attempt: 1,
});

function fixture() {
  const clock = new ManualClock(0);
  const posted: TappedMessage[] = [];
  const tap = new LaneTap(0, clock, (message) => posted.push(message));
  return { clock, posted, tap };
}

Deno.test("LaneTap: only what is wanted, in batches; beyond the bound it is dropped and counted", async () => {
  const { clock, posted, tap } = fixture();
  assertEquals(tap.isOn, false);
  tap.filters = [{ id: 1, project: "7", bodies: false }, { id: 2, bodies: false }];
  assertEquals(posted.splice(0).map(({ id, events }) => [id, events.length]), [[1, 0], [2, 0]]);
  for (let i = 0; i < 150; i++) tap.offer(event(i % 2 ? "7" : "8"));
  assertEquals(posted, []);
  await clock.advance(50);
  assertEquals(posted.map(({ id, events, dropped }) => [id, events.length, dropped]), [[2, 100, 50], [
    1,
    75,
    0,
  ]]);
});

Deno.test("LaneTap: payloads are bounded, too", async () => {
  const { clock, posted, tap } = fixture();
  tap.filters = [{ id: 1, bodies: true }];
  posted.splice(0);
  for (let i = 0; i < 10; i++) tap.offer(event("7"), 400_000);
  await clock.advance(50);
  assertEquals(posted.map(({ events, dropped }) => [events.length, dropped]), [[2, 8]]);
});

const REQUEST = { bodies: false, raw: false, max: 5, seconds: 10 };

function control() {
  const clock = new ManualClock(0);
  const told: number[] = [];
  const lanes = {
    all: [1],
    broadcast: (m: { filters: readonly unknown[] }) => void told.push(m.filters.length),
  };
  return { clock, told, taps: new TapControl(clock, () => lanes) };
}

const lines = async (stream: ReadableStream<Uint8Array>) =>
  (await new Response(stream).text()).trim().split("\n").map((line) => JSON.parse(line));

Deno.test("TapControl: attached once both halves show, ends by number, tells what was dropped", async () => {
  const { told, taps } = control();
  const stream = taps.tap(REQUEST)!;
  for (const _ of ["ingest", "forward"]) taps.tapped({ type: "tapped", id: 1, events: [], dropped: 0 });
  taps.tapped({ type: "tapped", id: 1, events: Array.from({ length: 8 }, () => event("7")), dropped: 3 });
  const [first, ...rest] = await lines(stream);
  assertEquals([first.stage, rest.length, rest.at(-1)], ["attached", 6, {
    stage: "end",
    shown: 5,
    dropped: 3,
  }]);
  assertEquals(told, [1, 0]);
});

Deno.test("TapControl: ends by time; a reader that does not read loses events and holds nobody up", async () => {
  const { clock, taps } = control();
  const stream = taps.tap({ ...REQUEST, max: 10_000 })!;
  for (let i = 0; i < 20; i++) {
    taps.tapped({ type: "tapped", id: 1, events: Array.from({ length: 100 }, () => event("7")), dropped: 0 });
  }
  await clock.advance(10_000);
  const { shown, dropped } = (await lines(stream)).at(-1);
  assertEquals([shown + dropped, shown <= 500, dropped >= 1500], [2000, true, true]);
});

Deno.test("TapControl: four taps at once; one whose reader went makes room", async () => {
  const { taps } = control();
  const open = Array.from({ length: 4 }, () => taps.tap(REQUEST)!);
  assertEquals(taps.tap(REQUEST), null);
  await open[0]!.cancel();
  assertEquals(taps.tap(REQUEST) === null, false);
  taps.close();
});
