/**
 * What a further lane brings: answers per second and CPU per event with each number of lanes, in both exposures, for few
 * and for many clients.
 *
 * Every combination takes its turn within each round; medians are printed. CPU is the kernel's account of the node's
 * process, and a round ends when all of its events have arrived upstream. Load generator and upstream run on the same
 * processors, so answers per second only grow with the lanes where processors are left over for them; the CPU per event
 * says what a lane adds by itself.
 *
 * Usage: deno task bench:lanes [--lanes 1,2] [--clients 64,256] [--requests 20000] [--rounds 5] [--bytes 1200]
 */
import { benchFlags, LOAD_FLAGS } from "./support/bench_flags.ts";
import { BenchNode, type Load, load, median, pause, row, runScript } from "./support/bench_node.ts";

const values = benchFlags({ ...LOAD_FLAGS, lanes: "1,2", clients: "64,256" });

interface Round extends Load {
  readonly cpuMicros: number;
  /** Until the last event arrived upstream. */
  readonly deliveredPerSecond: number;
}

interface Contender {
  readonly exposure: string;
  readonly lanes: string;
  readonly node: BenchNode;
  readonly rounds: Map<string, Round[]>;
}

const listed = (text: string): string[] => text.split(",");

const sink = runScript("sink.ts");
const upstreamPort = Number(await sink.line());
const contenders: Contender[] = [];
for (const exposure of ["load_balancer", "internet"]) {
  for (const lanes of listed(values.lanes)) {
    const node = await BenchNode.start({ upstreamPort, exposure, lanes });
    const rounds = new Map<string, Round[]>(listed(values.clients).map((clients) => [clients, []]));
    contenders.push({ exposure, lanes, node, rounds });
  }
}

async function measure(node: BenchNode, clients: string): Promise<Round> {
  const sunk = Number(await sink.ask("count"));
  const cpu = node.cpuSeconds();
  const start = performance.now();
  const result = await load({ port: node.port, path: "/api/1/envelope/" }, { ...values, clients });
  while (Number(await sink.ask("count")) < sunk + result.requests) await pause(20);
  return {
    ...result,
    cpuMicros: (node.cpuSeconds() - cpu) * 1e6 / result.requests,
    deliveredPerSecond: result.requests / ((performance.now() - start) / 1000),
  };
}

for (let round = -1; round < Number(values.rounds); round++) {
  for (const clients of listed(values.clients)) {
    for (const { node, rounds } of contenders) {
      const result = await measure(node, clients);
      // The round before the first one warms the compilers up.
      if (round >= 0) rounds.get(clients)!.push(result);
    }
  }
}
const memory = contenders.map(({ node }) => node.residentMiB().toFixed(0));
for (const { node } of contenders) await node.stop();
await sink.stop();

const middle = (all: readonly Round[], of: (round: Round) => number, digits = 0): string =>
  median(all.map(of)).toFixed(digits);
const output = [
  `${values.requests} requests of ${values.bytes} bytes, ${values.rounds} interleaved rounds, Deno ` +
  `${Deno.version.deno}, ${navigator.hardwareConcurrency} cores; medians`,
  "",
  row([
    "exposure",
    "clients",
    "lanes",
    "answers per second",
    "arrived per second",
    "CPU µs per event",
    "p50 ms",
    "p99 ms",
    "refused",
    "MiB",
  ]),
  row(Array.from({ length: 10 }, () => "---")),
  ...contenders.flatMap(({ exposure, lanes, rounds }, index) =>
    [...rounds].map(([clients, all]) =>
      row([
        exposure,
        clients,
        lanes,
        middle(all, (round) => round.requests / round.seconds),
        middle(all, (round) => round.deliveredPerSecond),
        middle(all, (round) => round.cpuMicros),
        middle(all, (round) => round.p50Ms, 2),
        middle(all, (round) => round.p99Ms, 2),
        String(all.reduce((sum, round) => sum + round.refused, 0)),
        memory[index]!,
      ])
    )
  ),
];
// deno-lint-ignore no-console
console.log(output.join("\n"));
