/**
 * Data categories: what quotas, rate limits and outcomes count.
 *
 * Source: reference of the ingestion protocol, section 8; the position in the list is the category's number.
 */
export const DATA_CATEGORIES = [
  "default",
  "error",
  "transaction",
  "security",
  "attachment",
  "session",
  "profile",
  "replay",
  "transaction_processed",
  "transaction_indexed",
  "monitor",
  "profile_indexed",
  "span",
  "monitor_seat",
  "feedback",
  "metric_bucket",
  "span_indexed",
  "profile_duration",
  "profile_chunk",
  "metric_second",
  "replay_video",
  "uptime",
  "attachment_item",
  "log_item",
  "log_byte",
  "profile_duration_ui",
  "profile_chunk_ui",
  "seer_autofix",
  "seer_scanner",
  "prevent_user",
  "prevent_review",
  "size_analysis",
  "installable_build",
  "trace_metric",
  "seer_user",
  "profile_backend",
  "profile_ui",
  "trace_metric_byte",
  "unknown",
] as const;

/** Name of a data category; `unknown` stands for names this version does not know. */
export type DataCategory = (typeof DATA_CATEGORIES)[number];

const known: ReadonlyMap<string, DataCategory> = new Map([
  ...DATA_CATEGORIES.map((name) => [name, name] as const),
  ["user_report_v2", "feedback"],
]);

/** The category of a name as it appears on the wire; `unknown` when there is none. */
export function dataCategory(name: string): DataCategory {
  return known.get(name) ?? "unknown";
}
