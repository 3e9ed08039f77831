/**
 * Logging, off the hot path: LogTape with one category per room, written to standard error.
 *
 * Why synchronous lines: what is logged here is rare (state changes, refusals of configuration, faults), and a line
 * that is still in a buffer when the process dies is the one that was needed.
 */
import {
  configureSync,
  getJsonLinesFormatter,
  getLogger,
  type Logger,
  type LogLevel,
} from "@logtape/logtape";

/** Logger of a room. */
export type { Logger };

/** How log lines look. `simplified` is one plain line; `pretty` adds colour. */
export type LogFormat = "pretty" | "simplified" | "json";

/** Levels as a Relay's configuration names them. */
export type ConfigLogLevel = "off" | "error" | "warn" | "info" | "debug" | "trace";

/** Options of {@link configureLogging}. */
export interface LogOptions {
  level: ConfigLogLevel;
  format: LogFormat;
}

const COLOURS: Readonly<Record<LogLevel, string>> = {
  trace: "\x1b[90m",
  debug: "\x1b[90m",
  info: "\x1b[36m",
  warning: "\x1b[33m",
  error: "\x1b[31m",
  fatal: "\x1b[31m",
};

const formatJson = getJsonLinesFormatter();
const encoder = new TextEncoder();

/** The logger of a room. */
export function logger(room: string): Logger {
  return getLogger(["landfall", room]);
}

/** Sets up logging for this isolate; the main isolate and every worker call it once. */
export function configureLogging({ level, format }: LogOptions): void {
  configureSync({
    reset: true,
    sinks: {
      stderr: (record) => {
        const { level, category, message, properties } = record;
        if (format === "json") return write(formatJson(record));
        const text = message.map((part, i) => i % 2 === 0 ? part : Deno.inspect(part)).join("");
        const details = Object.entries(properties).map(([key, value]) => ` ${key}=${plain(value)}`).join("");
        const time = new Date(record.timestamp).toISOString();
        const name = format === "pretty"
          ? `${COLOURS[level]}${level.toUpperCase()}\x1b[0m`
          : level.toUpperCase();
        write(`${time} ${name} ${category.slice(1).join(".")}: ${text}${details}\n`);
      },
    },
    loggers: [
      { category: "landfall", sinks: level === "off" ? [] : ["stderr"], lowestLevel: lowest(level) },
      { category: ["logtape", "meta"], sinks: [], lowestLevel: "fatal" },
    ],
  });
}

function lowest(level: ConfigLogLevel): LogLevel {
  if (level === "warn") return "warning";
  return level === "off" ? "fatal" : level;
}

function plain(value: unknown): string {
  if (typeof value === "string") return /[\s"=]/.test(value) ? JSON.stringify(value) : value;
  if (value instanceof Error) return JSON.stringify(`${value.name}: ${value.message}`);
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}

function write(line: string): void {
  let bytes = encoder.encode(line);
  while (bytes.length > 0) bytes = bytes.subarray(Deno.stderr.writeSync(bytes));
}
