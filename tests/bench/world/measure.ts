/** What clients see: every city, both ways, SDKs and raw clients, connections that are new and such that are open. */
import { pause } from "../support/bench_node.ts";
import { RawClient, type Sent } from "./raw_client.ts";
import { sendWithSdk } from "./sdk_clients.ts";
import { type Site, type Way, WAYS, type World } from "./world.ts";

/** Kinds of clients. */
export const CLIENTS = ["sdk", "raw"] as const;

/** One of them. */
export type ClientKind = typeof CLIENTS[number];

/** Answer times of one kind of request from one city, in ms. */
export interface Series {
  readonly city: string;
  readonly way: Way;
  readonly client: ClientKind;
  readonly isNew: boolean;
  readonly times: readonly number[];
}

/** Everything that was measured, and the ids that were acknowledged. */
export interface Measured {
  readonly series: readonly Series[];
  readonly acknowledged: readonly string[];
}

/**
 * Sends `rounds` events of each kind from each city and way; cities at the same time, kinds of clients one after the other,
 * after one round that does not count, for compilers to warm up.
 *
 * @throws Error when an event is not acknowledged, or a connection was not what it was counted as
 */
export async function measureWorld(world: World, rounds: number, pauseMs: number): Promise<Measured> {
  const paths = world.sites.flatMap((site) => WAYS.map((way) => ({ site, way })));
  const rawRounds = (count: number): Promise<Sent[][]> =>
    Promise.all(paths.map(async ({ site, way }, index) => {
      // Cities do not all speak at the same moment.
      await pause(pauseMs * index / paths.length);
      return await sendRaw(site, way, count, pauseMs);
    }));
  await rawRounds(1);
  const sdk = await sendWithSdk(paths.map(({ site, way }) => world.dsn(site, way)), rounds);
  for (const { site, way } of paths) {
    const opened = await world.connections(site, way) - 1;
    if (opened !== rounds) {
      throw new Error(`${site.city.name}: the SDK opened ${opened} connections in ${rounds} rounds`);
    }
  }
  const raw = await rawRounds(rounds);
  const series = paths.flatMap(({ site, way }, index) =>
    CLIENTS.flatMap((client) =>
      [true, false].map((isNew): Series => ({
        city: site.city.name,
        way,
        client,
        isNew,
        times: timesOf((client === "sdk" ? sdk : raw)[index]!, isNew),
      }))
    )
  );
  const all = [...sdk, ...raw].flat();
  if (all.some(({ id }) => id === null)) throw new Error("An event was not acknowledged");
  return { series, acknowledged: all.map(({ id }) => id!) };
}

/** In each round an event over a new connection and one over the same. */
async function sendRaw(site: Site, way: Way, rounds: number, pauseMs: number): Promise<Sent[]> {
  const sent: Sent[] = [];
  for (let round = 0; round < rounds; round++) {
    const client = new RawClient(site.lines[way].port, site.projectId);
    sent.push(await client.send());
    await pause(pauseMs / 2);
    sent.push(await client.send());
    client.close();
    await pause(pauseMs / 2);
  }
  return sent;
}

function timesOf(sent: readonly Sent[], isNew: boolean): number[] {
  return sent.filter((one) => one.isNew === isNew).map(({ ms }) => ms);
}

/** Answer times of the nodes themselves, without a line before them. */
export interface NodeTimes {
  readonly isNew: boolean;
  readonly times: readonly number[];
}

/** Sends events to each node in turn, one at a time, from beside it; a tenth more before that, which do not count. */
export async function measureNodes(world: World, requests: number): Promise<readonly NodeTimes[]> {
  const times = new Map<boolean, number[]>([[true, []], [false, []]]);
  for (const port of world.nodePorts) {
    const client = new RawClient(port, 1);
    for (let n = -requests / 10; n < requests; n++) {
      // Every fourth one opens a connection.
      if (n % 4 === 0) client.close();
      const { id, ms, isNew } = await client.send();
      if (id === null) throw new Error("A node did not acknowledge an event");
      if (n >= 0) times.get(isNew)!.push(ms);
      await pause(5);
    }
    client.close();
  }
  return [...times].map(([isNew, times]) => ({ isNew, times }));
}
