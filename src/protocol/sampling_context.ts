/**
 * Dynamic sampling context: what the head of a trace said about it, in the envelope header `trace`.
 *
 * Source: control reference, section 8 ("DSC"). One that cannot be read is no error: the envelope travels unsampled.
 */
import { parseEventId } from "./event_id.ts";

/** What sampling reads of it. */
export interface SamplingContext {
  /** 32 lower-case hex digits. */
  readonly traceId: string;
  /** Key of the project the trace began in. */
  readonly publicKey: string;
  readonly release: string | null;
  readonly environment: string | null;
  readonly transaction: string | null;
  readonly userId: string | null;
  readonly userSegment: string | null;
  readonly replayId: string | null;
}

type Raw = Readonly<Record<string, unknown>>;

/** Reads the header's value; `null` when it is none. */
export function parseSamplingContext(raw: unknown): SamplingContext | null {
  if (typeof raw !== "object" || raw === null) return null;
  const { trace_id: traceId, public_key: publicKey, sample_rate: rate, sampled, user } = raw as Raw;
  const id = typeof traceId === "string" ? parseEventId(traceId) : null;
  if (id === null || typeof publicKey !== "string" || !/^[0-9a-f]{32}$/i.test(publicKey)) return null;
  if (!isRate(rate) || !isFlag(sampled)) return null;
  const names = [
    "release",
    "environment",
    "transaction",
    "segment_name",
    "user_id",
    "user_segment",
    "replay_id",
  ];
  const texts = names.map((name) => (raw as Raw)[name] ?? null);
  if (!texts.every((text) => text === null || typeof text === "string")) return null;
  const [release, environment, transaction, segmentName, userId, userSegment, replayId] = texts as [
    ...(string | null)[],
  ];
  const nested = (typeof user === "object" && user !== null ? user : {}) as Raw;
  return {
    traceId: id,
    publicKey: publicKey.toLowerCase(),
    release: release ?? null,
    environment: environment ?? null,
    transaction: transaction ?? segmentName ?? null,
    userId: userId ?? textOf(nested.id),
    userSegment: userSegment ?? textOf(nested.segment),
    replayId: replayId ?? null,
  };
}

const textOf = (value: unknown): string | null => typeof value === "string" ? value : null;

/** A number that is text; one that is a number makes the whole unreadable. */
function isRate(value: unknown): boolean {
  if (value === undefined || value === null) return true;
  return typeof value === "string" && value.trim() !== "" && Number(value) >= 0;
}

function isFlag(value: unknown): boolean {
  return value === undefined || value === null || typeof value === "boolean" || value === "true" ||
    value === "false";
}
