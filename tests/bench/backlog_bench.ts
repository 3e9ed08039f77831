/**
 * What a deep backlog costs: time to ready and memory with records waiting, the price of a new event meanwhile, how long a
 * new event takes to the upstream while the backlog drains, and the price of draining.
 *
 * For each depth a spool is filled, a node is started on it with its upstream down, and load is sent; then the upstream
 * comes up, load is sent again, and everything drains. CPU is the kernel's account of the node's process.
 *
 * A second table is about as many records as the deepest backlog whose projects are on hold: what passing them over
 * costs, what is in memory then, and what they cost once their projects are released.
 *
 * Usage: deno task bench:backlog [--depths 0,10000,1000000] [--requests 20000] [--clients 64] [--bytes 1200]
 */
import { benchFlags } from "./support/bench_flags.ts";
import { BenchNode, freePort, load, pause, row, runScript } from "./support/bench_node.ts";

const values = benchFlags({ depths: "0,10000,1000000", requests: "20000", clients: "64", bytes: "1200" });

const requests = Number(values.requests);

async function measure(depth: number): Promise<string[]> {
  const folder = await Deno.makeTempDir({ prefix: "landfall-bench-" });
  const filler = runScript("fill_spool.ts", `${folder}/spool`, String(depth), values.bytes);
  await filler.ended();
  const upstreamPort = freePort();
  const start = performance.now();
  const node = await BenchNode.start({
    upstreamPort,
    exposure: "load_balancer",
    lanes: "1",
    maxDiskSize: "16GiB",
    folder,
  });
  const readySeconds = (performance.now() - start) / 1000;
  const target = { port: node.port, path: "/api/1/envelope/" };
  await load(target, { ...values, requests: "5000" });
  const memoryDown = node.residentMiB();
  const before = node.cpuSeconds();
  const down = await load(target, values);
  const cpuDown = (node.cpuSeconds() - before) * 1e6 / requests;

  const sink = runScript("sink.ts", String(upstreamPort));
  await sink.line();
  const total = depth + 5000 + requests;
  const drainStart = performance.now();
  const drainCpu = node.cpuSeconds();
  while (Number(await sink.ask("count")) < total) await pause(50);
  const drainSeconds = (performance.now() - drainStart) / 1000;
  const cpuDrain = (node.cpuSeconds() - drainCpu) * 1e6 / total;
  const memoryUp = node.residentMiB();
  await node.stop();
  await sink.stop();
  return [
    depth.toLocaleString("en"),
    readySeconds.toFixed(2),
    memoryDown.toFixed(0),
    `${cpuDown.toFixed(0)}`,
    down.p99Ms.toFixed(1),
    cpuDrain.toFixed(0),
    Math.round(total / drainSeconds).toLocaleString("en"),
    memoryUp.toFixed(0),
  ];
}

const rows: string[][] = [];
for (const depth of values.depths.split(",").map(Number)) rows.push(await measure(depth));
const deepest = Math.max(...values.depths.split(",").map(Number));

async function measureHeld(shape: string, projects: number, known: number): Promise<string[]> {
  const folder = await Deno.makeTempDir({ prefix: "landfall-bench-" });
  const filler = runScript(
    "fill_spool.ts",
    `${folder}/spool`,
    String(deepest),
    values.bytes,
    String(projects),
  );
  await filler.ended();
  const reader = runScript("hold_records.ts", `${folder}/spool/p0`, String(known));
  const result = JSON.parse(await reader.line());
  await reader.ended();
  await Deno.remove(folder, { recursive: true });
  return [
    shape,
    result.held.toLocaleString("en"),
    result.passSeconds.toFixed(1),
    result.passMicros.toFixed(1),
    result.memoryMiB.toFixed(0),
    result.releaseMicros.toFixed(1),
  ];
}

const heldRows = [
  await measureHeld("one project", 1, 0),
  await measureHeld("one project, every other record somebody else's", 2, 1),
  await measureHeld("100,000 projects in turn", 100_000, 0),
];
const output = [
  `${values.requests} requests of ${values.bytes} bytes, ${values.clients} clients, one lane, load_balancer, Deno ` +
  `${Deno.version.deno}, ${navigator.hardwareConcurrency} cores`,
  "",
  row([
    "waiting at start",
    "ready after s",
    "MiB, upstream down",
    "ingest CPU µs, upstream down",
    "answer p99 ms, upstream down",
    "drain CPU µs per event",
    "drained per second",
    "MiB after",
  ]),
  row(Array.from({ length: 8 }, () => "---")),
  ...rows.map(row),
  "",
  row([
    "on hold",
    "records held",
    "passed over after s",
    "CPU µs per record",
    "MiB of the process",
    "CPU µs per record released",
  ]),
  row(Array.from({ length: 6 }, () => "---")),
  ...heldRows.map(row),
];
// deno-lint-ignore no-console
console.log(output.join("\n"));
