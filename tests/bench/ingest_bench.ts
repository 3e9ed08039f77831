/**
 * What an event costs: ingest + durable + forward by a node, beside nginx `proxy_pass`, which forwards but stores and
 * checks nothing (only when nginx is installed), and beside the least that any Deno program pays: a bare `Deno.serve`
 * that only reads the body, one that also forwards, and one that also syncs.
 *
 * The contenders take turns within each round, so that noise of the machine meets all of them; medians are printed.
 * CPU is the kernel's account of the contender's processes, not counting load generator and upstream.
 *
 * Usage: deno task bench:ingest [--requests 20000] [--clients 64] [--rounds 5] [--bytes 1200]
 */
import { benchFlags, LOAD_FLAGS } from "./support/bench_flags.ts";
import {
  answering,
  BenchNode,
  freePort,
  type Load,
  load,
  median,
  pause,
  row,
  runScript,
} from "./support/bench_node.ts";
import { Child, type Contender, cpuSeconds } from "./support/contender.ts";

const values = benchFlags({ ...LOAD_FLAGS, lanes: "1" });

interface Round extends Load {
  readonly cpuMicros: number;
}

async function bare(
  name: string,
  forwards: boolean,
  script: string,
  args: string[] = [],
): Promise<Contender> {
  const child = runScript(script, ...args);
  const port = Number(await child.line());
  return {
    name,
    port,
    path: "/api/1/envelope/",
    forwards,
    cpuSeconds: () => cpuSeconds(child.pid),
    stop: () => child.stop(),
  };
}

async function landfall(upstreamPort: number, exposure: string): Promise<Contender> {
  const node = await BenchNode.start({ upstreamPort, exposure, lanes: values.lanes });
  return {
    name: `landfall, ${exposure}`,
    port: node.port,
    path: "/api/1/envelope/",
    forwards: true,
    cpuSeconds: () => node.cpuSeconds(),
    async stop() {
      memory.push(`landfall, ${exposure}: ${node.residentMiB().toFixed(0)} MiB resident`);
      await node.stop();
    },
  };
}

async function nginx(sinkPort: number): Promise<Contender | null> {
  const found = await new Deno.Command("sh", { args: ["-c", "command -v nginx || ls /usr/sbin/nginx"] })
    .output();
  const path = new TextDecoder().decode(found.stdout).trim();
  if (!found.success || path === "") return null;
  const folder = await Deno.makeTempDir({ prefix: "landfall-bench-" });
  const port = freePort();
  await Deno.writeTextFile(
    `${folder}/nginx.conf`,
    `
    worker_processes 1; pid ${folder}/pid; error_log ${folder}/error.log; daemon off; user root;
    events { worker_connections 4096; }
    http {
      access_log off; client_body_temp_path ${folder}/body; proxy_temp_path ${folder}/proxy;
      fastcgi_temp_path ${folder}/f; uwsgi_temp_path ${folder}/u; scgi_temp_path ${folder}/s;
      limit_req_zone $binary_remote_addr zone=all:10m rate=1000000r/s; keepalive_requests 10000000;
      upstream sink { server 127.0.0.1:${sinkPort}; keepalive 64; keepalive_requests 10000000; }
      server { listen 127.0.0.1:${port}; location / { limit_req zone=all burst=1000 nodelay; proxy_pass http://sink;
        proxy_http_version 1.1; proxy_set_header Connection ""; } }
    }`,
  );
  const child = new Child(path, ["-c", `${folder}/nginx.conf`]);
  await answering(`http://127.0.0.1:${port}/`);
  const pids = (await new Deno.Command("pgrep", { args: ["-P", String(child.pid)] }).output()).stdout;
  const workers = new TextDecoder().decode(pids).trim().split("\n").map(Number);
  return {
    name: "nginx proxy_pass + limit_req",
    port,
    path: "/api/1/envelope/",
    forwards: true,
    cpuSeconds: () => [child.pid, ...workers].reduce((sum, pid) => sum + cpuSeconds(pid), 0),
    async stop() {
      await child.stop();
      await Deno.remove(folder, { recursive: true });
    },
  };
}

const memory: string[] = [];
const synced = await Deno.makeTempFile({ prefix: "landfall-bench-" });
const sink = runScript("sink.ts");
const sinkPort = Number(await sink.line());
const contenders = [
  await bare("bare Deno.serve, body read", false, "bare_server.ts"),
  await bare("the same, forwarding", true, "bare_forwarder.ts", [`${sinkPort}`]),
  await bare("the same, forwarding after a sync", true, "bare_forwarder.ts", [`${sinkPort}`, synced]),
  await nginx(sinkPort),
  await landfall(sinkPort, "load_balancer"),
  await landfall(sinkPort, "internet"),
].filter((contender) => contender !== null);

const rounds = new Map<string, Round[]>(contenders.map(({ name }) => [name, []]));
for (let round = -1; round < Number(values.rounds); round++) {
  for (const contender of contenders) {
    const sunk = Number(await sink.ask("count"));
    const before = contender.cpuSeconds();
    const result = await load(contender, values);
    while (contender.forwards && Number(await sink.ask("count")) < sunk + result.requests) await pause(20);
    const cpuMicros = (contender.cpuSeconds() - before) * 1e6 / result.requests;
    // The round before the first one warms the compilers up.
    if (round >= 0) rounds.get(contender.name)!.push({ ...result, cpuMicros });
  }
}
for (const contender of contenders) await contender.stop();
await sink.stop();
await Deno.remove(synced);

const output = [
  `${values.requests} requests of ${values.bytes} bytes, ${values.clients} clients, ${values.rounds} interleaved ` +
  `rounds, ${values.lanes} lane(s), Deno ${Deno.version.deno}, ${navigator.hardwareConcurrency} cores; medians (best)`,
  "",
  row(["contender", "CPU µs per event", "answers per second", "p50 ms", "p99 ms", "refused"]),
  row(["---", "---", "---", "---", "---", "---"]),
  ...contenders.map(({ name }) => {
    const all = rounds.get(name)!;
    const cpu = all.map((round) => round.cpuMicros);
    return row([
      name,
      `${median(cpu).toFixed(0)} (${Math.min(...cpu).toFixed(0)})`,
      median(all.map((round) => round.requests / round.seconds)).toFixed(0),
      median(all.map((round) => round.p50Ms)).toFixed(2),
      median(all.map((round) => round.p99Ms)).toFixed(2),
      String(all.reduce((sum, round) => sum + round.refused, 0)),
    ]);
  }),
  "",
  ...memory,
];
// deno-lint-ignore no-console
console.log(output.join("\n"));
