/**
 * Rate limits as `X-Sentry-Rate-Limits` and `Retry-After` carry them, both ways.
 *
 * Grammar: `<seconds>:<category;category>:<scope>[:<reason>[:<namespace;namespace>]]`, joined with `, `. Parsing is
 * lenient, because what cannot be understood must not hide the limits beside it. Source: control reference, section 6;
 * ingestion reference, section 5.5.
 */
import { type DataCategory, dataCategory } from "./data_category.ts";

/** Whom a limit holds for. */
export type RateLimitScope = "organization" | "project" | "key";

/** A limit that holds until a moment. */
export interface RateLimit {
  /** Categories it holds for; empty for all of them. */
  readonly categories: readonly DataCategory[];
  readonly scope: RateLimitScope;
  /** Reason code, for outcomes. */
  readonly reason: string | null;
  /** Metric namespaces it is restricted to; empty for no restriction. */
  readonly namespaces: readonly string[];
  /** Wall clock, milliseconds since the epoch. */
  readonly expiresAtMs: number;
}

/** How long an upstream is left alone that answers 429 without saying how long, in seconds. */
const SILENT_429_SECONDS = 60;

const NUMBER = /^[+-]?(?:\d+\.?\d*(?:e[+-]?\d+)?|\.\d+(?:e[+-]?\d+)?|inf|infinity|nan)$/i;

/** The limits of a header, expired ones included; entries without readable seconds are skipped. */
export function parseRateLimits(header: string, nowMs: number): RateLimit[] {
  const limits: RateLimit[] = [];
  for (const entry of header.split(",")) {
    const [seconds = "", categories = "", scope = "", reason = "", namespaces = ""] = entry.split(":").map((
      part,
    ) => part.trim());
    const waitMs = waitMsOf(seconds, nowMs);
    if (waitMs === null) continue;
    limits.push({
      categories: [...new Set(listOf(categories).map(dataCategory))],
      scope: scope === "organization" || scope === "project" ? scope : "key",
      reason: reason === "" ? null : reason,
      namespaces: listOf(namespaces),
      expiresAtMs: nowMs + waitMs,
    });
  }
  return limits;
}

/** Seconds rounded up, in milliseconds; 0 for negative, endless or absurd ones, `null` for what is no number. */
function waitMsOf(seconds: string, nowMs: number): number | null {
  if (!NUMBER.test(seconds)) return null;
  const waitMs = Math.ceil(Number(seconds)) * 1000;
  return waitMs > 0 && Number.isSafeInteger(nowMs + waitMs) ? waitMs : 0;
}

function listOf(text: string): string[] {
  return text === "" ? [] : text.split(";").map((name) => name.trim()).filter((name) => name !== "");
}

/** The header for these limits; empty when none of them is active any more. */
export function formatRateLimits(limits: readonly RateLimit[], nowMs: number): string {
  return limits.filter((limit) => limit.expiresAtMs > nowMs).map((limit) => formatOne(limit, nowMs)).join(
    ", ",
  );
}

function formatOne(limit: RateLimit, nowMs: number): string {
  let text = `${secondsLeft(limit, nowMs)}:${limit.categories.join(";")}:${limit.scope}`;
  if (limit.reason !== null || limit.namespaces.length > 0) text += `:${inHeader(limit.reason ?? "")}`;
  if (limit.namespaces.length > 0) text += `:${limit.namespaces.map(inHeader).join(";")}`;
  return text;
}

/** Reasons come from project files and upstreams, and one bad letter would spoil the header of every answer. */
function inHeader(text: string): string {
  return text.replace(/[^ -~]|[:;,]/g, "_");
}

function secondsLeft(limit: RateLimit, nowMs: number): number {
  return Math.max(0, Math.ceil((limit.expiresAtMs - nowMs) / 1000));
}

/** `Retry-After` for these limits: seconds left of the longest one, rounded up. */
export function retryAfterSeconds(limits: readonly RateLimit[], nowMs: number): number {
  return limits.reduce((longest, limit) => Math.max(longest, secondsLeft(limit, nowMs)), 0);
}

/**
 * The active limits that an upstream's 429 stands for (control reference, section 6).
 *
 * Without an active limit in the header it is one for the key and all categories, for as long as `Retry-After` says.
 * An upstream that names no readable time in either header is left alone for a minute: what SDKs do, and unlike Relay,
 * which learns nothing from such an answer.
 */
export function limitsFromResponse(
  headers: { readonly rateLimits: string | null; readonly retryAfter: string | null },
  nowMs: number,
): RateLimit[] {
  const stated = parseRateLimits(headers.rateLimits ?? "", nowMs);
  const active = stated.filter((limit) => limit.expiresAtMs > nowMs);
  if (active.length > 0) return active;
  const silentMs = stated.length > 0 ? 0 : SILENT_429_SECONDS * 1000;
  const waitMs = waitMsOf(headers.retryAfter?.trim() ?? "", nowMs) ?? silentMs;
  if (waitMs === 0) return [];
  return [{ categories: [], scope: "key", reason: "generic", namespaces: [], expiresAtMs: nowMs + waitMs }];
}

/** Whether `limit` holds for `category` now. Limits of metric namespaces hold for metric buckets alone. */
export function limitApplies(limit: RateLimit, category: DataCategory, nowMs: number): boolean {
  if (limit.expiresAtMs <= nowMs || category === "unknown") return false;
  if (limit.namespaces.length > 0 && category !== "metric_bucket") return false;
  return limit.categories.length === 0 || limit.categories.includes(category);
}
