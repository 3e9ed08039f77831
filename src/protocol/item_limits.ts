import type { EnvelopeItem } from "./parse_envelope.ts";
import { overflow } from "./parse_envelope.ts";
import type { LimitGroup } from "./item_type.ts";

/** Limits of items, named after `limits.*` of the configuration; sizes in bytes. */
export interface ItemLimits {
  readonly maxEventSize: number;
  readonly maxAttachmentSize: number;
  readonly maxAttachmentCount: number;
  readonly maxAttachmentsSize: number;
  readonly maxReplayCompressedSize: number;
  readonly maxSessionsSize: number;
  readonly maxSessionCount: number;
  readonly maxClientReportsSize: number;
  readonly maxClientReportsCount: number;
  readonly maxProfileSize: number;
  readonly maxCheckInSize: number;
  readonly maxStatsdSize: number;
  readonly maxMetricBucketsSize: number;
  readonly maxLogSize: number;
  readonly maxTraceMetricSize: number;
  readonly maxSpanSize: number;
  readonly maxStandaloneSpanCount: number;
  readonly maxContainerSize: number;
}

const [KIB, MIB] = [1024, 1024 * 1024];

/** Defaults of Relay (ingestion reference, section 4.2). */
export const DEFAULT_ITEM_LIMITS: ItemLimits = {
  maxEventSize: 1 * MIB,
  maxAttachmentSize: 200 * MIB,
  maxAttachmentCount: 30,
  maxAttachmentsSize: 200 * MIB,
  maxReplayCompressedSize: 10 * MIB,
  maxSessionsSize: 10 * MIB,
  maxSessionCount: 100,
  maxClientReportsSize: 100 * KIB,
  maxClientReportsCount: 100,
  maxProfileSize: 50 * MIB,
  maxCheckInSize: 100 * KIB,
  maxStatsdSize: 1 * MIB,
  maxMetricBucketsSize: 1 * MIB,
  maxLogSize: 2 * MIB,
  maxTraceMetricSize: 1 * MIB,
  maxSpanSize: 10 * MIB,
  maxStandaloneSpanCount: 25,
  maxContainerSize: 12 * MIB,
};

/** Budget of a group within one envelope. */
interface Budget {
  readonly itemSize: number;
  readonly count: number;
  readonly totalSize: number;
}

/** Groups with a budget. Span containers have their own beside that of single spans. */
type BudgetName = Exclude<LimitGroup, "none" | "integration"> | "span_container";

function budgetsOf(limits: ItemLimits): Readonly<Record<BudgetName, Budget>> {
  const budget = (itemSize: number, count = 1, totalSize = itemSize): Budget => ({
    itemSize,
    count,
    totalSize,
  });
  const container = (itemSize: number): Budget => budget(itemSize, 1, limits.maxContainerSize);
  return {
    event: budget(limits.maxEventSize),
    attachment: budget(limits.maxAttachmentSize, limits.maxAttachmentCount, limits.maxAttachmentsSize),
    replay_recording: budget(limits.maxReplayCompressedSize),
    replay_video: budget(limits.maxReplayCompressedSize),
    session: budget(limits.maxSessionsSize, limits.maxSessionCount),
    client_report: budget(limits.maxClientReportsSize, limits.maxClientReportsCount),
    profile: budget(limits.maxProfileSize),
    check_in: budget(limits.maxCheckInSize),
    statsd: budget(limits.maxStatsdSize),
    metric_buckets: budget(limits.maxMetricBucketsSize),
    log: container(limits.maxLogSize),
    trace_metric: container(limits.maxTraceMetricSize),
    span_container: container(limits.maxSpanSize),
    span: budget(limits.maxSpanSize, limits.maxStandaloneSpanCount, limits.maxContainerSize),
  };
}

/** Budgets are derived once per set of limits, which changes only when the configuration does. */
const budgetsByLimits = new WeakMap<ItemLimits, Readonly<Record<BudgetName, Budget>>>();

/**
 * Holds an envelope's items against the limits; the first offender rejects the whole envelope.
 *
 * Container items are held against the limit of an item by their average, since counting would mean parsing them.
 *
 * @throws {RequestError} 413 (ingestion reference, sections 4.3 and 4.4)
 */
export function checkItemLimits(
  envelope: { readonly items: readonly EnvelopeItem[] },
  limits: ItemLimits,
): void {
  let budgets = budgetsByLimits.get(limits);
  if (budgets === undefined) budgetsByLimits.set(limits, budgets = budgetsOf(limits));
  const used = new Map<BudgetName, { count: number; bytes: number }>();
  for (const item of envelope.items) {
    const name = budgetName(item);
    if (name === null) continue;
    const budget = budgets[name];
    let sum = used.get(name);
    if (sum === undefined) used.set(name, sum = { count: 0, bytes: 0 });
    const bytes = item.payloadEnd - item.payloadStart;
    sum.count++;
    sum.bytes += bytes;
    if (
      averageSize(item, bytes) > budget.itemSize || sum.count > budget.count || sum.bytes > budget.totalSize
    ) {
      throw overflow(offender(item));
    }
  }
}

function budgetName(item: EnvelopeItem): BudgetName | null {
  const group = item.type.limitGroup;
  if (group === "none" || group === "integration") return null;
  return group === "span" && isContainer(item) ? "span_container" : group;
}

function averageSize(item: EnvelopeItem, bytes: number): number {
  return isContainer(item) ? Math.floor(bytes / Math.max(1, item.headers.item_count ?? 1)) : bytes;
}

/** Whether the payload is `{"items":[..]}` (ingestion reference, section 3.3). */
function isContainer(item: EnvelopeItem): boolean {
  return /^application\/vnd\.sentry\.items\.(?:log|span\.v2|trace-metric)\+json$/.test(
    item.headers.content_type ?? "",
  );
}

const ATTACHMENT_NAMES: ReadonlyMap<string, string> = new Map([
  ["event.attachment", "attachment"],
  ["event.minidump", "minidump"],
  ["event.applecrashreport", "apple_crash_report"],
  ["event.payload", "event_payload"],
  ["event.breadcrumbs", "breadcrumbs"],
  ["event.view_hierarchy", "view_hierarchy"],
  ["unreal.context", "unreal_context"],
  ["unreal.logs", "unreal_logs"],
  ["playstation.prosperodump", "prosperodump"],
  ["nswitch.dying_message", "nintendo_switch_dying_message"],
]);

/** Name of the item in the answer: its type, and for whatever carries one its attachment type. */
function offender(item: EnvelopeItem): string {
  const { attachment_type: kind } = item.headers;
  if (typeof kind === "string") return `attachment:${ATTACHMENT_NAMES.get(kind) ?? "unknown"}`;
  if (item.type.type === "attachment") return "attachment:attachment";
  return item.type.type === "feedback" ? "user_report_v2" : item.type.type;
}
