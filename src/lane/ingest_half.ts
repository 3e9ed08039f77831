/**
 * The ingest half of a lane: listener, parsing, policy, and the writer of the lane's spool partition.
 *
 * It never learns what happens upstream, except for rate limits, which the control plane passes on.
 */
import { CidrSet } from "../core/cidr.ts";
import type { Clock } from "../core/clock.ts";
import { Live } from "../core/live.ts";
import { AccessLog } from "../listener/access_log.ts";
import { AccessWriter } from "../telemetry/access_writer.ts";
import { BodyReader } from "../listener/body_reader.ts";
import { Listener } from "../listener/listener.ts";
import {
  downstreamRoutes,
  healthRoutes,
  ingestionRoutes,
  relayRoutes,
  tunnelRoutes,
} from "../listener/routes.ts";
import type { LoadShedding } from "../guard/load_shedding.ts";
import type { RateLimit } from "../protocol/rate_limit.ts";
import { buildGuard } from "./build_guard.ts";
import { OutcomeLedger } from "../outcomes/outcome_ledger.ts";
import type { Admission } from "../projects/admission.ts";
import { ItemPolicy } from "../projects/item_policy.ts";
import { decodeRequestMeta } from "../protocol/request_meta.ts";
import { ControlBlock } from "../spool/control_block.ts";
import { DiskBudget } from "../spool/disk_budget.ts";
import { MemoryAck } from "../spool/memory_ack.ts";
import { PartitionWriter } from "../spool/partition_writer.ts";
import { ProjectBytes } from "../spool/project_bytes.ts";
import { requeueSegment } from "../spool/requeue.ts";
import { SpoolPressure } from "../spool/spool_pressure.ts";
import type { TlsMaterial } from "../listener/tls_material.ts";
import { METRIC_LAYOUT } from "../telemetry/catalogue.ts";
import { logger } from "../telemetry/log.ts";
import { Metrics } from "../telemetry/registry.ts";
import { TopProjects } from "../telemetry/top_projects.ts";
import type { HalfPort, HalfProgram } from "./half_host.ts";
import { admissionOf, type HalfDeps, knownKeys, organizationOf, updatePolicy } from "./half_policy.ts";
import { LaneTap } from "./lane_tap.ts";
import { MessageQueue } from "./message_queue.ts";
import type { IngestOptions, IngestSettings, Ports } from "./messages.ts";
import { NodeState } from "./node_state.ts";
import { ObservedIngress } from "./observed_ingress.ts";
import { RelayDesk } from "./relay_desk.ts";
import { type PassingOn, passingOn } from "./passing_on.ts";
import { answerSpoolTask } from "./spool_tasks.ts";
import { OutcomeTimer, spoolReports } from "./outcome_reports.ts";
import { type RecordSink, Submitter } from "./submit.ts";
import { QuotaUsageTeller } from "./quota_usage.ts";
import { WantedKeys } from "./wanted_keys.ts";

const log = logger("lane");

interface Running {
  readonly settings: Live<IngestSettings>;
  readonly admission: Admission;
  readonly writer: PartitionWriter;
  readonly sink: RecordSink;
  /** Of the partition. */
  readonly folder: string;
  readonly listener: Listener;
  readonly shedding: LoadShedding;
  readonly passing: PassingOn;
  readonly desk: RelayDesk;
  readonly wanted: WantedKeys;
  readonly tap: LaneTap;
  readonly quotas: QuotaUsageTeller;
  readonly ledger: OutcomeLedger;
  readonly reports: OutcomeTimer | null;
}

