/**
 * What it costs that lanes are uneven, which they are when the kernel spreads connections, and connections stay.
 *
 * First table: as many records as `--depth` wait, all of them in the partition of one lane or the same number in each;
 * how quickly they drain, and how many requests the upstream has at once, if it answers at once and after `--delay` ms.
 * Second table: answers a second when all connections lead to one of two lanes, when they are spread evenly, and when they
 * are those that the kernel has spread.
 *
 * Usage: deno task bench:uneven [--depth 100000] [--delay 50] [--clients 64] [--requests 20000] [--rounds 5] [--bytes 1200]
 */
import { benchFlags, LOAD_FLAGS } from "./support/bench_flags.ts";
import {
  BenchNode,
  freePort,
  laneLoad,
  type Load,
  load,
  median,
  pause,
  row,
  runScript,
} from "./support/bench_node.ts";

const values = benchFlags({ ...LOAD_FLAGS, depth: "100000", delay: "50" });
const depth = Number(values.depth);

/** How a backlog lies in the partitions of a node. */
interface Backlog {
  readonly name: string;
  readonly lanes: string;
  /** Partitions that have some of it. */
  readonly filled: string;
}

const BACKLOGS: readonly Backlog[] = [
  { name: "one lane", lanes: "1", filled: "1" },
  { name: "two lanes, all in one", lanes: "2", filled: "1" },
  { name: "two lanes, half in each", lanes: "2", filled: "2" },
];

async function drain({ name, lanes, filled }: Backlog, delayMs: string): Promise<string[]> {
  const folder = await Deno.makeTempDir({ prefix: "landfall-bench-" });
  await runScript("fill_spool.ts", `${folder}/spool`, values.depth, values.bytes, "64", filled).ended();
  const upstreamPort = freePort();
  const sink = runScript("sink.ts", String(upstreamPort), delayMs);
  await sink.line();
  const node = await BenchNode.start({ upstreamPort, exposure: "load_balancer", lanes, folder });
  const arrived = async (): Promise<number> => Number(await sink.ask("count"));
  const [startMs, before] = [performance.now(), await arrived()];
  while (await arrived() < depth) await pause(20);
  const seconds = (performance.now() - startMs) / 1000;
  const peak = await sink.ask("peak");
  await node.stop();
  await sink.stop();
  return [name, delayMs, Math.round((depth - before) / seconds).toLocaleString("en"), peak];
}

const half = String(Number(values.clients) / 2);
const SPREADS: Readonly<Record<string, readonly string[] | null>> = {
  "all to one lane": [values.clients, "0"],
  "half to each": [half, half],
  "as the kernel does": null,
};

async function spread(): Promise<string[][]> {
  const sink = runScript("sink.ts");
  const upstreamPort = Number(await sink.line());
  const node = await BenchNode.start({ upstreamPort, exposure: "load_balancer", lanes: "2" });
  const target = { port: node.port, path: "/api/1/envelope/" };
  const rounds = new Map<string, Load[]>(Object.keys(SPREADS).map((name) => [name, []]));
  for (let round = -1; round < Number(values.rounds); round++) {
    for (const [name, perLane] of Object.entries(SPREADS)) {
      const result = perLane === null
        ? await load(target, values)
        : await laneLoad(target, { ...values, folder: node.folder, perLane });
      if (round >= 0) rounds.get(name)!.push(result);
    }
  }
  await node.stop();
  await sink.stop();
  return [...rounds].map(([name, loads]) => [
    name,
    Math.round(median(loads.map(({ requests, seconds }) => requests / seconds))).toLocaleString("en"),
    median(loads.map(({ p50Ms }) => p50Ms)).toFixed(1),
    median(loads.map(({ p99Ms }) => p99Ms)).toFixed(1),
  ]);
}

const drained: string[][] = [];
for (const delayMs of ["0", values.delay]) {
  for (const backlog of BACKLOGS) drained.push(await drain(backlog, delayMs));
}
const output = [
  `${depth.toLocaleString("en")} records of ${values.bytes} bytes waiting; ${values.clients} connections, ` +
  `${values.requests} requests, ${values.rounds} interleaved rounds; Deno ${Deno.version.deno}, ` +
  `${navigator.hardwareConcurrency} cores; medians`,
  "",
  row(["backlog", "upstream answers after ms", "drained per second", "most requests at once"]),
  row(Array.from({ length: 4 }, () => "---")),
  ...drained.map(row),
  "",
  row(["connections", "answers per second", "p50 ms", "p99 ms"]),
  row(Array.from({ length: 4 }, () => "---")),
  ...(await spread()).map(row),
];
// deno-lint-ignore no-console
console.log(output.join("\n"));
