/**
 * What the guard costs: per request it lets through, and per request it refuses, beside nginx `limit_req` + `limit_conn`
 * refusing the same flood (only when nginx is installed).
 *
 * The contenders take turns within each round; medians are printed. CPU is the kernel's account of the contender's
 * processes. The guard by itself is measured in this process, with as many addresses as its zone remembers.
 *
 * Usage: deno task bench:guard [--requests 20000] [--clients 64] [--rounds 5] [--bytes 1200]
 */
import { systemClock } from "../../src/core/clock.ts";
import { AccessList } from "../../src/guard/access_list.ts";
import { BanTable } from "../../src/guard/ban_table.ts";
import { Guard } from "../../src/guard/guard.ts";
import { LoadShedding } from "../../src/guard/load_shedding.ts";
import { PressureCells } from "../../src/guard/pressure_cells.ts";
import { RateZone } from "../../src/guard/rate_zone.ts";
import { RequestsInFlight } from "../../src/guard/requests_in_flight.ts";
import { METRIC_LAYOUT } from "../../src/telemetry/catalogue.ts";
import { Metrics } from "../../src/telemetry/registry.ts";
import { benchFlags, LOAD_FLAGS } from "./support/bench_flags.ts";
import {
  answering,
  BenchNode,
  freePort,
  type Load,
  load,
  median,
  row,
  runScript,
} from "./support/bench_node.ts";
import { Child, type Contender, cpuSeconds } from "./support/contender.ts";

const values = benchFlags(LOAD_FLAGS);
const PATH = "/api/1/envelope/";
const FULL = { key: "address", rate: "4r/h", burst: 0 };
const OPEN = { key: "address", rate: "1000000r/s", burst: 1_000_000 };

/** Nanoseconds of `admit` and `leave` in this process, by the number of zones. */
function guardAlone(zoneCount: number): number {
  const spec = { rate: 1e9, burst: 1e6, delay: null, entries: 65_536, dryRun: false } as const;
  const keys = [["address"], ["project_key"], ["address", "project_id"]] as const;
  const lists = { addresses: [], projectKeys: [], userAgents: [] };
  const limits = { total: 10_000, perAddress: 1000, perProject: 5000 };
  const guard = new Guard({
    allow: new AccessList(lists),
    deny: new AccessList(lists),
    bans: new BanTable(BanTable.createBuffers(10_000)),
    zones: keys.slice(0, zoneCount).map((key) =>
      new RateZone({ ...spec, name: key.join("+"), key }, RateZone.createBuffers({ ...spec, key }))
    ),
    inFlight: new RequestsInFlight(RequestsInFlight.createBuffers(1), 0, limits),
    shedding: new LoadShedding({
      spec: { bulkyFrom: 0.8, costlyFrom: 0.9, everythingFrom: 1, eventLoopDelayMs: 500 },
      cells: PressureCells.create(1),
      lane: 0,
      clock: systemClock,
    }),
    heldMax: 1000,
    clock: systemClock,
    metrics: new Metrics(METRIC_LAYOUT),
    onBan: () => {},
  });
  const query = `sentry_version=7&sentry_key=${
    "ab".repeat(16)
  }&sentry_client=sentry.javascript.node%2F11.12.0`;
  const head = { path: PATH, query, header: () => null };
  const addresses = Array.from({ length: 50_000 }, (_, i) => `10.${i >> 16}.${i >> 8 & 255}.${i & 255}`);
  const passes = 500_000;
  const began = performance.now();
  for (let i = 0; i < passes; i++) {
    const verdict = guard.admit(head, { address: addresses[i % addresses.length]!, isForeign: true });
    if (verdict.kind === "passed") guard.leave(verdict);
  }
  return (performance.now() - began) * 1e6 / passes;
}

async function landfall(what: string, exposure: string, guard: object): Promise<Contender> {
  const node = await BenchNode.start({
    upstreamPort: sinkPort,
    exposure,
    lanes: "1",
    trustedProxies: [],
    guard,
  });
  return {
    name: `Landfall, \`${exposure}\`, ${what}`,
    port: node.port,
    path: PATH,
    forwards: false,
    cpuSeconds: () => node.cpuSeconds(),
    stop: () => node.stop(),
  };
}