/** An ingest half that waits for its `start`. */
export function ingestHalf(port: HalfPort, deps: HalfDeps): HalfProgram {
  let running: Running | null = null;
  const { clock, storage } = deps;
  const queue = new MessageQueue(port, async (message) => {
    switch (message.type) {
      case "start":
        if (message.kind !== "ingest") return;
        running = await start(message.options, deps, port);
        return port.post({ type: "started", ports: portsOf(running.listener) });
      case "certificates":
        return running ? replaceCertificates(running.listener, message.material) : undefined;
      case "config":
        if (message.kind === "ingest") running?.settings.set(message.settings);
        return port.post({ type: "configured" });
      case "upstreams":
        return running?.passing.update(message.snapshot);
      case "projects":
      case "project_changes":
      case "global":
      case "limits":
        if (!running) return;
        updatePolicy(running.admission, message, clock.now());
        if (message.type === "project_changes") running.wanted.known(knownKeys(message.changes));
        return;
      case "tap":
        if (running) running.tap.filters = message.filters;
        return;
      case "relay":
        return running?.desk.answered(message);
      case "outcomes":
        return running?.ledger.include(message.sums);
      case "spool": {
        if (!running || message.task.kind !== "requeue") return;
        const { folder, writer } = running;
        return answerSpoolTask(port, message, requeueSegment(storage, folder, message.task.segment, writer));
      }
      case "stop":
        if (running) await stop(running, clock, message.graceMs);
        running = null;
        return port.post({ type: "stopped" });
    }
  });
  return {
    receive: (message) => queue.push(message),
    abandon() {
      running?.passing.close();
      running?.shedding.close();
      running?.desk.close();
      running?.wanted.close();
      running?.quotas.close();
      running?.reports?.cancel();
      void running?.listener.close(0);
      void running?.sink.close();
      running = null;
    },
  };
}

/** A listener that cannot go on with the new ones goes on with the old ones. */
function replaceCertificates(listener: Listener, material: TlsMaterial): void {
  try {
    listener.replaceCertificates(material);
  } catch (error) {
    log.error("renewed certificates could not be taken into use: {error}", { error });
  }
}

function portsOf(listener: Listener): Ports {
  return { plain: listener.address.port, tls: listener.tlsPort };
}

async function start(
  options: IngestOptions,
  { clock, storage }: HalfDeps,
  port: HalfPort,
): Promise<Running> {
  const settings = new Live<IngestSettings>(options);
  const metrics = new Metrics(METRIC_LAYOUT, options.metrics);
  const admission = admissionOf(options, clock.now());
  const budget = DiskBudget.attach(options.budget);
  const projects = options.projectBytes && new ProjectBytes(options.projectBytes);
  const writer = await PartitionWriter.open({
    storage,
    folder: options.partitionDir,
    control: new ControlBlock(options.control),
    budget,
    clock,
    metrics,
    projects,
    get segmentBytesMax() {
      return settings.current.segmentBytesMax;
    },
  });
  const ledger = new OutcomeLedger(metrics, options.reports !== null);
  const sink = sinkOf(settings, writer, clock, ledger);
  const o = options.listener;
  const trustedProxies = CidrSet.parse(o.trustedProxies);
  settings.watch(({ listener }) => trustedProxies.replace(listener.trustedProxies));
  const guard = buildGuard(options.guard, {
    lane: options.lane,
    exposure: o.exposure,
    trustedProxies,
    clock,
    metrics,
    ledger,
    projectIdOfKey: (key) => ingress.projectIdOf(key),
    onBan: (ban) => port.post({ type: "banned", ban }),
  });
  const { gate, shedding } = guard;
  settings.watch((current) => guard.configure(current.guard));
  const spoolPressure = new SpoolPressure({
    budget,
    clock,
    get bulkyShare() {
      return settings.current.shed.bulkyShare;
    },
    get costlyShare() {
      return settings.current.shed.costlyShare;
    },
    projects: projects && { of: (hash) => projects.of(hash), share: options.shed.projectShare },
  });
  const pressure = {
    limits: (nowMs: number, projectHash: number) =>
      joined(spoolPressure.limits(nowMs, projectHash), shedding.limits(nowMs)),
    fullLimit: (nowMs: number) => spoolPressure.fullLimit(nowMs),
  };
  const itemLimits = settings.view((current) => current.itemLimits);
  const quotas = new QuotaUsageTeller(
    options.quotas,
    clock,
    options.sharesQuotas ? (usage) => port.post({ type: "usage", usage }) : null,
  );
  const wanted = new WantedKeys({ clock, tell: (keys) => port.post({ type: "wanted", keys }) });
  admission.projects.onStale = (key) => wanted.want(key);
  const ingress = new Submitter({
    admission,
    sink,
    pressure,
    clock,
    metrics,
    ledger,
    policy: new ItemPolicy(quotas.counters, () => admission.projects.global.filters),
    itemLimits,
    get acceptUnknownItems() {
      return settings.current.acceptUnknownItems;
    },
    onWanted: (key) => wanted.want(key),
  });
  const bodies = new BodyReader({ memoryBytesMax: o.bodyMemoryBytesMax, metrics });
  settings.watch(({ listener }) => bodies.memoryBytesMax = listener.bodyMemoryBytesMax);
  const state = new NodeState(options.nodeState);
  const health = { isLive: () => true, isReady: () => state.ready };
  const tap = new LaneTap(options.lane, clock, (message) => port.post(message));
  tap.filters = options.taps;
  const deps = {
    ingress: new ObservedIngress(ingress, new TopProjects(options.topProjects), tap, clock),
    bodies,
    clock,
    metrics,
    trustedProxies,
    get maxEnvelopeBytes() {
      return settings.current.listener.envelopeBytesMax;
    },
    get maxUploadBytes() {
      return settings.current.listener.uploadBytesMax;
    },
    itemLimits,
  };
  const passing = passingOn(settings, options, {
    bodies,
    metrics,
    clock,
    trustedProxies,
    organizationOf: (key) => organizationOf(admission, key),
  });
  const desk = new RelayDesk(clock, (message) => port.post(message));
  const routes = [
    ...ingestionRoutes(deps),
    ...tunnelRoutes(deps, o.tunnel && settings.view(({ listener }) => listener.tunnel!)),
    ...passing.routes,
    ...relayRoutes(health),
    ...(options.answersRelays
      ? downstreamRoutes({ bodies, ask: (q) => desk.ask(q), passOn: passing.endpoint })
      : []),
    ...(o.healthRoutes ? healthRoutes(health, () => state.autoscaling) : []),
  ];
  const accessLog = new AccessLog({
    lane: options.lane,
    ring: AccessWriter.ring(options.accessRing),
    clock,
    metrics,
    rules: settings.view((current) => current.accessLog),
    organizationOf: (key) => organizationOf(admission, key),
  });
  const listener = await Listener.start({
    ...o,
    pace: settings.view(({ listener }) => listener.pace),
    routes,
    get fallback() {
      return passing.fallback;
    },
    get hosts() {
      return settings.current.listener.hosts;
    },
    timeouts: settings.view(({ listener }) => listener.timeouts),
    proxies: o.isProxied ? trustedProxies : null,
    connections: {
      get connectionsMax() {
        return settings.current.listener.connectionsMax;
      },
      get perAddressMax() {
        return settings.current.listener.connectionsPerAddress;
      },
      exempt: trustedProxies,
      counts: o.connectionCounts,
    },
    version: options.version,
    bodies,
    accessLog,
    requestGate: gate,
    metrics,
    clock,
  });
  const { version } = options;
  const report = (): Promise<void> =>
    spoolReports(ledger, (meta, body) => ingress.store(meta, body), { nowMs: clock.now(), version });
  const reports = options.reports && new OutcomeTimer(clock, options.reports.intervalMs, report);
  const folder = options.partitionDir;
  return {
    settings,
    admission,
    writer,
    sink,
    folder,
    listener,
    shedding,
    passing,
    wanted,
    tap,
    quotas,
    desk,
    ledger,
    reports,
  };
}

