/**
 * The forward half of a lane: reader of the lane's spool partition, policy for records that waited, the forwarder and
 * its client, dead letter and checkpoint.
 *
 * It never speaks to the ingest half but through the partition; limits it learns go to the control plane.
 */
import { watchEventLoop } from "../core/event_loop_delay.ts";
import { Live } from "../core/live.ts";
import { SharedPermits } from "../core/shared_permits.ts";
import { OutcomeLedger } from "../outcomes/outcome_ledger.ts";
import type { Admission } from "../projects/admission.ts";
import { ItemPolicy } from "../projects/item_policy.ts";
import { ControlBlock } from "../spool/control_block.ts";
import { DeadLetter } from "../spool/dead_letter.ts";
import { DeadLetterShare } from "../spool/dead_letter_share.ts";
import { DiskBudget } from "../spool/disk_budget.ts";
import { PartitionReader, type SpoolLoss } from "../spool/partition_reader.ts";
import { LaneProjectBytes, ProjectBytes } from "../spool/project_bytes.ts";
import { METRIC_LAYOUT, METRICS } from "../telemetry/catalogue.ts";
import { Metrics } from "../telemetry/registry.ts";
import { BodyEncoder } from "../upstream/body_encoding.ts";
import { Forwarder } from "../upstream/forwarder.ts";
import { HealthWriter } from "../upstream/health_table.ts";
import { RequestSigner } from "../upstream/request_signer.ts";
import type { HalfPort, HalfProgram } from "./half_host.ts";
import { admissionOf, type HalfDeps, knownKeys, updatePolicy } from "./half_policy.ts";
import { LaneTap } from "./lane_tap.ts";
import { LaneUpstreams } from "./lane_upstreams.ts";
import { MessageQueue } from "./message_queue.ts";
import type { ForwardOptions, ForwardSettings } from "./messages.ts";
import { OutcomeTimer } from "./outcome_reports.ts";
import { SpoolSource } from "./spool_source.ts";
import { answerSpoolTask, type SpoolTask } from "./spool_tasks.ts";
import { QuotaUsageTeller } from "./quota_usage.ts";
import { TappedSource } from "./tapped_source.ts";
import { WantedKeys } from "./wanted_keys.ts";

/** Kept of the grace time for the checkpoint. */
const CHECKPOINT_SHARE_MS = 500;

interface Running {
  readonly settings: Live<ForwardSettings>;
  readonly admission: Admission;
  readonly reader: PartitionReader;
  readonly deadLetter: DeadLetter;
  readonly source: SpoolSource;
  readonly wanted: WantedKeys;
  readonly tap: LaneTap;
  readonly quotas: QuotaUsageTeller;
  readonly reports: OutcomeTimer | null;
  /** Ends the look at the event loop. */
  readonly watching: AbortController;
  readonly upstreams: LaneUpstreams;
  readonly forwarder: Pick<Forwarder, "start" | "stop" | "finished" | "hold" | "targetsChanged">;
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
      case "upstreams":
        running?.upstreams.update(message.snapshot);
        return running?.forwarder.targetsChanged();
      case "tap":
        if (running) running.tap.filters = message.filters;
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
  const quotas = new QuotaUsageTeller(
    options.quotas,
    clock,
    options.sharesQuotas ? (usage) => port.post({ type: "usage", usage }) : null,
  );
  const policy = new ItemPolicy(quotas.counters, () => admission.projects.global.filters);
  const control = new ControlBlock(options.control);
  const projects = options.projectBytes && new ProjectBytes(options.projectBytes);
  const reader = await PartitionReader.open({
    ...partition,
    control,
    projects: projects && new LaneProjectBytes(projects, options.lane, control, clock),
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
    share: new DeadLetterShare(options.deadLetters, options.lane),
    get bytesMax() {
      return settings.current.deadLetterBytesMax;
    },
  });
  const encoder = new BodyEncoder("auto", options.bodyBytesMax);
  settings.watch(({ bodyBytesMax }) => encoder.decodedBytesMax = bodyBytesMax);
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
    get largeConcurrentMax() {
      return settings.current.upstream.largeConcurrentMax;
    },
    onLimits: (owner, limits) => port.post({ type: "limits", owner, limits }),
    onWanted: (key) => wanted.want(key),
  });
  const limits = settings.view(({ upstream }) => upstream);
  const upstreams = new LaneUpstreams(options.upstreams, {
    clock,
    metrics,
    health: new HealthWriter(options.health.buffer, options.health.writer),
    signer: new RequestSigner(limits.identity, clock),
    limits,
    bodyBytesMax: () => settings.current.bodyBytesMax,
    organizationOf(key) {
      const project = admission.projects.lookup(key);
      return project.kind === "known" ? project.state.organizationId : null;
    },
  });
  const permits = new SharedPermits(options.permits, options.lane, limits.permitFloor);
  settings.watch(({ upstream }) => permits.setFloor(upstream.permitFloor));
  const tap = new LaneTap(options.lane, clock, (message) => port.post(message));
  tap.filters = options.taps;
  const forwarder = new Forwarder({
    source: new TappedSource(source, tap, clock),
    targets: upstreams,
    permits,
    clock,
    metrics,
    isHeld: limits.isHeld,
    timing: limits,
  });
  const report = (): void => {
    const sums = ledger.take();
    if (sums.length > 0) port.post({ type: "outcomes", sums });
  };
  const reports = options.reports && new OutcomeTimer(clock, options.reports.intervalMs, report);
  const watching = new AbortController();
  void watchEventLoop(clock, watching.signal, (lateMs) => {
    metrics.observe(METRICS.eventLoopDelay, lateMs / 1000, "forward");
    reader.times.look();
  });
  return {
    settings,
    admission,
    reader,
    deadLetter,
    forwarder,
    source,
    upstreams,
    wanted,
    tap,
    quotas,
    reports,
    watching,
  };
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
  { forwarder, deadLetter, reader, wanted, quotas, reports, watching }: Running,
  graceMs: number,
): Promise<void> {
  watching.abort();
  wanted.close();
  quotas.close();
  await forwarder.stop(Math.max(0, graceMs - CHECKPOINT_SHARE_MS));
  await reports?.close();
  await deadLetter.close();
  await reader.close();
}
