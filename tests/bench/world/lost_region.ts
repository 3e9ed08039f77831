/**
 * A region is lost and comes back: first its line to the origin, so that what it acknowledges waits on its disk; then its node
 * by `kill -9`; then routing notices and sends its clients to the next PoP; at the end the node starts again on its disk.
 */
import { pause } from "../support/bench_node.ts";
import { RawClient, type Sent } from "./raw_client.ts";
import { sendWithSdk } from "./sdk_clients.ts";
import type { Site, World } from "./world.ts";

/** How long each part lasts. */
export interface LossPlan {
  readonly pop: string;
  /** Everything is well; and again the end, after the region is back. */
  readonly calmMs: number;
  /** The line to the origin is cut. */
  readonly isolatedMs: number;
  /** The node is dead and clients are still sent there. */
  readonly unnoticedMs: number;
  /** Clients are sent to the next PoP. */
  readonly goneMs: number;
  /** Between two events of a city. */
  readonly intervalMs: number;
  /** Rounds of the SDKs, which send at the same time. */
  readonly sdkRounds: number;
}

/** What became of it. */
export interface Loss {
  readonly pop: string;
  /** Cities whose nearest PoP it is. */
  readonly cities: readonly string[];
  readonly sent: number;
  readonly acknowledged: number;
  /** Not acknowledged. */
  readonly refused: number;
  /** Of those of raw clients: not by the dead node while clients were sent there. */
  readonly refusedElsewhere: number;
  /** Acknowledged by the region and not yet at the origin when its node was killed. */
  readonly waitingAtDeath: number;
  /** Acknowledged and never arrived. */
  readonly lost: number;
  /** Arrived more than once. */
  readonly twice: number;
  /** Answer times of the region's cities over open connections, ms: before, and from the next PoP. */
  readonly before: readonly number[];
  readonly elsewhere: readonly number[];
}

/** What was under way when clients were sent elsewhere has failed by then. */
const NOTICED_WITHIN_MS = 1000;
const ARRIVES_WITHIN_MS = 60_000;

interface Timed extends Sent {
  readonly site: Site;
  readonly endedMs: number;
}

/** Loses a region under load, all cities sending. */
export async function loseRegion(world: World, plan: LossPlan): Promise<Loss> {
  const { pop } = plan;
  const isOurs = ({ city }: Site): boolean => world.popOf(city).name === pop;
  const ours = new Set(world.sites.filter(isOurs));
  const stop = new AbortController();
  const timed: Timed[] = [];
  const sending = world.sites.map((site) => sendOn(site, plan.intervalMs, timed, stop.signal));
  const sdk = sendWithSdk(world.sites.map((site) => world.dsn(site, "pop")), plan.sdkRounds);

  await pause(plan.calmMs);
  const isolatedMs = performance.now();
  await world.isolate(pop);
  await pause(plan.isolatedMs);
  const killedMs = performance.now();
  await world.kill(pop);
  const arrivedAtDeath = new Set(await world.arrived());
  await pause(plan.unnoticedMs);
  await world.withdraw(pop);
  const withdrawnMs = performance.now();
  await pause(plan.goneMs);
  const restoredMs = performance.now();
  await world.restore(pop);
  await pause(plan.calmMs);
  stop.abort();
  await Promise.all(sending);
  const sdkSent = (await sdk).flat();

  const all: readonly Sent[] = [...timed, ...sdkSent];
  const acknowledged = all.flatMap(({ id }) => id ?? []);
  const arrived = await untilArrived(world, acknowledged);
  const kept = (fromMs: number, toMs: number): number[] =>
    timed.filter(({ site, isNew, id, endedMs }) =>
      ours.has(site) && !isNew && id !== null && endedMs > fromMs && endedMs < toMs
    ).map(({ ms }) => ms);
  return {
    pop,
    cities: [...ours].map(({ city }) => city.name),
    sent: all.length,
    acknowledged: acknowledged.length,
    refused: all.length - acknowledged.length,
    refusedElsewhere:
      timed.filter(({ site, id, endedMs }) =>
        id === null && (!ours.has(site) || endedMs < killedMs || endedMs > withdrawnMs + NOTICED_WITHIN_MS)
      ).length,
    waitingAtDeath:
      timed.filter(({ site, id, endedMs }) =>
        ours.has(site) && id !== null && endedMs < killedMs && !arrivedAtDeath.has(id)
      ).length,
    lost: acknowledged.filter((id) => !arrived.has(id)).length,
    twice: acknowledged.filter((id) => arrived.get(id)! > 1).length,
    before: kept(0, isolatedMs),
    elsewhere: kept(withdrawnMs, restoredMs),
  };
}

/** One event after the other over one connection, opened again when it broke. */
async function sendOn(site: Site, intervalMs: number, timed: Timed[], stop: AbortSignal): Promise<void> {
  const client = new RawClient(site.lines.pop.port, site.projectId);
  await pause(intervalMs * Math.random());
  while (!stop.aborted) {
    const sent = await client.send();
    timed.push({ ...sent, site, endedMs: performance.now() });
    await pause(intervalMs);
  }
  client.close();
}

/** Waits until all these have arrived, or long enough. @returns how often each id did */
async function untilArrived(world: World, ids: readonly string[]): Promise<Map<string, number>> {
  const deadline = performance.now() + ARRIVES_WITHIN_MS;
  for (;;) {
    const counts = new Map<string, number>();
    for (const id of await world.arrived()) counts.set(id, (counts.get(id) ?? 0) + 1);
    if (ids.every((id) => counts.has(id)) || performance.now() > deadline) return counts;
    await pause(200);
  }
}
