/**
 * What endpoints cost: CPU of a node per event, taken and forwarded, with 1, 3 and 16 endpoints, plain and TLS; all take
 * their turn within each round, medians are printed.
 *
 * With --compare: the same three endpoints with the same faults behind a node and behind HAProxy (leastconn, retries,
 * redispatch, checks), in turn; how many requests clients saw fail or wait, and how many events never arrived.
 *
 * Usage: deno task bench:upstream [--compare] [--endpoints 1,3,16] [--requests 10000] [--rounds 5]
 */
import { benchFlags, LOAD_FLAGS } from "./support/bench_flags.ts";
import { TEST_ROOT } from "../support/test_certificate.ts";
import {
  answering,
  BenchNode,
  freePort,
  load,
  median,
  pacedLoad,
  pause,
  row,
  runScript,
} from "./support/bench_node.ts";
import { Child } from "./support/contender.ts";

const values = benchFlags({ ...LOAD_FLAGS, compare: false, endpoints: "1,3,16", requests: "10000" });

const PATH = "/api/1/envelope/";

function nodeFor(ports: readonly string[], kind: string): Promise<BenchNode> {
  const isTls = kind === "tls";
  const upstream = {
    url: isTls ? "https://localhost/" : "http://localhost/",
    endpoints: ports.map((port) => ({ address: `127.0.0.1:${port}` })),
    probe_interval: "1s",
    ...isTls && { tls: { ca: TEST_ROOT } },
  };
  return BenchNode.start({
    upstreamPort: Number(ports[0]),
    exposure: "load_balancer",
    lanes: "1",
    config: { upstreams: { default: upstream } },
  });
}

async function costs(): Promise<string[]> {
  const contenders = [];
  for (const kind of ["plain", "tls"]) {
    for (const count of values.endpoints.split(",")) {
      const sinks = runScript("endpoint_sinks.ts", count, kind);
      const node = await nodeFor((await sinks.line()).split(" "), kind);
      contenders.push({ kind, count, sinks, node, micros: [] as number[] });
    }
  }
  for (let round = -1; round < Number(values.rounds); round++) {
    for (const { sinks, node, micros } of contenders) {
      const [arrived, cpu] = [Number(await sinks.ask("count")), node.cpuSeconds()];
      const { requests } = await load({ port: node.port, path: PATH }, values);
      while (Number(await sinks.ask("count")) < arrived + requests) await pause(20);
      // The round before the first one warms the compilers up.
      if (round >= 0) micros.push((node.cpuSeconds() - cpu) * 1e6 / requests);
    }
  }
  for (const { node, sinks } of contenders) {
    await node.stop();
    await sinks.stop();
  }
  return [
    `${values.requests} events of ${values.bytes} bytes, ${values.rounds} interleaved rounds, Deno ` +
    `${Deno.version.deno}, ${navigator.hardwareConcurrency} cores; medians of CPU µs per event, all of the node`,
    "",
    row(["upstream", "endpoints", "CPU µs per event", "least", "most"]),
    row(Array.from({ length: 5 }, () => "---")),
    ...contenders.map(({ kind, count, micros }) =>
      row([
        kind,
        count,
        median(micros).toFixed(0),
        Math.min(...micros).toFixed(0),
        Math.max(...micros).toFixed(0),
      ])
    ),
  ];
}

/** Faults of one endpoint of three, and how they end. */
const FAULTS: readonly (readonly [name: string, begin: readonly string[], end: readonly string[]])[] = [
  ["none", [], []],
  ["one dead", ["down 0"], ["up 0"]],
  ["one takes 1 s", ["slow 0 1000"], ["slow 0 0"]],
  ["one answers 503", ["fail 0 503"], ["fail 0 0"]],
  ["all dead", ["down 0", "down 1", "down 2"], ["up 0", "up 1", "up 2"]],
];
const RATE = 200;
const SECONDS = "6";

async function compare(): Promise<string[]> {
  const sinks = runScript("endpoint_sinks.ts", "3", "plain");
  const ports = (await sinks.line()).split(" ");
  const node = await nodeFor(ports, "plain");
  const haproxy = await startHaproxy(ports);
  const rows: string[] = [];
  for (const [name, begin, end] of FAULTS) {
    for (
      const contender of [{ name: "landfall", port: node.port }, { name: "HAProxy", port: haproxy.port }]
    ) {
      const arrived = Number(await sinks.ask("count"));
      // The load begins and ends with nothing wrong.
      const loading = pacedLoad({ port: contender.port, path: PATH }, {
        ...values,
        rate: RATE,
        seconds: SECONDS,
      });
      await pause(1500);
      for (const command of begin) await sinks.ask(command);
      await pause(3000);
      for (const command of end) await sinks.ask(command);
      const { requests, refused, p50Ms, p99Ms } = await loading;
      let got = 0;
      for (let waits = 0; waits < 200; waits++) {
        got = Number(await sinks.ask("count")) - arrived;
        if (got >= requests) break;
        await pause(100);
      }
      const lost = Math.max(0, requests - refused - got);
      const cells = [requests, refused, lost].map(String);
      rows.push(row([name, contender.name, ...cells, p50Ms.toFixed(1), p99Ms.toFixed(1)]));
    }
  }
  await node.stop();
  await haproxy.stop();
  await sinks.stop();
  return [
    `${RATE} events a second for ${SECONDS} s, the fault for half of it; three endpoints`,
    "",
    row(["fault", "in front", "requests", "failed for clients", "taken and lost", "p50 ms", "p99 ms"]),
    row(Array.from({ length: 7 }, () => "---")),
    ...rows,
  ];
}

async function startHaproxy(ports: readonly string[]): Promise<{ port: number; stop(): Promise<void> }> {
  const port = freePort();
  const folder = await Deno.makeTempDir({ prefix: "landfall-bench-" });
  const servers = ports.map((server, index) =>
    `  server s${index} 127.0.0.1:${server} check inter 1s fall 3 rise 2 observe layer7 error-limit 5 on-error mark-down`
  );
  const config = [
    "defaults",
    "  mode http",
    "  timeout connect 1s",
    "  timeout client 10s",
    "  timeout server 5s",
    "  retries 3",
    "  option redispatch 1",
    "  retry-on all-retryable-errors",
    "  option httpchk GET /api/0/relays/live/",
    "frontend in",
    `  bind 127.0.0.1:${port}`,
    "  default_backend out",
    "backend out",
    "  balance leastconn",
    ...servers,
    "",
  ].join("\n");
  await Deno.writeTextFile(`${folder}/haproxy.cfg`, config);
  const child = new Child("haproxy", ["-db", "-q", "-f", `${folder}/haproxy.cfg`]);
  await answering(`http://127.0.0.1:${port}/`);
  return {
    port,
    async stop() {
      await child.stop();
      await Deno.remove(folder, { recursive: true });
    },
  };
}

const lines: string[] = values.compare ? await compare() : await costs();
// deno-lint-ignore no-console
console.log(lines.join("\n"));
