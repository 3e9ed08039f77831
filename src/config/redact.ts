/** How values are shown to people: secrets left out, long ones cut. */
import { REDACTED, redactUrls } from "../core/redact_text.ts";

export { REDACTED };

/** Keys inside a value that is a mapping, e.g. below `upstreams`, which hold secrets. */
export const SECRET_NAMES: ReadonlySet<string> = new Set([
  "authorization",
  "private_key",
  "privateKey",
  "headers",
]);

const SHOWN_CHARS_MAX = 80;

/** A value without the secrets it may hold: all of it when `secret`, otherwise the user part of any URL in it. */
export function redact(value: unknown, secret = false): unknown {
  if (value === null || value === undefined) return value;
  if (secret) return REDACTED;
  if (typeof value === "string") return redactUrls(value);
  if (Array.isArray(value)) return value.map((element) => redact(element));
  if (typeof value !== "object") return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, inner]) => [name, redact(inner, SECRET_NAMES.has(name))]),
  );
}

/** A value for an error message: JSON, without secrets, cut to a line. */
export function showValue(value: unknown, secret = false): string {
  const text = secret ? REDACTED : JSON.stringify(redact(value)) ?? String(value);
  return text.length > SHOWN_CHARS_MAX ? `${text.slice(0, SHOWN_CHARS_MAX)}…` : text;
}
