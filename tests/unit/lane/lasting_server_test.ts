import { assertEquals } from "@std/assert";
import { LastingServer } from "../../../src/lane/lasting_server.ts";
import { ManualClock } from "../../support/manual_clock.ts";

function scripted() {
  const ends: PromiseWithResolvers<void>[] = [];
  let refusals = 0;
  const clock = new ManualClock();
  const server = new LastingServer(clock, (previous: { index: number } | null) => {
    if (refusals > 0) {
      refusals--;
      throw new Error("no descriptor");
    }
    const end = Promise.withResolvers<void>();
    ends.push(end);
    return {
      index: previous ? previous.index + 1 : 0,
      finished: end.promise,
      shutdown: () => Promise.resolve(end.resolve()),
    };
  });
  return { clock, server, ends, refuse: (times: number) => void (refusals = times) };
}

Deno.test("LastingServer: listens again after a pause that grows while it cannot", async () => {
  const { clock, server, ends, refuse } = scripted();
  refuse(2);
  ends[0]!.reject(new Error("EMFILE"));
  await clock.advance(99);
  assertEquals(server.current.index, 0);
  await clock.advance(1);
  await clock.advance(200);
  assertEquals([server.current.index, ends.length], [0, 1]);
  await clock.advance(400);
  assertEquals([server.current.index, ends.length], [1, 2]);
  ends[1]!.reject(new Error("EMFILE"));
  await clock.advance(100);
  assertEquals(server.current.index, 2, "the pause starts over");
  await server.shutdown();
});

Deno.test("LastingServer: one that was shut down stays shut", async () => {
  const { clock, server, ends } = scripted();
  ends[0]!.reject(new Error("EMFILE"));
  await clock.advance(10);
  await server.shutdown();
  await clock.advance(60_000);
  assertEquals(ends.length, 1);
});

Deno.test("LastingServer: a reader that never ends holds up the end for a second at most", async () => {
  const clock = new ManualClock();
  const never = new Promise<void>(() => {});
  const server = new LastingServer(clock, () => ({ finished: never, shutdown: () => never }));
  let isShut = false;
  const shut = server.shutdown().then(() => isShut = true);
  await clock.advance(999);
  assertEquals(isShut, false);
  await clock.advance(1);
  await shut;
});
