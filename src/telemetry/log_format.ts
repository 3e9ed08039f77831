/** Forms of a log line. Each is one line, whatever is in the entry; only `pretty`, for people, shows a stack as it is. */
import type { EntryLevel, LogEntry } from "./log_entry.ts";

/** Names of the forms. */
export const LOG_FORMATS = ["pretty", "simplified", "json", "logfmt"] as const;

/** How log lines look. `simplified` is one plain line; `pretty` adds colour. */
export type LogFormat = typeof LOG_FORMATS[number];

const COLOURS: Readonly<Record<EntryLevel, string>> = {
  trace: "\x1b[90m",
  debug: "\x1b[90m",
  info: "\x1b[36m",
  warn: "\x1b[33m",
  error: "\x1b[31m",
  fatal: "\x1b[31m",
};
const GREY = "\x1b[90m";
const PLAIN = "\x1b[0m";

/** Fields of every line; an entry's own field of such a name gets a `_`. */
const RESERVED: ReadonlySet<string> = new Set(["time", "level", "log", "room", "message", "stack"]);

/** An entry as values by name, in the order in which they are shown. */
export function entryValues(entry: LogEntry): Record<string, unknown> {
  const values: Record<string, unknown> = {
    time: new Date(entry.timeMs).toISOString(),
    level: entry.level,
    log: "node",
    room: entry.room,
    message: entry.message,
  };
  for (const [name, value] of Object.entries(entry.fields)) {
    values[RESERVED.has(name) ? `${name}_` : name] = value;
  }
  if (entry.stack !== undefined) values.stack = entry.stack;
  return values;
}

/** The line of an entry, newline included. */
export function formatEntry(entry: LogEntry, format: LogFormat): string {
  if (format === "json") return `${JSON.stringify(entryValues(entry))}\n`;
  if (format === "logfmt") return formatLogfmt(entryValues(entry));
  const time = new Date(entry.timeMs).toISOString();
  const level = entry.level.toUpperCase();
  const details = Object.entries(entry.fields).map(([name, value]) => ` ${name}=${quoted(value)}`).join("");
  const text = `${entry.room}: ${oneLine(entry.message)}${details}`;
  if (format === "simplified") {
    return `${time} ${level} ${text}${entry.stack === undefined ? "" : ` stack=${quoted(entry.stack)}`}\n`;
  }
  const stack = entry.stack === undefined ? "" : `\n${GREY}${printable(entry.stack)}${PLAIN}`;
  return `${time} ${COLOURS[entry.level]}${level}${PLAIN} ${text}${stack}\n`;
}

/** Values by name as `name=value`, quoted where they must be; newline included. */
export function formatLogfmt(values: Readonly<Record<string, unknown>>): string {
  return `${Object.entries(values).map(([name, value]) => `${name}=${quoted(value)}`).join(" ")}\n`;
}

/** A value as one word: quoted where it would not be one. */
export function quoted(value: unknown): string {
  const text = String(value);
  return /^[^\s"=\\\p{Cc}]+$/u.test(text) ? text : JSON.stringify(text);
}

/** What is logged may hold what a client sent: it must neither begin a line of its own nor control a terminal. */
function oneLine(text: string): string {
  return text.replace(/\p{Cc}/gu, escape);
}

function printable(text: string): string {
  return text.replace(/(?!\n)\p{Cc}/gu, escape);
}

function escape(char: string): string {
  return char === "\n" ? "\\n" : `\\x${char.charCodeAt(0).toString(16).padStart(2, "0")}`;
}
