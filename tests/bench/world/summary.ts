/** What was measured, made into the few numbers that are shown. */
import type { Loss } from "./lost_region.ts";
import type { ClientKind, Measured, NodeTimes } from "./measure.ts";
import { type Way, WAYS, type World } from "./world.ts";

/** A number for each way. */
export type BothWays = Readonly<Record<Way, number>>;

/** A kind of request. */
export interface RequestKind {
  readonly client: ClientKind;
  readonly isNew: boolean;
}

/** All kinds, the one of the chart first. */
export const REQUEST_KINDS: readonly RequestKind[] = [
  { client: "sdk", isNew: true },
  { client: "raw", isNew: true },
  { client: "sdk", isNew: false },
  { client: "raw", isNew: false },
];

/** Round trips of a request: TCP, TLS 1.3 and the request itself, or that alone. */
export function roundTrips({ isNew }: RequestKind): number {
  return isNew ? 3 : 1;
}

/** One city. */
export interface CityRow {
  readonly city: string;
  readonly continent: string;
  readonly pop: string;
  readonly roundTripMs: BothWays;
  /** Medians, in the order of {@link REQUEST_KINDS}. */
  readonly answerMs: readonly BothWays[];
}

/** Everything that table, chart and text are made of. */
export interface Summary {
  readonly rows: readonly CityRow[];
  readonly originMs: number;
  /** Events that were sent by each kind from each city, on each way. */
  readonly rounds: number;
  readonly node: readonly {
    readonly isNew: boolean;
    readonly requests: number;
    p50Ms: number;
    p99Ms: number;
  }[];
  readonly loss: Loss;
}

/** Sums up; before the world is gone. */
export function summarise(
  world: World,
  measured: Measured,
  nodes: readonly NodeTimes[],
  loss: Loss,
): Summary {
  const rows = world.sites.map((site): CityRow => {
    const { name, continent } = site.city;
    const answered = ({ client, isNew }: RequestKind): BothWays =>
      bothWays((way) =>
        quantile(
          measured.series.find((one) =>
            one.city === name && one.way === way && one.client === client && one.isNew === isNew
          )!.times,
          0.5,
        )
      );
    return {
      city: name,
      continent,
      pop: world.popOf(site.city).name,
      roundTripMs: bothWays((way) => world.roundTripMs(site, way)),
      answerMs: REQUEST_KINDS.map(answered),
    };
  });
  const node = nodes.map(({ isNew, times }) => ({
    isNew,
    requests: times.length,
    p50Ms: quantile(times, 0.5),
    p99Ms: quantile(times, 0.99),
  }));
  const { originMs } = world.map.model;
  return { rows, originMs, rounds: measured.series[0]!.times.length, node, loss };
}

/** Mean over cities of a kind's medians. */
export function averageMs(rows: readonly CityRow[], kind: number): BothWays {
  return bothWays((way) => mean(rows.map(({ answerMs }) => answerMs[kind]![way])));
}

/** The part of {@link averageMs} that is spent on the lines. */
export function averageNetworkMs(rows: readonly CityRow[], kind: number): BothWays {
  return bothWays((way) =>
    roundTrips(REQUEST_KINDS[kind]!) * mean(rows.map(({ roundTripMs }) => roundTripMs[way]))
  );
}

/** Mean over cities and all kinds. */
export function averageOfAllMs(rows: readonly CityRow[]): BothWays {
  return bothWays((way) => mean(REQUEST_KINDS.map((_, kind) => averageMs(rows, kind)[way])));
}

/** A quantile of some times; NaN when there are none. */
export function quantile(times: readonly number[], q: number): number {
  const sorted = times.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] ?? NaN;
}

function mean(numbers: readonly number[]): number {
  return numbers.reduce((sum, number) => sum + number, 0) / numbers.length;
}

function bothWays(of: (way: Way) => number): BothWays {
  const [direct, pop] = WAYS.map(of);
  return { direct: direct!, pop: pop! };
}
