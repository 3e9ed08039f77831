/** Kinds of value that only the guard's keys have. */
import { parseRequestRate } from "../core/request_rate.ts";
import { isProjectKey } from "../protocol/project_key.ts";
import { TEXTS } from "./json_schema.ts";
import type { ValueKind } from "./value_kind.ts";

/** What clients a rate zone tells apart. */
export const ZONE_PARTS = ["address", "project_key", "project_id", "organization"] as const;

/** Name of a {@link ZONE_PARTS} entry. */
export type ZonePart = (typeof ZONE_PARTS)[number];

/** What a client was refused for, as rules of bans name it. */
export const OFFENCES = ["rate", "malformed", "unauthorized", "not_found", "timeout"] as const;

/** Name of an {@link OFFENCES} entry. */
export type Offence = (typeof OFFENCES)[number];

/** A rate as nginx writes it, in thousandths of a request per second. */
export const requestRate: ValueKind<number> = {
  form: "rate",
  rule: "must be a rate such as 100r/s, 600r/m or 1000r/h, at least 4r/h",
  read(raw) {
    try {
      return typeof raw === "string" ? parseRequestRate(raw) : undefined;
    } catch (error) {
      if (error instanceof RangeError) return undefined;
      throw error;
    }
  },
};

/** One part or two of a zone's key, joined with `+`. */
export const zoneKeyKind: ValueKind<readonly ZonePart[]> = {
  form: "key of a zone",
  rule: `must be one of ${ZONE_PARTS.join(", ")}, or two of them joined with +`,
  choices: ZONE_PARTS,
  read(raw) {
    if (typeof raw !== "string") return undefined;
    const parts = raw.split("+").map((part) => part.trim());
    const isKey = parts.length <= 2 && new Set(parts).size === parts.length && parts.every(isZonePart);
    return isKey ? parts as ZonePart[] : undefined;
  },
};

/** Name of a zone: a label of metrics. */
export const zoneNameKind: ValueKind<string> = {
  form: "name",
  rule: "must be a name of 1 to 64 letters, digits and _ . + -",
  read: (raw) => typeof raw === "string" && /^[\w.+-]{1,64}$/.test(raw) ? raw : undefined,
};

/** Name of a zone: its own, else that of its key. */
export function zoneName(
  { name, key }: { readonly name: string | null; readonly key: readonly string[] },
): string {
  return name ?? key.join("+");
}

/** A list of offences, at least one. */
export const offences: ValueKind<readonly Offence[]> = {
  form: "list of offences",
  rule: `must be a list of ${OFFENCES.join(", ")}`,
  json: { type: "array", items: { enum: OFFENCES }, minItems: 1 },
  read: (raw) =>
    Array.isArray(raw) && raw.length > 0 && raw.every((entry) => OFFENCES.includes(entry)) ? raw : undefined,
};

/** Public keys of projects. */
export const projectKeys: ValueKind<readonly string[]> = {
  form: "list of public keys",
  rule: "must be a list of public keys of 32 characters",
  json: TEXTS,
  read: (raw) =>
    Array.isArray(raw) && raw.every((entry) => typeof entry === "string" && isProjectKey(entry))
      ? raw
      : undefined,
};

/** Globs. */
export const globs: ValueKind<readonly string[]> = {
  form: "list of globs",
  rule: "must be a list of globs such as *bot* or curl/*",
  json: TEXTS,
  read: (raw) =>
    Array.isArray(raw) && raw.every((entry) => typeof entry === "string" && entry !== "") ? raw : undefined,
};

function isZonePart(text: string): text is ZonePart {
  return (ZONE_PARTS as readonly string[]).includes(text);
}
