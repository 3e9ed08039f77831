import { assertEquals } from "@std/assert";
import { LaneTap, type TappedMessage } from "../../../src/lane/lane_tap.ts";
import { TappedSource } from "../../../src/lane/tapped_source.ts";
import { JobSource } from "../../support/job_source.ts";
import { ManualClock } from "../../support/manual_clock.ts";

function fixture() {
  const clock = new ManualClock(1000);
  const posted: TappedMessage[] = [];
  const tap = new LaneTap(3, clock, (message) => posted.push(message));
  const inner = new JobSource(clock);
  const source = new TappedSource(inner, tap, clock);
  const seen = async () => {
    await clock.advance(50);
    return posted.splice(0).flatMap(({ events }) => events);
  };
  return { clock, tap, inner, source, seen };
}

const RESULTS = [
  ["delivered", { kind: "delivered", status: 200 }, [200, null]],
  ["rejected", { kind: "rejected", status: 400, message: "bad" }, [400, "bad"]],
  ["rate_limited", { kind: "rate_limited", status: 429, limits: [] }, [429, null]],
] as const;

for (const [outcome, result, [status, message]] of RESULTS) {
  Deno.test(`TappedSource: a record's way is told, ${outcome}`, async () => {
    const { clock, tap, inner, source, seen } = fixture();
    tap.filters = [{ id: 1, bodies: false }];
    inner.add(["a"]);
    await clock.advance(7);
    const job = await source.next();
    await clock.advance(20);
    source.settle(job!, result);
    const [forwarding, forwarded] = await seen();
    assertEquals(
      forwarding?.stage === "forwarding" && [forwarding.lane, forwarding.waitedMs, forwarding.attempt],
      [
        3,
        7,
        1,
      ],
    );
    assertEquals(
      forwarded?.stage === "forwarded" &&
        [forwarded.outcome, forwarded.status, forwarded.message, forwarded.tookMs, forwarded.isRetried],
      [outcome, status, message, 20, false],
    );
    assertEquals(inner.settled.get("a"), result);
  });
}

Deno.test("TappedSource: what is tried again, given up and lost is told as such, and reaches the source", async () => {
  const { tap, inner, source, seen } = fixture();
  tap.filters = [{ id: 1, bodies: false }];
  inner.add(["a", "b", "c"]);
  const [a, b, c] = [await source.next(), await source.next(), await source.next()];
  const failure = { kind: "network_error", status: null, message: "refused" } as const;
  source.retryLater(a!, 10_000, failure);
  await source.deadLetter(b!, { kind: "server_error", status: 500, message: "HTTP 500" });
  source.lost(c!);
  const told = (await seen()).flatMap((event) =>
    event.stage === "forwarded" ? [[event.outcome, event.isRetried]] : []
  );
  assertEquals(told, [["network_error", true], ["server_error", false], ["lost", false]]);
  assertEquals(inner.retries.map(({ name, delayMs }) => [name, delayMs]), [["a", 10_000]]);
  assertEquals([...inner.dead.keys()], ["b"]);
});

Deno.test("TappedSource: while nobody looks nothing is told, and what was begun then has taken no time", async () => {
  const { clock, tap, inner, source, seen } = fixture();
  inner.add(["a"]);
  const job = await source.next();
  await clock.advance(50);
  assertEquals(await seen(), []);
  tap.filters = [{ id: 1, bodies: false }];
  source.settle(job!, { kind: "delivered", status: 200 });
  const [forwarded] = await seen();
  assertEquals(forwarded?.stage === "forwarded" && forwarded.tookMs, 0);
});
