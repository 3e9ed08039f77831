/**
 * Logging, off the hot path: LogTape with one category per room.
 *
 * Every isolate makes entries without secrets (`log_entry.ts`) and holds back what repeats (`repeat_filter.ts`). The main
 * isolate alone writes lines (`log_format.ts`), synchronously to standard error: what is logged is rare, and a line that is
 * still in a buffer when the process dies is the one that was needed. Workers hand their entries over in shared memory
 * (`log_ring.ts`), so no line is torn by another one's, a reader of standard error that hangs never holds up an answer, and
 * the last words of a worker outlive it.
 */
import { configureSync, getLogger, type Logger, type LogLevel, type LogRecord } from "@logtape/logtape";
import { utf8 } from "../core/bytes.ts";
import { systemClock } from "../core/clock.ts";
import { EntryMaker, type LogEntry } from "./log_entry.ts";
import { formatEntry, type LogFormat } from "./log_format.ts";
import { RepeatFilter } from "./repeat_filter.ts";

/** Logger of a room. */
export type { Logger };

/** Levels as a Relay's configuration names them. */
export type ConfigLogLevel = "off" | "error" | "warn" | "info" | "debug" | "trace";

/** How an isolate logs. Plain data: it can be posted to workers. */
export interface LogOptions {
  readonly level: ConfigLogLevel;
  readonly format: LogFormat;
  /** Levels of single rooms. */
  readonly levels?: Readonly<Record<string, ConfigLogLevel>>;
  /** Whether of addresses only the networks show. */
  readonly redactAddresses?: boolean;
  /** Values that must not show. */
  readonly secrets?: readonly string[];
}

/** Takes entries that passed the filter. */
export type LogOutput = (entry: LogEntry) => void;

const listeners = new Set<LogOutput>();
let format: LogFormat = "simplified";
let output: LogOutput = writeEntry;
let filter = new RepeatFilter((entry) => output(entry));

/** The logger of a room. */
export function logger(room: string): Logger {
  return getLogger(["landfall", room]);
}

/**
 * Sets up logging for this isolate; the main isolate and every worker call it at their start and for every change.
 *
 * @param to where entries go: to standard error and {@link onLogEntry} unless told otherwise
 */
export function configureLogging(options: LogOptions, to: LogOutput = writeEntry): void {
  const maker = new EntryMaker(options);
  format = options.format;
  output = to;
  const rooms = Object.entries(options.levels ?? {});
  configureSync({
    reset: true,
    sinks: {
      entries: (record) => filter.push(kindOf(record), record.timestamp, () => maker.entry(record)),
    },
    loggers: [
      { category: ["landfall"], ...atLevel(options.level) },
      ...rooms.map(([room, level]) => ({
        category: ["landfall", room],
        parentSinks: "override" as const,
        ...atLevel(level),
      })),
      { category: ["logtape", "meta"], sinks: [], lowestLevel: "fatal" },
    ],
  });
}

/** Tells what was held back in minutes that are over, or all of it at the end. */
export function flushRepeats(isEnd = false): void {
  filter.flush(systemClock.now(), isEnd);
}

/** Forgets what was held back; for tests. */
export function forgetRepeats(): void {
  filter = new RepeatFilter((entry) => output(entry));
}

/** Has `listener` called with everything that is written. @returns what ends that */
export function onLogEntry(listener: LogOutput): () => void {
  listeners.add(listener);
  return () => void listeners.delete(listener);
}

/** Writes an entry, of this isolate or of a worker, to standard error. */
export function writeEntry(entry: LogEntry): void {
  let bytes = utf8(formatEntry(entry, format));
  while (bytes.length > 0) bytes = bytes.subarray(Deno.stderr.writeSync(bytes));
  for (const listener of listeners) listener(entry);
}

/** Level, room and the message without what differs: a thousand refused records are of one kind. */
function kindOf({ level, category, rawMessage }: LogRecord): string {
  return `${level} ${category.at(-1)} ${typeof rawMessage === "string" ? rawMessage : rawMessage.join("…")}`;
}

function atLevel(level: ConfigLogLevel): { sinks: "entries"[]; lowestLevel: LogLevel } {
  if (level === "off") return { sinks: [], lowestLevel: "fatal" };
  return { sinks: ["entries"], lowestLevel: level === "warn" ? "warning" : level };
}
