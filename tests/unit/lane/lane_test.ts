import { assertEquals, assertRejects } from "@std/assert";
import type { HalfListener } from "../../../src/lane/half_host.ts";
import { Lane, LaneStartError } from "../../../src/lane/lane.ts";
import type {
  ForwardOptions,
  HalfKind,
  IngestOptions,
  LearnedLimits,
  ToHalf,
} from "../../../src/lane/messages.ts";
import { METRIC_LAYOUT, METRICS } from "../../../src/telemetry/catalogue.ts";
import { configureLogging } from "../../../src/telemetry/log.ts";
import { Metrics } from "../../../src/telemetry/registry.ts";
import { ManualClock } from "../../support/manual_clock.ts";

configureLogging({ level: "off", format: "json" });

/** A half that does what the test says. */
interface FakeHalf {
  readonly kind: HalfKind;
  readonly listener: HalfListener;
  readonly received: ToHalf[];
  isTerminated: boolean;
}

function fixture() {
  const clock = new ManualClock();
  const halves: FakeHalf[] = [];
  const learned: LearnedLimits[] = [];
  const wanted: string[] = [];
  const metrics = new Metrics(METRIC_LAYOUT);
  const lane = new Lane(0, {
    clock,
    metrics,
    spawn(kind, listener) {
      const half: FakeHalf = { kind, listener, received: [], isTerminated: false };
      halves.push(half);
      return {
        post: (message) => void half.received.push(message),
        terminate: () => void (half.isTerminated = true),
      };
    },
    options: {
      ingest: ({ plain: port }) => ({ listener: { port } }) as IngestOptions,
      forward: () => ({}) as ForwardOptions,
    },
    onLimits: (limits) => learned.push(limits),
    onWanted: (keys) => wanted.push(...keys),
  });
  const last = (kind: HalfKind): FakeHalf => halves.findLast((half) => half.kind === kind)!;
  const says = async (kind: HalfKind, message: Parameters<HalfListener["onMessage"]>[0]): Promise<void> => {
    last(kind).listener.onMessage(message);
    await clock.advance(0);
  };
  return { clock, halves, learned, wanted, metrics, lane, last, says };
}

async function started() {
  const all = fixture();
  const port = all.lane.start({ plain: 0, tls: null });
  await all.says("forward", { type: "started", ports: null });
  await all.says("ingest", { type: "started", ports: { plain: 4711, tls: null } });
  assertEquals(await port, { plain: 4711, tls: null });
  return all;
}

const portsAsked = (halves: readonly FakeHalf[]): number[] =>
  halves.flatMap(({ received }) => received)
    .flatMap((message) =>
      message.type === "start" && message.kind === "ingest" ? [message.options.listener.port] : []
    );

Deno.test("Lane.start: the forward half runs before the ingest half is made", async () => {
  const { lane, halves, says } = fixture();
  const port = lane.start({ plain: 3000, tls: null });
  assertEquals(halves.map(({ kind }) => kind), ["forward"]);
  await says("forward", { type: "started", ports: null });
  assertEquals(halves.map(({ kind }) => kind), ["forward", "ingest"]);
  assertEquals(lane.isUp, false);
  await says("ingest", { type: "started", ports: { plain: 3000, tls: null } });
  assertEquals([await port, lane.isUp], [{ plain: 3000, tls: null }, true]);
});

Deno.test("Lane.start: a half that cannot start at first is an error, not a loop", async () => {
  const { lane, says, halves, clock } = fixture();
  const start = lane.start({ plain: 3000, tls: null });
  await says("forward", { type: "failed", message: "no such folder" });
  await assertRejects(() => start, LaneStartError, "no such folder");
  await clock.advance(60_000);
  assertEquals(halves.length, 1);
});

Deno.test("Lane: a half that dies is replaced after a growing pause, on the port the first one found", async () => {
  const { lane, halves, last, says, clock, metrics } = await started();
  last("ingest").listener.onDeath("boom");
  assertEquals([lane.isUp, last("ingest").isTerminated], [false, true]);
  await clock.advance(100);
  assertEquals(portsAsked(halves), [0, 4711]);
  await says("ingest", { type: "failed", message: "still in use" });
  await clock.advance(199);
  assertEquals(portsAsked(halves).length, 2);
  await clock.advance(1);
  await says("ingest", { type: "started", ports: { plain: 4711, tls: null } });
  assertEquals([lane.isUp, metrics.read(METRICS.workerRestarts, "ingest")], [true, 2]);
});

Deno.test("Lane: a half that ran for long is replaced without a long pause", async () => {
  const { last, says, clock, halves } = await started();
  for (let times = 0; times < 5; times++) {
    last("forward").listener.onDeath("boom");
    await clock.advance(10_000);
    await says("forward", { type: "started", ports: null });
  }
  await clock.advance(60_001);
  last("forward").listener.onDeath("boom");
  const before = halves.length;
  await clock.advance(100);
  assertEquals(halves.length, before + 1);
});

Deno.test("Lane: what a half that was replaced still says is not heard", async () => {
  const { last, clock, learned, lane } = await started();
  const old = last("forward");
  old.listener.onDeath("boom");
  await clock.advance(100);
  old.listener.onMessage({ type: "limits", owner: "k", limits: [] });
  old.listener.onDeath("again");
  assertEquals([learned, lane.isUp], [[], false]);
});

Deno.test("Lane.broadcast: reaches the halves that run, and limits come out of them", async () => {
  const { lane, last, learned, says } = await started();
  lane.broadcast({ type: "limits", owner: "k", limits: [] });
  assertEquals(last("ingest").received.at(-1)?.type, "limits");
  assertEquals(last("forward").received.at(-1)?.type, "limits");
  await says("forward", { type: "limits", owner: "k", limits: [] });
  assertEquals(learned.length, 1);
});

Deno.test("Lane.stop: resolves when the half has stopped, and also when it dies instead or waits to be replaced", async () => {
  const { lane, last, says, clock, halves } = await started();
  const stopped = lane.stop("ingest", 500);
  assertEquals(last("ingest").received.at(-1), { type: "stop", graceMs: 500 });
  await says("ingest", { type: "stopped" });
  await stopped;
  const dying = lane.stop("forward", 500);
  last("forward").listener.onDeath("boom");
  await dying;
  const count = halves.length;
  await clock.advance(60_000);
  assertEquals(halves.length, count);

  const other = await started();
  other.last("ingest").listener.onDeath("boom");
  await other.lane.stop("ingest", 500);
  await other.clock.advance(60_000);
  assertEquals(other.halves.length, 2);
});

Deno.test("Lane: the keys that either half wants come out", async () => {
  const { says, wanted } = await started();
  await says("ingest", { type: "wanted", keys: ["a"] });
  await says("forward", { type: "wanted", keys: ["b", "c"] });
  assertEquals(wanted, ["a", "b", "c"]);
});
