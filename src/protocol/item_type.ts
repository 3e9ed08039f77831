/**
 * The one table of item types: what each needs, is limited by, and counts for.
 *
 * Source: ingestion reference, sections 3.4, 4.3 and 5.5; control reference, section 6 (what is checked and removed).
 */
import type { DataCategory } from "./data_category.ts";
import type { ItemHeaders } from "./envelope_headers.ts";

/** Items that share one budget of count and bytes within an envelope; `none` is not checked. */
export type LimitGroup =
  | "event"
  | "attachment"
  | "replay_recording"
  | "replay_video"
  | "session"
  | "client_report"
  | "profile"
  | "check_in"
  | "statsd"
  | "metric_buckets"
  | "log"
  | "trace_metric"
  | "span"
  | "integration"
  | "none";

/** An item type. */
export interface ItemType {
  /** Name without aliases, `unknown` for types this version does not know. */
  readonly type: string;
  /** The envelope needs an event id, and the item goes when the event goes. */
  readonly requiresEvent: boolean;
  /** The item makes an event; for attachments see {@link createsEvent}. */
  readonly createsEvent: boolean;
  readonly limitGroup: LimitGroup;
  /** Categories whose rate limits hold for the item, in the order they are checked; see {@link limitCategories}. */
  readonly limitedBy: readonly DataCategory[];
  /** A rate limit removes the item; otherwise the limit is only announced to the client. */
  readonly removedWhenLimited: boolean;
  /** The item may hold many, as `item_count` says. */
  readonly container: boolean;
}

/** The part of an item that counting needs. */
export interface CountedItem {
  readonly type: ItemType;
  readonly headers: ItemHeaders;
  readonly payloadStart: number;
  readonly payloadEnd: number;
}

/** A category and how much of it. */
export type Quantity = readonly [DataCategory, number];

type Row = Partial<Omit<ItemType, "type" | "limitGroup" | "limitedBy">>;

function row(
  type: string,
  limitGroup: LimitGroup,
  limitedBy: readonly DataCategory[],
  rest: Row = {},
): ItemType {
  return {
    requiresEvent: false,
    createsEvent: false,
    removedWhenLimited: true,
    container: false,
    ...rest,
    type,
    limitGroup,
    limitedBy,
  };
}

const EVENT: Row = { requiresEvent: true, createsEvent: true };
const WITH_EVENT: Row = { requiresEvent: true };
const ANNOUNCED: Row = { removedWhenLimited: false };
const CONTAINER: Row = { container: true };

/** All types, the unknown one last. */
export const ITEM_TYPES: readonly ItemType[] = [
  row("event", "event", ["error"], EVENT),
  row("transaction", "event", ["transaction"], EVENT),
  row("security", "event", ["security"], EVENT),
  row("raw_security", "event", ["security"], EVENT),
  row("feedback", "event", ["feedback"], EVENT),
  row("unreal_report", "attachment", ["error"], EVENT),
  row("attachment", "attachment", ["attachment", "attachment_item"], WITH_EVENT),
  row("form_data", "event", [], WITH_EVENT),
  row("user_report", "attachment", ["feedback"], WITH_EVENT),
  row("profile", "profile", ["profile"], WITH_EVENT),
  row("profile_chunk", "profile", []),
  row("replay_event", "event", ["replay"], WITH_EVENT),
  row("replay_recording", "replay_recording", ["replay"]),
  row("replay_video", "replay_video", ["replay"]),
  row("session", "session", ["session"], CONTAINER),
  row("sessions", "session", ["session"], { ...ANNOUNCED, ...CONTAINER }),
  row("check_in", "check_in", ["monitor"], CONTAINER),
  row("client_report", "client_report", []),
  row("statsd", "statsd", ["metric_bucket"], ANNOUNCED),
  row("metric_buckets", "metric_buckets", ["metric_bucket"], ANNOUNCED),
  row("log", "log", ["log_item", "log_byte"], CONTAINER),
  row("trace_metric", "trace_metric", ["trace_metric"], CONTAINER),
  row("span", "span", ["span"], CONTAINER),
  row("integration", "integration", []),
  row("unknown", "none", []),
];

const UNKNOWN = ITEM_TYPES[ITEM_TYPES.length - 1] as ItemType;

