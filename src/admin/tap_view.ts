/** What of an envelope an operator is shown: unless it is asked for, without what should not be on a screen. */
import type { TapEvent, TappedItem } from "../telemetry/tap_event.ts";

const HIDDEN = "[redacted]";
/** Names of values that are secrets or persons, wherever they stand. */
const SECRET_NAME =
  /pass(word|wd|phrase)?$|secret|token|authorization|^auth$|cookie|api[-_]?key|credential|private[-_]?key|session[-_]?id|^csrf|xsrf|credit|card|^ssn$|^email$|ip_address|^ip$|forwarded/i;
const KEY_CHARS = 8;
const DEPTH_MAX = 50;

/** A step as JSON. @param raw whether nothing is to be hidden */
export function shownTapEvent(event: TapEvent, raw: boolean): object {
  if (raw) return event;
  const key = `${event.key.slice(0, KEY_CHARS)}…`;
  if (event.stage !== "answered") return { ...event, key };
  const { dsn: _, ...headers } = event.headers;
  return { ...event, key, headers: scrubbed(headers), items: event.items.map(shownItem) };
}

function shownItem({ payload, ...item }: TappedItem): object {
  const headers = scrubbed(item.headers);
  if (payload === undefined) return { ...item, headers };
  try {
    return { ...item, headers, payload: scrubbed(JSON.parse(payload)) };
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    // What is no JSON cannot be searched for secrets.
    return { ...item, headers, payload: HIDDEN };
  }
}

/** A value without those inside whose names say that they are secret. */
export function scrubbed(value: unknown, depth = 0): unknown {
  if (depth > DEPTH_MAX) return HIDDEN;
  if (Array.isArray(value)) {
    const [name, , ...rest] = value;
    // Headers are often pairs of name and value.
    if (value.length === 2 && rest.length === 0 && typeof name === "string" && SECRET_NAME.test(name)) {
      return [name, HIDDEN];
    }
    return value.map((element) => scrubbed(element, depth + 1));
  }
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, inner]) => [
      name,
      SECRET_NAME.test(name) && inner !== null ? HIDDEN : scrubbed(inner, depth + 1),
    ]),
  );
}
