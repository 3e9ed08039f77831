/**
 * How long an answer takes at half load, with the upstream up, slow (every answer after two seconds) and dead.
 *
 * One node for each upstream. How many answers a second are possible is measured first, by as many clients as the load has
 * connections, the upstream up; half of that is then offered to each node at a steady rate, whatever the answers do.
 * Times count from the moment a request was due, so a stall is charged with all that would have come meanwhile, and they
 * contain the load generator's own lateness, which a bare `Deno.serve` under the same rate shows.
 *
 * Usage: deno task bench:latency [--rate N] [--clients 64] [--seconds 10] [--rounds 3] [--exposure load_balancer]
 */
import { benchFlags } from "./support/bench_flags.ts";
import {
  BenchNode,
  freePort,
  type Load,
  load,
  median,
  pacedLoad,
  row,
  runScript,
} from "./support/bench_node.ts";
import { cpuSeconds } from "./support/contender.ts";

const values = benchFlags({
  rate: null,
  clients: "64",
  seconds: "10",
  rounds: "3",
  bytes: "1200",
  lanes: "1",
  exposure: "load_balancer",
});

const SLOW_MS = 2000;
const path = "/api/1/envelope/";

interface Round extends Load {
  readonly cpuMicros: number;
}

interface Contender {
  readonly name: string;
  readonly port: number;
  readonly rounds: Round[];
  cpuSeconds(): number;
  stop(): Promise<void>;
}

async function landfall(name: string, upstreamPort: number): Promise<Contender> {
  const { exposure, lanes } = values;
  const node = await BenchNode.start({ upstreamPort, exposure, lanes });
  return {
    name: `upstream ${name}`,
    port: node.port,
    rounds: [],
    cpuSeconds: () => node.cpuSeconds(),
    stop: () => node.stop(),
  };
}

const bare = runScript("bare_server.ts");
const upstream = runScript("sink.ts", "0");
const slow = runScript("sink.ts", "0", String(SLOW_MS));
const contenders: Contender[] = [
  {
    name: "bare Deno.serve, body read",
    port: Number(await bare.line()),
    rounds: [],
    cpuSeconds: () => cpuSeconds(bare.pid),
    stop: () => bare.stop(),
  },
  await landfall("up", Number(await upstream.line())),
  await landfall(`slow, ${SLOW_MS / 1000} s`, Number(await slow.line())),
  await landfall("dead", freePort()),
];

/** Answers per second when the upstream is up; what is offered is half of it. */
async function capacity(): Promise<number> {
  const seen: number[] = [];
  for (let round = 0; round < 4; round++) {
    const { requests, seconds } = await load({ port: contenders[1]!.port, path }, {
      ...values,
      requests: "20000",
    });
    // The first one warms the compilers up.
    if (round > 0) seen.push(requests / seconds);
  }
  return median(seen);
}

const most = await capacity();
const rate = values.rate === null ? most / 2 : Number(values.rate);
for (let round = -1; round < Number(values.rounds); round++) {
  for (const contender of contenders) {
    const before = contender.cpuSeconds();
    const result = await pacedLoad({ port: contender.port, path }, { ...values, rate });
    const cpuMicros = (contender.cpuSeconds() - before) * 1e6 / result.requests;
    if (round >= 0) contender.rounds.push({ ...result, cpuMicros });
  }
}
for (const contender of contenders) await contender.stop();
await slow.stop();
await upstream.stop();

const middle = (all: readonly Round[], of: (round: Round) => number, digits = 0): string =>
  median(all.map(of)).toFixed(digits);
const output = [
  `${Math.round(rate)} requests a second of ${values.bytes} bytes over ${values.clients} connections ` +
  `(${Math.round(most)} were possible), ${values.rounds} interleaved rounds of ${values.seconds} s, ` +
  `${values.lanes} lane(s), ${values.exposure}, Deno ${Deno.version.deno}, ${navigator.hardwareConcurrency} cores; medians`,
  "",
  row(["contender", "p50 ms", "p99 ms", "worst p99 ms", "answers per second", "CPU µs per event", "refused"]),
  row(Array.from({ length: 7 }, () => "---")),
  ...contenders.map(({ name, rounds }) =>
    row([
      name,
      middle(rounds, (round) => round.p50Ms, 2),
      middle(rounds, (round) => round.p99Ms, 2),
      Math.max(...rounds.map((round) => round.p99Ms)).toFixed(2),
      middle(rounds, (round) => round.requests / round.seconds),
      middle(rounds, (round) => round.cpuMicros),
      String(rounds.reduce((sum, round) => sum + round.refused, 0)),
    ])
  ),
];
// deno-lint-ignore no-console
console.log(output.join("\n"));