const byName: ReadonlyMap<string, ItemType> = new Map([
  ...ITEM_TYPES.map((type) => [type.type, type] as const),
  // What Android SDK 8.10 and 8.11 send.
  ["profile_chunk_ui", ITEM_TYPES.find(({ type }) => type === "profile_chunk") ?? UNKNOWN],
]);

/** The row of a type as it is named on the wire; the unknown row when there is none. */
export function itemType(name: string): ItemType {
  return byName.get(name) ?? UNKNOWN;
}

const CRASHES: ReadonlySet<string> = new Set([
  "event.minidump",
  "event.applecrashreport",
  "event.payload",
  "event.breadcrumbs",
  "playstation.prosperodump",
]);

/** Whether the item makes an event: event items do, and attachments that are crash reports. */
export function createsEvent(item: Pick<CountedItem, "type" | "headers">): boolean {
  if (item.type.createsEvent) return true;
  return item.type.type === "attachment" && CRASHES.has(item.headers.attachment_type ?? "");
}

const UI_PLATFORMS: ReadonlySet<string> = new Set(["cocoa", "android", "javascript"]);

/** Whether a profile was taken in a user interface; `null` when its header does not say the platform. */
function isUiProfile(headers: ItemHeaders): boolean | null {
  return typeof headers.platform === "string" ? UI_PLATFORMS.has(headers.platform) : null;
}

function profileCategory(headers: ItemHeaders): DataCategory | null {
  const isUi = isUiProfile(headers);
  return isUi === null ? null : isUi ? "profile_ui" : "profile_backend";
}

function chunkCategory(headers: ItemHeaders): DataCategory | null {
  const isUi = isUiProfile(headers);
  return isUi === null ? null : isUi ? "profile_chunk_ui" : "profile_chunk";
}

/** Categories whose rate limits hold for this item, in the order they are checked (control reference, section 6). */
export function limitCategories(item: Pick<CountedItem, "type" | "headers">): readonly DataCategory[] {
  if (item.type.limitGroup !== "profile") return item.type.limitedBy;
  const category = item.type.type === "profile" ? profileCategory(item.headers) : chunkCategory(item.headers);
  return category === null ? item.type.limitedBy : [...item.type.limitedBy, category];
}

/** What the item counts for in outcomes (ingestion reference, section 3.4). Attachments and logs count bytes, too. */
export function itemQuantities(item: CountedItem): readonly Quantity[] {
  const { headers } = item;
  const bytes = Math.max(1, item.payloadEnd - item.payloadStart);
  const count = item.type.container ? headers.item_count ?? 1 : 1;
  switch (item.type.type) {
    case "transaction": {
      const spans = (headers.span_count ?? 0) + 1;
      return [["transaction", 1], ["transaction_indexed", 1], ["span", spans], ["span_indexed", spans]];
    }
    case "attachment":
      return [["attachment", bytes], ["attachment_item", 1]];
    case "log":
      return [["log_byte", bytes], ["log_item", count]];
    case "trace_metric":
      return [["trace_metric", count], ["trace_metric_byte", bytes]];
    case "span":
      return [["span", count], ["span_indexed", count]];
    case "profile": {
      const category = profileCategory(headers);
      const base: Quantity[] = [["profile", 1], ["profile_indexed", 1]];
      return category === null ? base : [...base, [category, 1]];
    }
    case "profile_chunk": {
      const category = chunkCategory(headers);
      return category === null ? [] : [[category, 1]];
    }
    // Buckets are counted where metrics are, not as items of an envelope.
    case "statsd":
    case "metric_buckets":
      return [];
    default: {
      const category = item.type.limitedBy[0];
      return category === undefined ? [] : [[category, count]];
    }
  }
}

/**
 * What these items of one envelope count for together, one pair per category.
 *
 * A crash report counts as an error when no item beside it is an event already.
 */
export function totalQuantities(items: readonly CountedItem[]): readonly Quantity[] {
  const only = items[0];
  if (items.length === 1 && only !== undefined && only.type.type !== "attachment") {
    return itemQuantities(only);
  }
  const totals = new Map<DataCategory, number>();
  for (const item of items) {
    for (const [category, quantity] of itemQuantities(item)) {
      totals.set(category, (totals.get(category) ?? 0) + quantity);
    }
  }
  if (!items.some(({ type }) => type.createsEvent) && items.some(createsEvent)) totals.set("error", 1);
  return [...totals];
}
