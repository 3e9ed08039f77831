/**
 * Reads a partition most projects of which are on hold, and again when they are released: `hold_records.ts FOLDER KNOWN`.
 *
 * The states of the last KNOWN projects of those that `fill_spool.ts` made are known from the start. Prints one line of JSON.
 */
import { OutcomeLedger } from "../../../src/outcomes/outcome_ledger.ts";
import { ItemPolicy } from "../../../src/projects/item_policy.ts";
import { QuotaCounters } from "../../../src/projects/quotas/quota_counters.ts";
import { systemClock } from "../../../src/core/clock.ts";
import { SpoolSource } from "../../../src/lane/spool_source.ts";
import { Admission } from "../../../src/projects/admission.ts";
import { projectDocument, projectStates } from "../../../src/projects/project_state.ts";
import { ProjectTable } from "../../../src/projects/project_table.ts";
import { RateLimitTable } from "../../../src/projects/rate_limit_table.ts";
import { ControlBlock } from "../../../src/spool/control_block.ts";
import { DeadLetter } from "../../../src/spool/dead_letter.ts";
import { DiskBudget } from "../../../src/spool/disk_budget.ts";
import { diskStorage } from "../../../src/spool/disk_storage.ts";
import { PartitionReader } from "../../../src/spool/partition_reader.ts";
import { METRIC_LAYOUT } from "../../../src/telemetry/catalogue.ts";
import { Metrics } from "../../../src/telemetry/registry.ts";
import { BodyEncoder } from "../../../src/upstream/body_encoding.ts";
import { cpuSeconds, residentMiB } from "./contender.ts";

const [folder = "", known = "0"] = Deno.args;
const metrics = new Metrics(METRIC_LAYOUT);
const partition = {
  storage: diskStorage,
  folder,
  budget: DiskBudget.create(2 ** 40),
  clock: systemClock,
  metrics,
};
const control = new ControlBlock();
const DAY_MS = 86_400_000;
const reader = await PartitionReader.open({
  ...partition,
  control,
  checkpointIntervalMs: 100,
  backlogShare: 0.25,
  freshMs: 10_000,
  recordAgeMsMax: DAY_MS,
});
const state =
  projectStates(projectDocument.parse({ projectId: 1, publicKeys: [{ publicKey: "0".repeat(32) }] }))[0]![1];
const knownKeys = Array.from({ length: Number(known) }, (_, at) => (at + 1).toString(16).padStart(32, "0"));
const admission = new Admission(
  new ProjectTable({
    unknown: "wait",
    overrideProjectIds: false,
    states: knownKeys.map((key) => [key, state] as const),
  }),
  new RateLimitTable(),
);
const source = new SpoolSource({
  reader,
  deadLetter: await DeadLetter.open({ ...partition, bytesMax: 1 << 20 }),
  admission,
  encoder: new BodyEncoder("identity", 1 << 20),
  clock: systemClock,
  metrics,
  ledger: new OutcomeLedger(metrics, false),
  policy: new ItemPolicy(new QuotaCounters()),
  recordAgeMsMax: DAY_MS,
  largeConcurrentMax: 1,
  onLimits: () => {},
  onWanted: () => {},
});

/** Settles everything there is now. */
async function drain(): Promise<
  { readonly records: number; readonly seconds: number; readonly cpu: number }
> {
  const startMs = performance.now();
  const cpu = cpuSeconds(Deno.pid);
  let records = 0;
  for (;;) {
    const next = source.next();
    const job = next instanceof Promise ? await next : next;
    if (job) {
      records++;
      source.settle(job, { kind: "delivered", status: 200 });
    } else if (!await mayHaveMore()) break;
  }
  return { records, seconds: (performance.now() - startMs) / 1000, cpu: cpuSeconds(Deno.pid) - cpu };
}

/** A reader with something to read does not wait. */
async function mayHaveMore(): Promise<boolean> {
  const stop = new AbortController();
  let isWaiting = true;
  const waiting = reader.wait(stop.signal).then(() => isWaiting = false);
  for (let turn = 0; turn < 3; turn++) await Promise.resolve();
  const mayRead = !isWaiting;
  stop.abort();
  await waiting;
  return mayRead;
}

const first = await drain();
const held = reader.held.records;
const memoryMiB = residentMiB(Deno.pid);
admission.projects = new ProjectTable({ unknown: "forward", overrideProjectIds: false, states: [] });
source.projectsChanged();
const second = await drain();
if (second.records !== held) throw new Error(`${held} were held, ${second.records} came out`);
// deno-lint-ignore no-console
console.log(JSON.stringify({
  held,
  passSeconds: first.seconds,
  passMicros: first.cpu * 1e6 / (held + first.records),
  memoryMiB,
  releaseMicros: second.cpu * 1e6 / held,
}));
await reader.close();
Deno.exit(0);
