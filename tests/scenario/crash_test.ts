/** The promise behind every 200, put to the test: the process is killed without warning, again and again. */
import { assert, assertEquals } from "@std/assert";
import { EventLoad } from "../support/event_load.ts";
import { NodeProcess } from "../support/node_process.ts";
import { report } from "../support/report.ts";
import { ScriptedUpstream } from "../support/scripted_upstream.ts";
import { pause, until } from "../support/until.ts";

const SEED = 20260123;
const KILLS = 10;
const EVERY_MS = 5;
/** Kills between these two meet a backlog, because the upstream is down. */
const OUTAGE = { from: 3, to: 6 };
/** The upstream has their answer but the disk has not: those of a checkpoint interval, and those in flight. */
const DUPLICATES_PER_KILL_MAX = 120;

Deno.test("kill -9 ten times under load: every acknowledged event arrives, few arrive twice", async () => {
  const random = randomFrom(SEED);
  await using upstream = ScriptedUpstream.start();
  upstream.behave({ delayMs: 20 });
  const http = { retry_delay: "100ms", max_retry_interval: "500ms", outage_grace_period: "500ms" };
  await using node = await NodeProcess.start({ upstream: upstream.url, config: { http } });
  const load = new EventLoad(node.url, EVERY_MS);
  try {
    for (let kill = 0; kill < KILLS; kill++) {
      if (kill === OUTAGE.from) upstream.down();
      if (kill === OUTAGE.to) upstream.up();
      await pause(200 + random() * 1_300);
      await node.kill();
      // Now and then the next kill comes while the node is still starting.
      if (random() < 0.2) {
        node.launch();
        await pause(random() * 400);
        await node.kill();
      }
      await node.startAgain();
    }
  } finally {
    await load.stop();
  }

  const lost = (): string[] => [...load.acknowledged].filter((eventId) => !upstream.accepted(eventId));
  await until("every acknowledged event arrives", () => lost().length === 0).catch(() => {});
  assertEquals(lost(), [], "no acknowledged event is lost");

  const duplicates = upstream.requests.length - upstream.byEventId().size;
  report(
    `${load.acknowledged.size} acknowledged, ${load.failed} not, ${KILLS} kills, ${duplicates} arrived again`,
  );
  assert(load.acknowledged.size > KILLS * 20, "there was load between the kills");
  assert(duplicates <= KILLS * DUPLICATES_PER_KILL_MAX, `${duplicates} duplicates`);
});

/** Numbers from 0 to 1 that are the same in every run (mulberry32). */
function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
