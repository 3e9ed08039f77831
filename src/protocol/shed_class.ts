/**
 * Which categories a node gives up first when it cannot take everything.
 *
 * | class  | categories                                            | given up |
 * |--------|-------------------------------------------------------|----------|
 * | bulky  | replays, profiles, attachments                        | first    |
 * | costly | transactions, spans, logs, metrics                    | then     |
 * | rest   | errors, check-ins, sessions, feedback, everything else | last     |
 */
import type { DataCategory } from "./data_category.ts";

/** Large, and missed least. */
export const BULKY_CATEGORIES: readonly DataCategory[] = [
  "replay",
  "replay_video",
  "profile",
  "profile_indexed",
  "profile_backend",
  "profile_ui",
  "profile_chunk",
  "profile_chunk_ui",
  "attachment",
  "attachment_item",
];

/** Many, and statistics rather than single facts. */
export const COSTLY_CATEGORIES: readonly DataCategory[] = [
  "transaction",
  "transaction_indexed",
  "span",
  "span_indexed",
  "log_item",
  "log_byte",
  "trace_metric",
  "trace_metric_byte",
  "metric_bucket",
];
