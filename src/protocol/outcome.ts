/**
 * Outcomes: what became of an item, in the vocabulary Sentry uses.
 *
 * Source: reference of the control plane, section 10. Every item that is not delivered ends in exactly one outcome with
 * exactly one reason; `accepted` is counted when the upstream has taken the record.
 */
export const OUTCOMES = [
  "accepted",
  "filtered",
  "rate_limited",
  "invalid",
  "abuse",
  "client_discard",
] as const;

/** Name of an outcome. */
export type Outcome = (typeof OUTCOMES)[number];

/**
 * Reasons a node gives itself, those of inbound filters as Sentry spells them. `other` also stands for reason codes an
 * upstream or a quota made up, and for generic filters.
 */
export const REASONS = [
  "none",
  "generic",
  "quota",
  "spool_full",
  "spool_pressure",
  "project_share",
  "rate_zone",
  "in_flight",
  "overload",
  "denied",
  "banned",
  "project_id",
  "cors",
  "auth_version",
  "auth_client",
  "no_data",
  "too_large",
  "disallowed_method",
  "content_type",
  "feature_disabled",
  "invalid_signature",
  "missing_signature",
  "payload",
  "empty_body",
  "invalid_json",
  "invalid_envelope",
  "invalid_compression",
  "invalid_event_id",
  "invalid_multipart",
  "invalid_msgpack",
  "invalid_minidump",
  "missing_minidump_upload",
  "security_report_type",
  "internal_envelope",
  "queue_failed",
  "timestamp",
  "corrupt_record",
  "upstream_rejected",
  "upstream_error",
  "duplicate_item",
  "unknown_item",
  "browser-extensions",
  "error-message",
  "filtered-transaction",
  "invalid-csp",
  "ip-address",
  "legacy-browsers",
  "localhost",
  "release-version",
  "web-crawlers",
  "sampled",
  "other",
] as const;

/** Reason of an outcome, bounded so that it can be a metric label. */
export type Reason = (typeof REASONS)[number];
