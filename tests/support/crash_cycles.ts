/**
 * A node that is killed without warning under load, again and again, while its upstream comes and goes; and what became of
 * everything it acknowledged.
 */
import { EventLoad } from "./event_load.ts";
import { NodeProcess } from "./node_process.ts";
import { ScriptedUpstream } from "./scripted_upstream.ts";
import { seededRandom } from "./seeded_random.ts";
import { pause, until } from "./until.ts";

const EVERY_MS = 5;
/** Of every ten kills those between these two meet a backlog, because the upstream is down. */
const OUTAGE = { every: 10, from: 3, to: 6 };
/** How often the next kill comes while the node is still starting. */
const KILLED_STARTING_SHARE = 0.2;

/** The upstream has their answer but the disk has not: those of a checkpoint interval, and those in flight. */
export const DUPLICATES_PER_KILL_MAX = 120;

/** Options of {@link crashCycles}. */
export interface CrashPlan {
  readonly seed: number;
  readonly cycles: number;
  readonly lanes?: number;
  /** Called after each start that follows a kill, with how many cycles are done and how many events are acknowledged. */
  readonly onCycle?: (done: number, acknowledged: number) => void;
}

/** What a run came to. */
export interface CrashResult {
  readonly acknowledged: number;
  /** Requests that got another answer than 200, or none. */
  readonly failed: number;
  /** Kills, those during a start included. */
  readonly kills: number;
  /** Ids that were acknowledged and have not arrived. */
  readonly lost: readonly string[];
  /** Requests upstream beyond the first of their id. */
  readonly duplicates: number;
}

/** Runs so many cycles of load, kill -9 and start, then waits for everything acknowledged to arrive. */
export async function crashCycles({ seed, cycles, lanes = 1, onCycle }: CrashPlan): Promise<CrashResult> {
  const random = seededRandom(seed);
  await using upstream = ScriptedUpstream.start();
  upstream.behave({ delayMs: 20 });
  const http = { retry_delay: "100ms", max_retry_interval: "500ms", outage_grace_period: "500ms" };
  await using node = await NodeProcess.start({ upstream: upstream.url, config: { http, lanes } });
  const load = new EventLoad(node.url, EVERY_MS);
  let isUp = true;
  let kills = 0;
  const setUpstream = async (wanted: boolean): Promise<void> => {
    if (wanted !== isUp) await (wanted ? upstream.up() : upstream.down());
    isUp = wanted;
  };
  const kill = async (): Promise<void> => {
    kills++;
    await node.kill();
  };
  try {
    for (let cycle = 0; cycle < cycles; cycle++) {
      const place = cycle % OUTAGE.every;
      await setUpstream(place < OUTAGE.from || place >= OUTAGE.to);
      await pause(200 + random() * 1_300);
      await kill();
      if (random() < KILLED_STARTING_SHARE) {
        node.launch();
        await pause(random() * 400);
        await kill();
      }
      await node.startAgain();
      onCycle?.(cycle + 1, load.acknowledged.size);
    }
    await setUpstream(true);
  } finally {
    await load.stop();
  }
  const lost = (): string[] => [...load.acknowledged].filter((eventId) => !upstream.accepted(eventId));
  await until("every acknowledged event arrives", () => lost().length === 0).catch(() => {});
  return {
    acknowledged: load.acknowledged.size,
    failed: load.failed,
    kills,
    lost: lost(),
    duplicates: upstream.requests.length - upstream.byEventId().size,
  };
}
