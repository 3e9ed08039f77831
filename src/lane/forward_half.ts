/**
 * The forward half of a lane: reader of the lane's spool partition, policy for records that waited, the forwarder and
 * its client, dead letter and checkpoint.
 *
 * It never speaks to the ingest half but through the partition; limits it learns go to the control plane.
 */
import type { Clock } from "../core/clock.ts";
import { Live } from "../core/live.ts";
import { SharedPermits } from "../core/shared_permits.ts";
import { OutcomeLedger } from "../outcomes/outcome_ledger.ts";
import type { Admission } from "../projects/admission.ts";
import { ItemPolicy } from "../projects/item_policy.ts";
import { QuotaCounters } from "../projects/quotas/quota_counters.ts";
import { ControlBlock } from "../spool/control_block.ts";
import { DeadLetter } from "../spool/dead_letter.ts";
import { DiskBudget } from "../spool/disk_budget.ts";
import { PartitionReader, type SpoolLoss } from "../spool/partition_reader.ts";
import { METRIC_LAYOUT } from "../telemetry/catalogue.ts";
import { Metrics } from "../telemetry/registry.ts";
import { BodyEncoder } from "../upstream/body_encoding.ts";
import { upstreamTarget } from "../upstream/dial.ts";
import { Forwarder } from "../upstream/forwarder.ts";
import { HttpClient } from "../upstream/http_client.ts";
import { LargeSender } from "../upstream/large_sender.ts";
import { StreamClient } from "../upstream/stream_client.ts";
import { RequestSigner } from "../upstream/request_signer.ts";
import type { HalfPort, HalfProgram } from "./half_host.ts";
import { admissionOf, type HalfDeps, knownKeys, updatePolicy } from "./half_policy.ts";
import { MessageQueue } from "./message_queue.ts";
import type { ForwardOptions, ForwardSettings } from "./messages.ts";
import { OutcomeTimer } from "./outcome_reports.ts";
import { SpoolSource } from "./spool_source.ts";
import { answerSpoolTask, type SpoolTask } from "./spool_tasks.ts";
import { WantedKeys } from "./wanted_keys.ts";

/** Idle upstream connections are closed well before common upstreams would: nginx 75 s, many balancers 60 s. */
const IDLE_TIMEOUT_MS = 15_000;
const HEAD_BYTES_MAX = 64 * 1024;
/** Kept of the grace time for the checkpoint. */
const CHECKPOINT_SHARE_MS = 500;

interface Running {
  readonly settings: Live<ForwardSettings>;
  readonly admission: Admission;
  readonly reader: PartitionReader;
  readonly deadLetter: DeadLetter;
  readonly source: SpoolSource;
  readonly wanted: WantedKeys;
  readonly reports: OutcomeTimer | null;
  readonly forwarder: Pick<Forwarder, "start" | "stop" | "finished" | "hold">;
}

/** A forward half that waits for its `start`. */
export function forwardHalf(port: HalfPort, deps: HalfDeps): HalfProgram {
  let running: Running | null = null;
  const { clock } = deps;
  const fail = (error: unknown): void =>
    port.post({ type: "failed", message: error instanceof Error ? error.message : String(error) });
  const queue = new MessageQueue(port, async (message) => {
    switch (message.type) {
      case "start":
        if (message.kind !== "forward") return;
        running = await start(message.options, deps, port);
        running.forwarder.start();
        running.forwarder.finished.catch(fail);
        return port.post({ type: "started", ports: null });
      case "config":
        if (message.kind === "forward") running?.settings.set(message.settings);
        return port.post({ type: "configured" });
      case "projects":
      case "project_changes":
      case "global":
      case "limits":
        if (!running) return;
        updatePolicy(running.admission, message, clock.now());
        if (message.type === "project_changes") running.wanted.known(knownKeys(message.changes));
        if (message.type === "projects" || message.type === "project_changes") {
          running.source.projectsChanged();
        }
        return;
      case "hold":
        return running?.forwarder.hold(message.isHeld);
      case "spool":
        if (running) answerSpoolTask(port, message, doSpoolTask(running.deadLetter, message.task));
        return;
      case "outcomes":
        return;
      case "stop":
        if (running) await stop(running, message.graceMs);
        running = null;
        return port.post({ type: "stopped" });
    }
  });
  return {
    receive: (message) => queue.push(message),
    abandon() {
      if (running) void stop(running, 0);
      running = null;
    },
  };
}

