/**
 * What the spool costs by itself, on a real disk: appends by callers who each wait until theirs is durable, and reading
 * back with settling. One process, one partition, no network.
 *
 * All numbers of waiters take turns within each round; medians are printed. CPU is the kernel's account of this process,
 * its I/O threads included. What the disk alone can do is measured in the same rounds: one write of a record and one sync.
 *
 * Usage: deno task bench:spool [--waiters 1,16,64,256] [--millis 1000] [--rounds 5] [--bytes 1200] [--folder DIR]
 */
import { cpuUsage } from "node:process";
import { systemClock } from "../../src/core/clock.ts";
import { ControlBlock } from "../../src/spool/control_block.ts";
import { DiskBudget } from "../../src/spool/disk_budget.ts";
import { diskStorage } from "../../src/spool/disk_storage.ts";
import { PartitionReader } from "../../src/spool/partition_reader.ts";
import { PartitionWriter } from "../../src/spool/partition_writer.ts";
import type { SpoolRecord } from "../../src/spool/record.ts";
import { METRIC_LAYOUT, METRICS } from "../../src/telemetry/catalogue.ts";
import { Metrics, MetricsReader } from "../../src/telemetry/registry.ts";
import { benchFlags } from "./support/bench_flags.ts";
import { median, row } from "./support/bench_node.ts";

const values = benchFlags({
  waiters: "1,16,64,256",
  millis: "1000",
  rounds: "5",
  bytes: "1200",
  folder: null,
});

const MILLIS = Number(values.millis);
const BYTES = Number(values.bytes);

/** What one round of appends, and reading them back, came to. */
interface Round {
  readonly perSecond: number;
  readonly cpuMicros: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly perSync: number;
  readonly readPerSecond: number;
  readonly readCpuMicros: number;
}

const meta = new TextEncoder().encode(JSON.stringify({ projectId: "1", padding: "x".repeat(200) }));
const body = [new Uint8Array(BYTES).fill(120)];

function record(): SpoolRecord {
  return { receivedAtMs: systemClock.now(), projectHash: 1, categoryBits: [2, 0], meta, body };
}

const quantile = (sorted: readonly number[], q: number): number =>
  sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] ?? 0;

/** Calls `work` over and over in `callers` loops for the time of a sample. @returns sorted ms of every call */
async function repeat(callers: number, work: () => Promise<unknown>): Promise<number[]> {
  const times: number[] = [];
  const end = performance.now() + MILLIS;
  await Promise.all(Array.from({ length: callers }, async () => {
    for (let start = performance.now(); start < end; start = performance.now()) {
      await work();
      times.push(performance.now() - start);
    }
  }));
  return times.sort((a, b) => a - b);
}

/** CPU µs this process used so far. */
function cpuMicros(): number {
  const { user, system } = cpuUsage();
  return user + system;
}

async function measure(folder: string, waiters: number): Promise<Round> {
  const metrics = new Metrics(METRIC_LAYOUT);
  const seen = new MetricsReader(METRIC_LAYOUT);
  seen.include(metrics.buffer);
  const common = {
    storage: diskStorage,
    folder,
    control: new ControlBlock(),
    budget: DiskBudget.create(2 ** 40),
    clock: systemClock,
    metrics,
  };
  const writer = await PartitionWriter.open({ ...common, segmentBytesMax: 64 * 1024 * 1024 });
  const reader = await PartitionReader.open({
    ...common,
    recordAgeMsMax: 86_400_000,
    checkpointIntervalMs: 1000,
    backlogShare: 0,
    freshMs: 60_000,
  });
  const start = performance.now();
  const startCpu = cpuMicros();
  const times = await repeat(waiters, () => writer.append(record()));
  const seconds = (performance.now() - start) / 1000;
  const cpu = cpuMicros() - startCpu;
  const commits = seen.read(METRICS.spoolCommits);

  const readStart = performance.now();
  const readCpu = cpuMicros();
  let read = 0;
  for (let next = await reader.next(); next !== null; next = await reader.next()) {
    reader.settle(next.position);
    read++;
  }
  await reader.checkpoint();
  if (read !== times.length) throw new Error(`${times.length} appended, ${read} read`);
  const result = {
    perSecond: times.length / seconds,
    cpuMicros: cpu / times.length,
    p50Ms: quantile(times, 0.5),
    p99Ms: quantile(times, 0.99),
    perSync: times.length / commits,
    readPerSecond: read / ((performance.now() - readStart) / 1000),
    readCpuMicros: (cpuMicros() - readCpu) / read,
  };
  await writer.close();
  await reader.close();
  return result;
}

/** Milliseconds of one write of a record and one sync, sorted. */
async function bareDisk(folder: string): Promise<number[]> {
  const file = await Deno.open(`${folder}/bare`, { create: true, write: true });
  const bytes = new Uint8Array(BYTES);
  const times = await repeat(1, async () => {
    await file.write(bytes);
    await file.syncData();
  });
  file.close();
  await Deno.remove(`${folder}/bare`);
  return times;
}

const folder = await Deno.makeTempDir({
  prefix: "landfall-bench-",
  ...values.folder === null ? {} : { dir: values.folder },
});
const waiterCounts = values.waiters.split(",").map(Number);
const rounds = new Map<number, Round[]>(waiterCounts.map((waiters) => [waiters, []]));
const bare: { readonly p50: number; readonly p99: number }[] = [];
// The round before the first one warms the compilers up.
for (let round = -1; round < Number(values.rounds); round++) {
  const alone = await bareDisk(folder);
  if (round >= 0) bare.push({ p50: quantile(alone, 0.5), p99: quantile(alone, 0.99) });
  for (const waiters of waiterCounts) {
    const partition = `${folder}/p${waiters}`;
    const result = await measure(partition, waiters);
    await Deno.remove(partition, { recursive: true });
    if (round >= 0) rounds.get(waiters)!.push(result);
  }
}
await Deno.remove(folder, { recursive: true });

const middle = (all: readonly Round[], of: (round: Round) => number, digits: number): string =>
  median(all.map(of)).toFixed(digits);
const output = [
  `records of ${BYTES} bytes, ${values.rounds} interleaved rounds of ${MILLIS} ms, one partition, Deno ` +
  `${Deno.version.deno}, ${navigator.hardwareConcurrency} cores; medians. The disk alone (one write, one sync): ` +
  `p50 ${median(bare.map(({ p50 }) => p50)).toFixed(2)} ms, p99 ${
    median(bare.map(({ p99 }) => p99)).toFixed(2)
  } ms`,
  "",
  row([
    "waiters",
    "appends per second",
    "CPU µs",
    "p50 ms",
    "p99 ms",
    "records per sync",
    "read + settle per second",
    "CPU µs",
  ]),
  row(Array.from({ length: 8 }, () => "---")),
  ...[...rounds].map(([waiters, all]) =>
    row([
      String(waiters),
      middle(all, (round) => round.perSecond, 0),
      middle(all, (round) => round.cpuMicros, 1),
      middle(all, (round) => round.p50Ms, 2),
      middle(all, (round) => round.p99Ms, 2),
      middle(all, (round) => round.perSync, 1),
      middle(all, (round) => round.readPerSecond, 0),
      middle(all, (round) => round.readCpuMicros, 1),
    ])
  ),
];
// deno-lint-ignore no-console
console.log(output.join("\n"));
