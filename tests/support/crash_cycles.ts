/**
 * A node that is killed without warning under load, as a whole or one half of a lane at a time, again and again, while its
 * upstream comes and goes; and what became of everything it acknowledged.
 */
import { type Clock, systemClock } from "../../src/core/clock.ts";
import type { HalfKind } from "../../src/lane/messages.ts";
import { EventLoad } from "./event_load.ts";
import { startNode } from "./node_fixture.ts";
import { NodeProcess } from "./node_process.ts";
import { ScriptedUpstream } from "./scripted_upstream.ts";
import { seededRandom } from "./seeded_random.ts";
import { pause, until } from "./until.ts";

const EVERY_MS = 5;
/** Of every ten kills those between these two meet a backlog, because the upstream is down. */
const OUTAGE = { every: 10, from: 3, to: 6 };
/** How often the next kill comes while the node is still starting. */
const KILLED_STARTING_SHARE = 0.2;
/** Longest pause before a half is replaced; the pauses of a node grow to ten seconds when halves keep dying. */
const REPLACED_AFTER_MS_MAX = 400;

/** The upstream has their answer but the disk has not: those of a checkpoint interval, and those in flight. */
export const DUPLICATES_PER_KILL_MAX = 120;

/** Options of {@link crashCycles}. */
export interface CrashPlan {
  readonly seed: number;
  readonly cycles: number;
  readonly lanes?: number;
  /** What is killed: the process, or the ingest and the forward half of its last lane in turn; default: the process. */
  readonly victim?: "node" | "half";
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

/** Something that takes events and can be killed. */
interface Victim extends AsyncDisposable {
  readonly url: string;
  /** Kills and waits until it takes events again. @returns how many kills it took */
  crash(random: () => number): Promise<number>;
}

/** Runs so many cycles of load, kill and start, then waits for everything acknowledged to arrive. */
export async function crashCycles(
  { seed, cycles, lanes = 1, victim = "node", onCycle }: CrashPlan,
): Promise<CrashResult> {
  const random = seededRandom(seed);
  await using upstream = ScriptedUpstream.start();
  upstream.behave({ delayMs: 20 });
  await using node = await (victim === "node" ? wholeNode : singleHalves)(upstream.url, lanes);
  const load = new EventLoad(node.url, EVERY_MS);
  let isUp = true;
  let kills = 0;
  const setUpstream = async (wanted: boolean): Promise<void> => {
    if (wanted !== isUp) await (wanted ? upstream.up() : upstream.down());
    isUp = wanted;
  };
  try {
    for (let cycle = 0; cycle < cycles; cycle++) {
      const place = cycle % OUTAGE.every;
      await setUpstream(place < OUTAGE.from || place >= OUTAGE.to);
      await pause(200 + random() * 1_300);
      kills += await node.crash(random);
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

const HTTP = { retry_delay: "100ms", max_retry_interval: "500ms", outage_grace_period: "500ms" };

/** A process that is killed with SIGKILL, sometimes again while it starts. */
async function wholeNode(upstream: string, lanes: number): Promise<Victim> {
  const node = await NodeProcess.start({ upstream, config: { http: HTTP, lanes } });
  return {
    url: node.url,
    async crash(random) {
      await node.kill();
      const isKilledStarting = random() < KILLED_STARTING_SHARE;
      if (isKilledStarting) {
        node.launch();
        await pause(random() * 400);
        await node.kill();
      }
      await node.startAgain();
      return isKilledStarting ? 2 : 1;
    },
    [Symbol.asyncDispose]: () => node[Symbol.asyncDispose](),
  };
}

/** A node in this process one worker of which is ended at a time, sometimes both. */
async function singleHalves(upstream: string, lanes: number): Promise<Victim> {
  const clock: Clock = Object.create(systemClock, {
    after: {
      value: (ms: number, run: () => void) => systemClock.after(Math.min(ms, REPLACED_AFTER_MS_MAX), run),
    },
  });
  const http = Object.entries(HTTP).map(([key, value]) => [`http.${key}`, value]);
  const config = { ...Object.fromEntries(http), lanes };
  const fixture = await startNode({ upstream, config, inWorkers: true, clock });
  let kind: HalfKind = "forward";
  return {
    url: fixture.url,
    async crash(random) {
      kind = kind === "forward" ? "ingest" : "forward";
      fixture.die(kind);
      const areBothKilled = random() < KILLED_STARTING_SHARE;
      if (areBothKilled) fixture.die(kind === "forward" ? "ingest" : "forward");
      await until("the lane is whole again", () => fixture.node.status().phase === "ready");
      return areBothKilled ? 2 : 1;
    },
    [Symbol.asyncDispose]: () => fixture[Symbol.asyncDispose](),
  };
}
