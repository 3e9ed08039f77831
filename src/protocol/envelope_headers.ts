/**
 * The headers of envelopes and items: which keys are known, and what may stand in them.
 *
 * Known keys are judged as strictly as Relay does, so that nothing is accepted here that the upstream would refuse;
 * all other keys are kept as they are. Source: ingestion reference, sections 3.2 and 3.3.
 */
import { parseIp } from "../core/cidr.ts";
import { parseEventId } from "./event_id.ts";
import { type JsonObject, repeatedKeys } from "./json_object.ts";

/** Header of an envelope, as sent. */
export interface EnvelopeHeaders {
  readonly event_id?: string | null;
  readonly dsn?: string | null;
  readonly client?: string | null;
  readonly version?: number;
  readonly origin?: string | null;
  readonly remote_addr?: string | null;
  readonly forwarded_for?: string;
  readonly user_agent?: string | null;
  readonly no_cache?: boolean;
  /** RFC 3339. */
  readonly sent_at?: string | null;
  readonly required_features?: readonly string[];
  /** Dynamic sampling context; of any shape, since an invalid one is no error. */
  readonly trace?: unknown;
  readonly [other: string]: unknown;
}

/** Header of an item, as sent. */
export interface ItemHeaders {
  readonly type: string;
  /** Bytes of the payload; without it the payload ends at the next newline. */
  readonly length?: number | null;
  /** Number of items in a container. */
  readonly item_count?: number | null;
  readonly attachment_type?: string | null;
  readonly content_type?: string | null;
  readonly filename?: string | null;
  readonly platform?: string | null;
  /** Number of spans in a transaction, not counting its own. */
  readonly span_count?: number | null;
  readonly [other: string]: unknown;
}

/** Says what a value should have been, or `null` when it is right. */
type Check = (value: unknown) => string | null;

/** Accepts what `test` accepts. */
function expects(expected: string, test: (value: unknown) => boolean): Check {
  return (value) => (test(value) ? null : expected);
}

/** Accepts null as well. */
function optional(check: Check): Check {
  return (value) => (value === null ? null : check(value));
}

function uint(bits: number): Check {
  const end = 2 ** bits;
  return expects(`u${bits}`, (value) => Number.isInteger(value) && Number(value) >= 0 && Number(value) < end);
}

const string = expects("a string", (value) => typeof value === "string");
const boolean = expects("a boolean", (value) => typeof value === "boolean");
const uuid = expects("UUID string", (value) => typeof value === "string" && parseEventId(value) !== null);
const url = expects("a URL", (value) => typeof value === "string" && URL.canParse(value));
const address = expects("IP address", (value) => typeof value === "string" && parseIp(value) !== null);
const strings = expects(
  "an array of strings",
  (value) => Array.isArray(value) && value.every((entry) => typeof entry === "string"),
);

const RFC_3339 =
  /^\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])[Tt ](?:[01]\d|2[0-3]):[0-5]\d:(?:[0-5]\d|60)(?:\.\d+)?(?:[Zz]|[+-](?:[01]\d|2[0-3]):?[0-5]\d)$/;
const timestamp = expects(
  "an RFC 3339 formatted date and time string",
  (value) => typeof value === "string" && RFC_3339.test(value),
);

const HINTS = ["sec_ch_ua_platform", "sec_ch_ua_platform_version", "sec_ch_ua", "sec_ch_ua_model"] as const;
const clientHints = expects("client hints", (value) => {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return false;
  const hints = value as Readonly<Record<string, unknown>>;
  return HINTS.every((name) => hints[name] === undefined || optional(string)(hints[name]) === null);
});

/**
 * Keys that describe the request; the ones read when the envelope's header authenticates it.
 *
 * A `dsn` is read by whoever asks for it, once: that costs as much as judging the rest of a header.
 */
const META_CHECKS: readonly (readonly [string, Check])[] = [
  ["dsn", optional(string)],
  ["client", optional(string)],
  ["version", uint(16)],
  ["origin", optional(url)],
  ["remote_addr", optional(address)],
  ["forwarded_for", string],
  ["user_agent", optional(string)],
  ["client_hints", clientHints],
  ["no_cache", boolean],
];

/** A header's known keys. */
export interface HeaderSchema {
  readonly checks: ReadonlyMap<string, Check>;
  /** Key that must be there. */
  readonly required: string | null;
}

/** Known keys of an envelope's header. */
export const ENVELOPE_HEADER: HeaderSchema = {
  required: null,
  checks: new Map([
    ...META_CHECKS,
    ["event_id", optional(uuid)],
    ["retention", optional(uint(16))],
    ["downsampled_retention", optional(uint(16))],
    ["sent_at", optional(timestamp)],
    ["trace", () => null],
    ["required_features", strings],
  ]),
};

/** Known keys of an envelope's header that authenticates the request by itself (ingestion reference, section 2). */
export const AUTH_HEADER: HeaderSchema = {
  required: "dsn",
  checks: new Map([...META_CHECKS, ["dsn", string]]),
};

/** Known keys of an item's header. */
export const ITEM_HEADER: HeaderSchema = {
  required: "type",
  checks: new Map([
    ["type", string],
    ["length", optional(uint(32))],
    ["item_count", optional(uint(32))],
    ["attachment_type", optional(string)],
    ["content_type", optional(string)],
    ["filename", optional(string)],
    ["platform", optional(string)],
    ["routing_hint", optional(uuid)],
    ["metrics_extracted", boolean],
    ["spans_extracted", boolean],
    ["fully_normalized", boolean],
    ["sampled", boolean],
    ["span_count", optional(uint(53))],
    ["meta_length", optional(uint(32))],
    ["span_id", optional(string)],
    ["attachment_length", optional(uint(53))],
  ]),
};

/** What is wrong with a header, in words like those of Relay; `null` when nothing is. */
export function headerFault(bytes: Uint8Array, object: JsonObject, schema: HeaderSchema): string | null {
  let keys = 0;
  for (const key in object.value) {
    keys++;
    const check = schema.checks.get(key);
    if (check === undefined) continue;
    const expected = check(object.value[key]);
    if (expected !== null) {
      return `invalid value: ${shown(object.value[key])}, expected ${expected} for \`${key}\``;
    }
  }
  if (schema.required !== null && object.value[schema.required] === undefined) {
    return `missing field \`${schema.required}\``;
  }
  if (keys === object.pairs) return null;
  const repeated = repeatedKeys(bytes, object).find((key) => schema.checks.has(key));
  return repeated === undefined ? null : `duplicate field \`${repeated}\``;
}

/** Enough of a value to recognise it by. */
function shown(value: unknown): string {
  if (Array.isArray(value)) return "sequence";
  if (typeof value === "object" && value !== null) return "map";
  if (typeof value !== "string") return String(value);
  return `string ${JSON.stringify(value.slice(0, 64))}`;
}