function joined(some: readonly RateLimit[], more: readonly RateLimit[]): readonly RateLimit[] {
  return some.length === 0 ? more : more.length === 0 ? some : [...some, ...more];
}

/** Bodies that are being read finish, their answers leave, the upstream's included, and the spool is closed with all of it on disk. */
async function stop(
  { listener, shedding, passing, sink, wanted, quotas, desk, reports }: Running,
  clock: Clock,
  graceMs: number,
): Promise<void> {
  const end = clock.monotonic() + graceMs;
  listener.stopAccepting();
  await listener.waitForBodies(graceMs);
  await listener.close(Math.max(0, end - clock.monotonic()));
  shedding.close();
  passing.close();
  desk.close();
  wanted.close();
  quotas.close();
  await reports?.close();
  await sink.close();
}

/** The writer itself, or what acknowledges before it. */
function sinkOf(
  settings: Live<IngestSettings>,
  writer: PartitionWriter,
  clock: Clock,
  ledger: OutcomeLedger,
): RecordSink {
  if (!settings.current.memoryAck) return writer;
  const bounds = settings.view(({ memoryAck }) => memoryAck!);
  return new MemoryAck({
    writer,
    clock,
    onLost({ meta: bytes }) {
      const meta = decodeRequestMeta(bytes);
      ledger.count(meta, "invalid", "queue_failed", meta.quantities);
    },
    get bytesMax() {
      return bounds.bytesMax;
    },
    get delayMs() {
      return bounds.delayMs;
    },
  });
}
