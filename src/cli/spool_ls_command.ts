import { type InspectedPartition, type InspectedSegment, readSegment } from "../spool/spool_inspection.ts";
import { type Command, EXIT, type System, UsageError } from "./command.ts";
import { alignedRows, counted, printable, readableAge, readableSize } from "./readable.ts";
import { findSpool, type FoundSpool, metaOf, recordsOf } from "./spool_access.ts";

/** What `ls` says of a segment. Ages are those of records that are not settled. */
interface SegmentSummary {
  readonly segment: InspectedSegment;
  readonly records: number;
  readonly settled: number;
  readonly damaged: number;
  readonly oldestMs: number | null;
  readonly newestMs: number | null;
  /** Dead records by reason. */
  readonly reasons: ReadonlyMap<string, number>;
}

/** `landfall spool ls` */
export const spoolLsCommand: Command = {
  name: "spool ls",
  about: "List what is in the spool",
  details:
    "Reads the files of a stopped or a running node. What was settled since the last checkpoint still shows.\n" +
    "The time it takes grows with the bytes on disk.",
  flags: {
    dead: { about: "One line for each dead letter" },
    waiting: { about: "One line for each record that waits" },
    json: { about: "Print JSON" },
  },
  async run(invocation, system) {
    const { flags } = invocation;
    if (flags.has("dead") && flags.has("waiting")) {
      throw new UsageError("--dead and --waiting exclude each other");
    }
    const spool = await findSpool(invocation, system);
    if (flags.has("dead") || flags.has("waiting")) {
      await listRecords(spool, system, flags.has("dead"), flags.has("json"));
    } else {
      await listPartitions(spool, system, flags.has("json"));
    }
    return EXIT.ok;
  },
};

async function listRecords(
  spool: FoundSpool,
  system: System,
  isDead: boolean,
  asJson: boolean,
): Promise<void> {
  const now = system.clock.now();
  for await (const record of recordsOf(spool, system, isDead)) {
    const { id, bytes, receivedAtMs, reason } = record;
    const meta = metaOf(record);
    if (asJson) {
      const { projectId: project = null, eventId = null, quantities = [] } = meta ?? {};
      const received = new Date(receivedAtMs).toISOString();
      const categories = Object.fromEntries(quantities);
      system.out(`${JSON.stringify({ id, bytes, received, project, eventId, categories, reason })}\n`);
      continue;
    }
    const categories = meta?.quantities.map(([category, quantity]) => `${category} ${quantity}`).join(", ");
    const fields = [
      id,
      readableAge(now - receivedAtMs),
      `project ${meta?.projectId || "-"}`,
      categories ?? "unreadable",
      reason,
    ];
    system.out(`${printable(fields.filter((field) => field !== "").join("  "))}\n`);
  }
}

async function listPartitions(
  { path, partitions }: FoundSpool,
  system: System,
  asJson: boolean,
): Promise<void> {
  const summaries: [InspectedPartition, SegmentSummary[]][] = [];
  for (const partition of partitions) {
    const segments: SegmentSummary[] = [];
    for (const segment of partition.segments) segments.push(await summarise(segment, system));
    summaries.push([partition, segments]);
  }
  if (asJson) {
    const json = summaries.map(([{ name }, segments]) => ({
      partition: name,
      segments: segments.map(toJson),
    }));
    system.out(`${JSON.stringify({ path, partitions: json }, null, 2)}\n`);
    return;
  }
  for (const [partition, segments] of summaries) {
    system.out(partitionText(partition, segments, system.clock.now()));
  }
}

async function summarise(segment: InspectedSegment, { storage, clock }: System): Promise<SegmentSummary> {
  let [records, settled, damaged] = [0, 0, 0];
  let [oldestMs, newestMs] = [Infinity, -Infinity];
  const reasons = new Map<string, number>();
  for await (const found of readSegment(storage, segment, clock)) {
    if (found.kind === "damage") {
      damaged++;
      continue;
    }
    records++;
    if (found.isDead) reasons.set(found.reason, (reasons.get(found.reason) ?? 0) + 1);
    if (found.isSettled) settled++;
    else {
      oldestMs = Math.min(oldestMs, found.receivedAtMs);
      newestMs = Math.max(newestMs, found.receivedAtMs);
    }
  }
  const [oldest, newest] = oldestMs === Infinity ? [null, null] : [oldestMs, newestMs];
  return { segment, records, settled, damaged, oldestMs: oldest, newestMs: newest, reasons };
}

function toJson({ segment, records, settled, damaged, oldestMs, newestMs, reasons }: SegmentSummary) {
  const { id, isDead, bytes } = segment;
  const time = (ms: number | null) => ms === null ? null : new Date(ms).toISOString();
  const common = { id, dead: isDead, bytes, records, settled, damaged };
  const ages = { oldest: time(oldestMs), newest: time(newestMs) };
  return isDead ? { ...common, ...ages, reasons: Object.fromEntries(reasons) } : { ...common, ...ages };
}

function partitionText(
  { name }: InspectedPartition,
  segments: readonly SegmentSummary[],
  nowMs: number,
): string {
  const dead = segments.filter(({ segment }) => segment.isDead);
  const living = segments.filter(({ segment }) => !segment.isDead);
  const sum = (of: readonly SegmentSummary[], value: (one: SegmentSummary) => number): number =>
    of.reduce((total, one) => total + value(one), 0);
  const bytes = sum(segments, ({ segment }) => segment.bytes);
  const waiting = sum(living, ({ records, settled }) => records - settled);
  const deadRecords = sum(dead, ({ records }) => records);
  const head = `${name}: ${readableSize(bytes)}, ${counted(waiting, "record")} waiting, ` +
    `${counted(deadRecords, "dead letter")}\n`;
  if (segments.length === 0) return head;
  const age = (ms: number | null): string => ms === null ? "-" : readableAge(nowMs - ms);
  const rows = segments.map((one) => [
    `  ${one.segment.id}`,
    readableSize(one.segment.bytes),
    String(one.records),
    one.segment.isDead ? "-" : String(one.settled),
    age(one.oldestMs),
    age(one.newestMs),
    one.damaged > 0 ? `${one.damaged} damaged` : "",
  ]);
  const table = alignedRows([["  segment", "bytes", "records", "settled", "oldest", "newest", ""], ...rows]);
  const reasons = new Map<string, number>();
  for (const one of dead) {
    for (const [reason, count] of one.reasons) reasons.set(reason, (reasons.get(reason) ?? 0) + count);
  }
  const lines = [...reasons].sort((a, b) => b[1] - a[1]).map(([reason, count]) =>
    `  dead ${count}: ${printable(reason)}\n`
  );
  return head + table + lines.join("");
}
