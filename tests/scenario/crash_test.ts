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
/** Records of which the upstream has the answer but the disk has not: a checkpoint interval's, and those in flight. */
const DUPLICATES_PER_KILL_MAX = 120;

Deno.test("kill -9 ten times under load: every acknowledged event arrives, few arrive twice", async () => {
  const random = randomFrom(SEED);
  await using upstream = await ScriptedUpstream.start();
  upstream.behave({ status: 200, delayMs: 20 });
  await using node = await NodeProcess.start({ upstream: upstream.url });
  const load = new EventLoad(node.url, EVERY_MS);
  try {
    for (let kill = 0; kill < KILLS; kill++) {
      await pause(200 + random() * 800);
      await node.kill();
      await node.startAgain();
    }
  } finally {
    await load.stop();
  }

  const lost = () => [...load.acknowledged].filter((eventId) => !upstream.accepted(eventId));
  await until("every acknowledged event arrives", () => lost().length === 0).catch(() => {});
  assertEquals(lost(), []);

  const { requests } = upstream;
  const duplicates = requests.length - new Set(requests.map(({ eventId }) => eventId)).size;
  report(`${load.acknowledged.size} acknowledged, ${load.failed} not, ${KILLS} kills, ${duplicates} arrived again`);
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
