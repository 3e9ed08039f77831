/** Tables and text: what the bench prints, which is also its part of the README. */
import { row } from "../support/bench_node.ts";
import {
  averageMs,
  averageNetworkMs,
  averageOfAllMs,
  type BothWays,
  type CityRow,
  quantile,
  REQUEST_KINDS,
  type Summary,
} from "./summary.ts";

const KIND_NAMES = [
  "SDK, first event after a pause (new connection)",
  "raw client, new connection",
  "SDK, next event (open connection)",
  "raw client, open connection",
];

/** Continents in which the world has PoPs; those of the others share the nearest one elsewhere. */
function onServedContinents(rows: readonly CityRow[], served: ReadonlySet<string>): CityRow[] {
  return rows.filter(({ continent }) => served.has(continent));
}

/** The report, in Markdown. */
export function renderReport(summary: Summary, served: ReadonlySet<string>): string {
  const { rows } = summary;
  const near = onServedContinents(rows, served);
  const first = averageMs(rows, 0);
  return [
    `Before and after over ${rows.length} cities, ${summary.rounds} events each per line of this table and way, ` +
    `about 1.2 KB; averages of the cities' medians, in ms. "Network" is what the round trips take, the rest is ` +
    `the origin's or the node's work, TLS, the client and the machine that plays the world (Deno ` +
    `${Deno.version.deno}, ${navigator.hardwareConcurrency} cores).`,
    "",
    row(["", "direct", "of it network", "through the nearest node", "of it network", "rest"]),
    rule(6),
    ...KIND_NAMES.map((name, kind) => {
      const [all, network] = [averageMs(rows, kind), averageNetworkMs(rows, kind)];
      return row([
        name,
        ms(all.direct),
        ms(network.direct),
        ms(all.pop),
        ms(network.pop),
        tenths(all.pop - network.pop),
      ]);
    }),
    row(["all four, every city", ...plain(averageOfAllMs(rows))]),
    row(["all four, cities on continents with a PoP", ...plain(averageOfAllMs(near))]),
    row(["first event, cities on continents with a PoP", ...plain(averageMs(near, 0))]),
    "",
    `The node alone, without a line before it, one request at a time from beside it: ${nodeLine(summary)}.`,
    "",
    verdict(summary, first, averageMs(near, 0)),
    "",
    lossText(summary),
    "",
    "<details><summary>Every city</summary>",
    "",
    row([
      "city",
      "nearest PoP",
      "round trip",
      ...REQUEST_KINDS.map(({ client, isNew }) =>
        `${client === "sdk" ? "SDK" : "raw"}, ${isNew ? "new" : "open"}`
      ),
    ]),
    rule(3 + REQUEST_KINDS.length),
    ...rows.map(({ city, pop, roundTripMs, answerMs }) =>
      row([city, pop, ...[roundTripMs, ...answerMs].map(arrow)])
    ),
    row([
      "**average**",
      "",
      arrow(averageNetworkMs(rows, 2)),
      ...REQUEST_KINDS.map((_, kind) => arrow(averageMs(rows, kind))),
    ]),
    "",
    "</details>",
  ].join("\n");
}

function nodeLine({ node }: Summary): string {
  return node.map(({ isNew, requests, p50Ms, p99Ms }) =>
    `${tenths(p50Ms)} ms at the median and ${tenths(p99Ms)} ms at the 99th percentile over ` +
    `${
      isNew ? "a new connection (TCP, TLS handshake, request)" : "an open connection"
    } (${requests} requests)`
  ).toReversed().join(", ");
}

function verdict({ rows, node }: Summary, first: BothWays, near: BothWays): string {
  const all = averageOfAllMs(rows);
  const p99Ms = node.find(({ isNew }) => !isNew)!.p99Ms;
  const met = (holds: boolean): string => holds ? "met" : "missed";
  return `Goals: an average of 80 ms or less is ${met(all.pop <= 80)} over all requests (${
    ms(all.direct)
  } to ${ms(all.pop)} ms), ${met(first.pop <= 80)} for first events alone (${ms(first.direct)} to ${
    ms(first.pop)
  } ms; ${ms(near.pop)} ms on continents with a PoP), whose three round trips alone take ${
    ms(averageNetworkMs(rows, 0).pop)
  } ms on average with these PoPs, most of it from continents without one. A node's own p99 below 5 ms is ${
    met(p99Ms < 5)
  }.`;
}

function lossText({ loss }: Summary): string {
  const {
    pop,
    cities,
    sent,
    acknowledged,
    refused,
    refusedElsewhere,
    waitingAtDeath,
    lost,
    twice,
    before,
    elsewhere,
  } = loss;
  return `**A region is lost.** ${pop}'s line to the origin is cut, some seconds later its node is killed (\`kill -9\`), ` +
    `later still its ${cities.length} cities are sent to the next PoP, and in the end the node is started again on its ` +
    `disk. Of ${sent} events ${acknowledged} were acknowledged and ${refused} not (${refusedElsewhere} of a raw client by anything but the dead node); ` +
    `${waitingAtDeath} acknowledged ones were on the dead node's disk alone. Lost: **${lost}**, arrived twice: ${twice}. ` +
    `Over open connections its cities were answered in ${ms(quantile(before, 0.5))} ms before and ` +
    `${ms(quantile(elsewhere, 0.5))} ms from elsewhere (medians).`;
}

function plain({ direct, pop }: BothWays): string[] {
  return [ms(direct), "", ms(pop), "", ""];
}

function arrow({ direct, pop }: BothWays): string {
  return `${ms(direct)} → ${ms(pop)}`;
}

function rule(columns: number): string {
  return row(Array.from({ length: columns }, () => "---"));
}

function ms(value: number): string {
  return value.toFixed(0);
}

function tenths(value: number): string {
  return value.toFixed(1);
}
