import { FAIR_LIMITS, type FairLimits } from "../../src/spool/fair_limits.ts";
import { concatBytes } from "../../src/core/bytes.ts";
import { encodeLargeBody, type LargeBody } from "../../src/spool/large_body.ts";
import type { Leftover } from "../../src/spool/large_leftovers.ts";
import { ControlBlock } from "../../src/spool/control_block.ts";
import { DiskBudget } from "../../src/spool/disk_budget.ts";
import { PartitionReader, type SpoolLoss, type StoredRecord } from "../../src/spool/partition_reader.ts";
import type { LaneProjectBytes, ProjectBytes } from "../../src/spool/project_bytes.ts";
import { PartitionWriter } from "../../src/spool/partition_writer.ts";
import { splitReason } from "../../src/spool/dead_record.ts";
import { DEAD_FOLDER, listSegments, segmentPath } from "../../src/spool/segment_name.ts";
import { SegmentScanner } from "../../src/spool/segment_scanner.ts";
import type { SpoolRecord } from "../../src/spool/record.ts";
import type { Storage } from "../../src/spool/storage.ts";
import { METRIC_LAYOUT } from "../../src/telemetry/catalogue.ts";
import { Metrics } from "../../src/telemetry/registry.ts";
import { ManualClock } from "./manual_clock.ts";

/** Folder that the fixtures use for their partition. */
export const PARTITION = "spool/p0";

/** Both halves of a partition in one isolate, as a lane in tests has them. */
export interface Partition {
  readonly writer: PartitionWriter;
  readonly reader: PartitionReader;
  readonly control: ControlBlock;
  readonly budget: DiskBudget;
  readonly metrics: Metrics;
  readonly clock: ManualClock;
  readonly losses: SpoolLoss[];
}

/** Wall clock at which every partition is opened; records are received from then on. */
const STARTED_MS = 1_700_000_000_000;

/** Options of {@link openPartition}. */
export interface PartitionSettings {
  readonly segmentBytesMax?: number;
  readonly chunkBytes?: number;
  readonly budget?: DiskBudget;
  readonly control?: ControlBlock;
  readonly folder?: string;
  readonly backlogShare?: number;
  readonly freshMs?: number;
  readonly fairLimits?: FairLimits;
  readonly recordAgeMsMax?: number;
  readonly heldStretchesMax?: number;
  readonly blockBytes?: number;
  readonly leftovers?: readonly Leftover[];
  readonly projects?: { readonly writer: ProjectBytes; readonly reader: LaneProjectBytes };
}

/** Opens a partition, writer first as a lane does. */
export async function openPartition(
  storage: Storage,
  { segmentBytesMax = 1000, chunkBytes = 256, ...given }: PartitionSettings = {},
): Promise<Partition> {
  const clock = new ManualClock(STARTED_MS);
  const metrics = new Metrics(METRIC_LAYOUT);
  const { backlogShare = 0, freshMs = 10_000, fairLimits = FAIR_LIMITS, leftovers = [] } = given;
  const { control = new ControlBlock(), budget = DiskBudget.create(1 << 30), folder = PARTITION } = given;
  const losses: SpoolLoss[] = [];
  const common = { storage, folder, control, budget, clock, metrics };
  const writer = await PartitionWriter.open({
    ...common,
    segmentBytesMax,
    projects: given.projects?.writer ?? null,
  });
  const reader = await PartitionReader.open({
    ...common,
    chunkBytes,
    checkpointIntervalMs: 100,
    blockBytes: given.blockBytes ?? 4096,
    backlogShare,
    freshMs,
    fairLimits,
    recordAgeMsMax: given.recordAgeMsMax ?? 86_400_000,
    ...given.heldStretchesMax === undefined ? {} : { heldStretchesMax: given.heldStretchesMax },
    leftovers,
    projects: given.projects?.reader ?? null,
    onLoss: (loss) => losses.push(loss),
  });
  return { writer, reader, control, budget, metrics, clock, losses };
}

/** Closes both halves. */
export async function closePartition(
  { writer, reader }: Pick<Partition, "writer" | "reader">,
): Promise<void> {
  await writer.close();
  await reader.close();
}

/** A record that can be recognised: its number is in the meta, and its body is derived from it. */
export function numbered(number: number, bodyBytes = 50): SpoolRecord {
  const body = new Uint8Array(bodyBytes);
  for (let i = 0; i < bodyBytes; i++) body[i] = number * 31 + i * 7 & 0xff;
  const cut = bodyBytes >> 1;
  return {
    receivedAtMs: STARTED_MS + number,
    projectHash: number * 2_654_435_761 >>> 0,
    categoryBits: [number, 64],
    meta: new TextEncoder().encode(`record ${number} of ${bodyBytes}`),
    body: [body.subarray(0, cut), body.subarray(cut)],
  };
}

/** Number of a {@link numbered} record; throws when any part of it is not what was appended. */
export function numberOf(
  stored: Pick<StoredRecord, "meta" | "body" | "receivedAtMs">,
): number {
  const text = new TextDecoder().decode(stored.meta);
  const match = /^record (\d+) of (\d+)$/.exec(text);
  if (!match) throw new Error(`Not a numbered record: ${text}`);
  const expected = numbered(Number(match[1]), Number(match[2]));
  const body = new Uint8Array(Number(match[2]));
  let at = 0;
  for (const piece of expected.body) {
    body.set(piece, at);
    at += piece.length;
  }
  const isSame = stored.receivedAtMs === expected.receivedAtMs &&
    stored.body.length === body.length && stored.body.every((byte, i) => byte === body[i]);
  if (!isSame) throw new Error(`Record ${match[1]} came back changed`);
  return Number(match[1]);
}

/** Appends a record whose body has a file of its own, as a lane does. */
export async function appendLarge(
  writer: Pick<PartitionWriter, "append" | "openLarge">,
  record: SpoolRecord,
): Promise<LargeBody> {
  const upload = await writer.openLarge();
  try {
    for (const piece of record.body) await upload.write([piece]);
    const large = await upload.seal();
    await writer.append({ ...record, body: [encodeLargeBody(large)], isLarge: true });
    upload.keep();
    return large;
  } finally {
    await upload.discard();
  }
}

/** The record with its body, wherever that lies. */
export async function whole(reader: PartitionReader, record: StoredRecord): Promise<StoredRecord> {
  if (record.large === null) return record;
  const pieces: Uint8Array[] = [];
  for await (const piece of reader.readLarge(record.large)) pieces.push(piece.slice());
  return { ...record, body: concatBytes(pieces) };
}

/** All records that can be read now. */
export async function readAll(reader: PartitionReader): Promise<StoredRecord[]> {
  const records: StoredRecord[] = [];
  for (;;) {
    const record = await reader.next();
    if (record === null) return records;
    records.push(record);
  }
}

/** Number and reason of all whole records in the dead letter of a partition. */
export async function deadRecords(storage: Storage, folder = PARTITION): Promise<[number, string][]> {
  const found: [number, string][] = [];
  const { segments } = await listSegments(storage, `${folder}/${DEAD_FOLDER}`);
  for (const { number, bytes } of segments) {
    const file = await storage.open(segmentPath(`${folder}/${DEAD_FOLDER}`, number), "read");
    const scanner = new SegmentScanner(file);
    for (let step = await scanner.next(bytes); step.kind !== "end"; step = await scanner.next(bytes)) {
      if (step.kind === "gap") continue;
      const { reason, meta } = splitReason(step.meta, step.header.flags);
      found.push([numberOf({ ...step.header, meta, body: step.body }), reason]);
    }
    file.close();
  }
  return found;
}
