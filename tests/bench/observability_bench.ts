/**
 * What seeing costs, per event: a node nobody looks at, one that is scraped every second, one that also pushes statsd,
 * one that also writes a line of access log for each request, one that ships those lines to a receiver.
 *
 * The contenders take turns within each round; medians are printed. CPU is the kernel's account of the whole node,
 * writer and shipping included. Counters cannot be switched off, so what one update of them costs is measured in this
 * process.
 *
 * Usage: deno task bench:observability [--requests 20000] [--clients 64] [--rounds 5] [--bytes 1200]
 */
import { METRIC_LAYOUT, METRICS } from "../../src/telemetry/catalogue.ts";
import { Metrics } from "../../src/telemetry/registry.ts";
import { benchFlags, LOAD_FLAGS } from "./support/bench_flags.ts";
import { BenchNode, freePort, load, median, pause, row, runScript } from "./support/bench_node.ts";

const values = benchFlags(LOAD_FLAGS);
const UPDATES = 2_000_000;

interface Contender {
  readonly name: string;
  readonly node: BenchNode;
  readonly port: number;
  readonly path: string;
  /** Where to scrape; null when nobody looks. */
  readonly metricsUrl: string | null;
  readonly cpuMicros: number[];
}

/** Nanoseconds of a counter with a label, and of a histogram. */
function updateAlone(): { counter: number; histogram: number } {
  const metrics = new Metrics(METRIC_LAYOUT);
  const timed = (update: (i: number) => void): number => {
    const began = performance.now();
    for (let i = 0; i < UPDATES; i++) update(i);
    return (performance.now() - began) * 1e6 / UPDATES;
  };
  const routes = ["envelope", "store"];
  return {
    counter: timed((i) => metrics.add(METRICS.requests, 1, routes[i & 1]!, "200")),
    histogram: timed((i) => metrics.observe(METRICS.answerTime, (i & 1023) / 10_000)),
  };
}

async function contender(
  name: string,
  isScraped: boolean,
  config: Record<string, unknown>,
): Promise<Contender> {
  const admin = freePort();
  const node = await BenchNode.start({
    upstreamPort: sinkPort,
    exposure: "load_balancer",
    lanes: "1",
    config: { admin: { port: admin }, ...config },
  });
  const metricsUrl = isScraped ? `http://127.0.0.1:${admin}/metrics` : null;
  return { name, node, port: node.port, path: "/api/1/envelope/", metricsUrl, cpuMicros: [] };
}

async function scraping(url: string | null, until: AbortSignal): Promise<void> {
  while (url !== null && !until.aborted) {
    await (await fetch(url)).bytes();
    await pause(1000);
  }
}

async function round({ node, metricsUrl, ...target }: Contender): Promise<number> {
  const sunk = Number(await sink.ask("count"));
  const before = node.cpuSeconds();
  const over = new AbortController();
  const scraped = scraping(metricsUrl, over.signal);
  const { requests } = await load(target, values);
  while (Number(await sink.ask("count")) < sunk + requests) await pause(20);
  over.abort();
  await scraped;
  return (node.cpuSeconds() - before) * 1e6 / requests;
}

let shippedBytes = 0;
const receiver = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, async (request) => {
  shippedBytes += (await request.bytes()).length;
  return new Response(null, { status: 204 });
});
const folder = await Deno.makeTempDir({ prefix: "landfall-bench-" });
const sink = runScript("sink.ts");
const sinkPort = Number(await sink.line());
const statsd = { statsd: `127.0.0.1:${freePort()}` };
const accessLog = (name: string): object => ({ output: "file", path: `${folder}/${name}.log` });
const contenders = [
  await contender("nobody looks", false, {}),
  await contender("scraped every second", true, {}),
  await contender("and statsd", true, { metrics: statsd }),
  await contender("scraped, access log to a file", true, { access_log: accessLog("file") }),
  await contender("scraped, access log shipped as NDJSON", true, {
    log_shipping: [{
      name: "bench",
      type: "http",
      url: `http://127.0.0.1:${receiver.addr.port}/`,
      logs: ["access"],
    }],
  }),
];
const alone: ReturnType<typeof updateAlone>[] = [];
for (let index = -1; index < Number(values.rounds); index++) {
  if (updateAlone() && index >= 0) alone.push(updateAlone());
  for (const one of contenders) {
    const cpuMicros = await round(one);
    // The round before the first one warms the compilers up.
    if (index >= 0) one.cpuMicros.push(cpuMicros);
  }
}
for (const { node } of contenders) await node.stop();
await sink.stop();
await receiver.shutdown();
await Deno.remove(folder, { recursive: true });

const baseline = contenders[0]!.cpuMicros;
const output = [
  `${values.requests} requests of ${values.bytes} bytes, ${values.clients} clients, ${values.rounds} interleaved rounds, ` +
  `Deno ${Deno.version.deno}, ${navigator.hardwareConcurrency} cores; medians (best)`,
  "",
  row(["a node", "CPU µs per event", "more than the first, by round"]),
  row(["---", "---", "---"]),
  ...contenders.map(({ name, cpuMicros }) => {
    const more = median(cpuMicros.map((micros, index) => micros - baseline[index]!));
    return row([
      name,
      `${median(cpuMicros).toFixed(0)} (${Math.min(...cpuMicros).toFixed(0)})`,
      more.toFixed(1),
    ]);
  }),
  "",
  `One update, in this process: counter with two labels ${
    median(alone.map(({ counter }) => counter)).toFixed(0)
  } ns, histogram ${median(alone.map(({ histogram }) => histogram)).toFixed(0)} ns; ${
    (shippedBytes / 1024).toFixed(0)
  } KiB shipped`,
];
// deno-lint-ignore no-console
console.log(output.join("\n"));
