const SIMPLE = /^[0-9a-fA-F]{32}$/;
const HYPHENATED = /^[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$/;

/** An event id as 32 lower-case hex digits; `null` when `text` is no UUID with or without dashes. */
export function parseEventId(text: string): string | null {
  if (SIMPLE.test(text)) return text.toLowerCase();
  return HYPHENATED.test(text) ? text.replaceAll("-", "").toLowerCase() : null;
}

/** A random event id, 32 lower-case hex digits. */
export function newEventId(): string {
  return crypto.randomUUID().replaceAll("-", "");
}

/** An event id as a UUID with dashes, which some clients expect. */
export function hyphenated(eventId: string): string {
  return eventId.replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
}
