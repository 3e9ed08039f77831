/**
 * What filters read of sessions, spans, logs and metrics, each of which keeps it elsewhere.
 *
 * Spans come in two forms: alone in an item, with `data`, and many in a container, with `attributes`, as logs and metrics do.
 * Source: control reference, section 7; names of attributes are those of Sentry's conventions.
 */
import type { JsonRecord } from "../condition_field.ts";
import type { FilteredKind } from "./filter.ts";
import type { Browser } from "./legacy_browsers.ts";

/** A part that was read; `null` stands for what it does not say. */
export interface FilteredPart {
  readonly kind: FilteredKind;
  readonly record: JsonRecord;
  readonly release: string | null;
  /** Name of the transaction a span belongs to. */
  readonly transaction: string | null;
  readonly url: string | null;
  /** Address of the user it is about. */
  readonly address: string | null;
  readonly userAgent: string | null;
  /** The browser as the client named it. */
  readonly browser: Browser | null;
}

const NOTHING = {
  release: null,
  transaction: null,
  url: null,
  address: null,
  userAgent: null,
  browser: null,
};

/** Reads a part. Whatever is no object says nothing. */
export function filteredPart(kind: FilteredKind, raw: unknown): FilteredPart {
  const record = objectOf(raw) ?? {};
  if (kind === "session") return sessionPart(record);
  const legacy = objectOf(record.data);
  return kind === "span" && legacy !== null ? spanPart(record, legacy) : attributesPart(kind, record);
}

function sessionPart(record: JsonRecord): FilteredPart {
  const attributes = objectOf(record.attrs) ?? {};
  return {
    ...NOTHING,
    kind: "session",
    record,
    release: textOf(attributes.release),
    address: textOf(attributes.ip_address),
    userAgent: textOf(attributes.user_agent),
  };
}

function spanPart(record: JsonRecord, data: JsonRecord): FilteredPart {
  return {
    ...NOTHING,
    kind: "span",
    record,
    release: textOf(data["sentry.release"] ?? data.release),
    transaction: textOf(data["sentry.segment.name"] ?? data.segment_name),
    url: textOf(data["url.full"]),
    address: textOf(data["client.address"]),
    userAgent: textOf(data["user_agent.original"]),
  };
}

function attributesPart(kind: FilteredKind, record: JsonRecord): FilteredPart {
  const attributes = objectOf(record.attributes) ?? {};
  const named = (name: string): string | null =>
    Object.hasOwn(attributes, name) ? textOf(objectOf(attributes[name])?.value) : null;
  const [family, version] = [named("sentry.browser.name"), named("sentry.browser.version")];
  const major = version === null ? NaN : Number(version.split(".")[0] || NaN);
  return {
    ...NOTHING,
    kind,
    record,
    release: named("sentry.release"),
    transaction: kind === "span" ? named("sentry.segment.name") : null,
    userAgent: named("user_agent.original"),
    browser: family !== null && Number.isInteger(major)
      ? { family: family === "IE Mobile" ? "IE" : family, major }
      : null,
  };
}

function objectOf(value: unknown): JsonRecord | null {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? value as JsonRecord : null;
}

const textOf = (value: unknown): string | null => typeof value === "string" && value !== "" ? value : null;