/** An nginx that refuses nearly everything with 429. */
async function nginx(): Promise<Contender | null> {
  const found = await new Deno.Command("sh", { args: ["-c", "command -v nginx || ls /usr/sbin/nginx"] })
    .output();
  const path = new TextDecoder().decode(found.stdout).trim();
  if (!found.success || path === "") return null;
  const folder = await Deno.makeTempDir({ prefix: "landfall-bench-" });
  const port = freePort();
  await Deno.writeTextFile(
    `${folder}/nginx.conf`,
    `worker_processes 1; pid ${folder}/pid; error_log /dev/null crit; daemon off;
    events { worker_connections 1024; }
    http {
      access_log off; client_body_temp_path ${folder}/body; proxy_temp_path ${folder}/proxy; fastcgi_temp_path ${folder}/f;
      uwsgi_temp_path ${folder}/u; scgi_temp_path ${folder}/s; keepalive_requests 10000000;
      limit_req_zone $binary_remote_addr zone=rate:10m rate=1r/m; limit_conn_zone $binary_remote_addr zone=count:10m;
      limit_req_status 429; limit_conn_status 429;
      upstream sink { server 127.0.0.1:${sinkPort}; keepalive 128; }
      server { listen 127.0.0.1:${port}; location / { limit_req zone=rate; limit_conn count 1000; proxy_pass http://sink;
        proxy_http_version 1.1; proxy_set_header Connection ""; } }
    }`,
  );
  const child = new Child(path, ["-c", `${folder}/nginx.conf`]);
  await answering(`http://127.0.0.1:${port}/`);
  const pids = (await new Deno.Command("pgrep", { args: ["-P", String(child.pid)] }).output()).stdout;
  const workers = new TextDecoder().decode(pids).trim().split("\n").map(Number);
  return {
    name: "nginx `limit_req` + `limit_conn`, refusing",
    port,
    path: PATH,
    forwards: false,
    cpuSeconds: () => [child.pid, ...workers].reduce((sum, pid) => sum + cpuSeconds(pid), 0),
    async stop() {
      await child.stop();
      await Deno.remove(folder, { recursive: true });
    },
  };
}

interface Round extends Load {
  readonly cpuMicros: number;
}

const sink = runScript("sink.ts");
const sinkPort = Number(await sink.line());
const contenders: Contender[] = [];
for (const exposure of ["load_balancer", "internet"]) {
  contenders.push(
    await landfall("accepting", exposure, { zones: [OPEN] }),
    await landfall("refusing by rate", exposure, { zones: [FULL] }),
    await landfall("refusing by list", exposure, { deny: { addresses: ["127.0.0.1"] } }),
  );
}
const other = await nginx();
if (other) contenders.push(other);

const rounds = new Map<string, Round[]>(contenders.map(({ name }) => [name, []]));
const alone = new Map<number, number[]>([[1, []], [3, []]]);
for (let round = -1; round < Number(values.rounds); round++) {
  for (const [zones, times] of alone) if (guardAlone(zones) && round >= 0) times.push(guardAlone(zones));
  for (const contender of contenders) {
    const before = contender.cpuSeconds();
    const result = await load(contender, values);
    const cpuMicros = (contender.cpuSeconds() - before) * 1e6 / result.requests;
    // The round before the first one warms the compilers up.
    if (round >= 0) rounds.get(contender.name)!.push({ ...result, cpuMicros });
  }
}
for (const contender of contenders) await contender.stop();
await sink.stop();

const output = [
  `${values.requests} requests of ${values.bytes} bytes, ${values.clients} clients, ${values.rounds} interleaved rounds, ` +
  `Deno ${Deno.version.deno}, ${navigator.hardwareConcurrency} cores; medians (best)`,
  "",
  row(["contender", "CPU µs per request", "answers per second", "p50 ms", "p99 ms", "refused"]),
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
  ...[...alone].map(([zones, times]) =>
    `The guard alone, ${zones} zone(s), request admitted and left: ${(median(times) / 1000).toFixed(2)} µs`
  ),
];
// deno-lint-ignore no-console
console.log(output.join("\n"));