async function start(
  options: ForwardOptions,
  { clock, storage }: HalfDeps,
  port: HalfPort,
): Promise<Running> {
  const settings = new Live<ForwardSettings>(options);
  const metrics = new Metrics(METRIC_LAYOUT, options.metrics);
  const budget = DiskBudget.attach(options.budget);
  const partition = { storage, folder: options.partitionDir, budget, clock, metrics };
  const admission = admissionOf(options, clock.now());
  const ledger = new OutcomeLedger(metrics, options.reports !== null);
  const policy = new ItemPolicy(new QuotaCounters(options.quotas), () => admission.projects.global.filters);
  const reader = await PartitionReader.open({
    ...partition,
    control: new ControlBlock(options.control),
    get checkpointIntervalMs() {
      return settings.current.checkpointIntervalMs;
    },
    get freshMs() {
      return settings.current.freshMs;
    },
    get backlogShare() {
      return settings.current.backlogShare;
    },
    get recordAgeMsMax() {
      return settings.current.recordAgeMsMax;
    },
    leftovers: options.leftovers,
    onLoss: (loss) => countLoss(ledger, loss),
  });
  const deadLetter = await DeadLetter.open({
    ...partition,
    get bytesMax() {
      return settings.current.deadLetterBytesMax;
    },
  });
  const encoder = new BodyEncoder(options.upstream.encoding, options.bodyBytesMax);
  settings.watch(({ upstream, bodyBytesMax }) => {
    encoder.choice = upstream.encoding;
    encoder.decodedBytesMax = bodyBytesMax;
  });
  const wanted = new WantedKeys({ clock, tell: (keys) => port.post({ type: "wanted", keys }) });
  admission.projects.onStale = (key) => wanted.want(key);
  const source = new SpoolSource({
    reader,
    deadLetter,
    admission,
    encoder,
    clock,
    metrics,
    ledger,
    policy,
    get recordAgeMsMax() {
      return settings.current.recordAgeMsMax;
    },
    onLimits: (owner, limits) => port.post({ type: "limits", owner, limits }),
    onWanted: (key) => wanted.want(key),
  });
  const o = settings.view(({ upstream }) => upstream);
  const forwarder = new Forwarder({
    source,
    encoder,
    clock,
    metrics,
    client: clientOf(o, clock, metrics),
    large: largeSenderOf(o, encoder, clock, metrics),
    signer: new RequestSigner(o.identity, clock),
    isHeld: o.isHeld,
    get maxConcurrent() {
      return o.maxConcurrent;
    },
    permits: new SharedPermits(options.permits, options.lane, o.permitFloor),
    get retryDelayMs() {
      return o.retryDelayMs;
    },
    get retryIntervalMsMax() {
      return o.retryIntervalMsMax;
    },
    get outageGraceMs() {
      return o.outageGraceMs;
    },
  });
  const report = (): void => {
    const sums = ledger.take();
    if (sums.length > 0) port.post({ type: "outcomes", sums });
  };
  const reports = options.reports && new OutcomeTimer(clock, options.reports.intervalMs, report);
  return { settings, admission, reader, deadLetter, forwarder, source, wanted, reports };
}

/** @param o read at use */
function clientOf(o: ForwardSettings["upstream"], clock: Clock, metrics: Metrics): HttpClient {
  return new HttpClient({
    target: upstreamTarget(o.url, o.hostHeader),
    clock,
    metrics,
    get connectTimeoutMs() {
      return o.connectTimeoutMs;
    },
    get totalTimeoutMs() {
      return o.totalTimeoutMs;
    },
    idleTimeoutMs: IDLE_TIMEOUT_MS,
    get connectionsMax() {
      return o.maxConcurrent + 1;
    },
    headBytesMax: HEAD_BYTES_MAX,
    get bodyBytesMax() {
      return o.answerBytesMax;
    },
  });
}

function largeSenderOf(
  o: ForwardOptions["upstream"],
  encoder: BodyEncoder,
  clock: Clock,
  metrics: Metrics,
): LargeSender {
  const client = new StreamClient({
    target: upstreamTarget(o.url, o.hostHeader),
    clock,
    metrics,
    connectTimeoutMs: o.connectTimeoutMs,
    timeoutMs: o.totalTimeoutMs,
    readerTimeoutMs: o.totalTimeoutMs,
    headBytesMax: HEAD_BYTES_MAX,
  });
  return new LargeSender({
    client,
    encoder,
    clock,
    totalTimeoutMs: o.totalTimeoutMs,
    answerBytesMax: o.answerBytesMax,
  });
}

/** A damaged record cannot say what it was; it is counted as one of unknown kind. A torn tail was never acknowledged. */
function countLoss(ledger: OutcomeLedger, { kind }: SpoolLoss): void {
  if (kind === "corrupt" || kind === "missing") ledger.countHere("invalid", "corrupt_record", []);
}

async function doSpoolTask(deadLetter: DeadLetter, task: SpoolTask) {
  if (task.kind === "seal") return await deadLetter.seal();
  if (task.kind === "discard") await deadLetter.discard(task.segment);
  return null;
}

/** Requests under way finish, as far as the time allows; what is unsent stays on disk. */
async function stop(
  { forwarder, deadLetter, reader, wanted, reports }: Running,
  graceMs: number,
): Promise<void> {
  wanted.close();
  await forwarder.stop(Math.max(0, graceMs - CHECKPOINT_SHARE_MS));
  await reports?.close();
  await deadLetter.close();
  await reader.close();
}
