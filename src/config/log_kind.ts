/** Kinds of values in `logging`, `access_log`, `log_shipping` and `sentry`. */
import { type Dsn, parseDsn } from "../protocol/dsn.ts";
import { type ValueKind } from "./value_kind.ts";
import { oneOf } from "./json_schema.ts";

/** Rooms of the program that log. */
export const LOG_ROOMS = [
  "config",
  "control",
  "guard",
  "lane",
  "listener",
  "logs",
  "node",
  "projects",
  "quotas",
  "spool",
  "tls",
  "upstream",
] as const;

/** Levels, the least severe last. */
export const LOG_LEVELS = ["off", "error", "warn", "info", "debug", "trace"] as const;

type Level = typeof LOG_LEVELS[number];

/** Levels of single rooms. */
export const roomLevels: ValueKind<Readonly<Record<string, Level>>> = {
  form: "map of rooms to levels",
  rule: `must be a map from rooms (${LOG_ROOMS.join(", ")}) to levels (${LOG_LEVELS.join(", ")})`,
  choices: LOG_ROOMS,
  json: {
    type: "object",
    properties: Object.fromEntries(LOG_ROOMS.map((room) => [room, oneOf(LOG_LEVELS)])),
    additionalProperties: false,
  },
  read(raw) {
    if (typeof raw !== "object" || raw === null || Array.isArray(raw)) return undefined;
    const entries = Object.entries(raw).map(([room, level]) => [room, levelOf(level)] as const);
    const isValid = entries.every(([room, level]) => isRoom(room) && level !== undefined);
    return isValid ? Object.fromEntries(entries) as Record<string, Level> : undefined;
  },
};

function levelOf(raw: unknown): Level | undefined {
  return typeof raw === "string" ? LOG_LEVELS.find((level) => level === raw.toLowerCase()) : undefined;
}

function isRoom(name: string): boolean {
  return (LOG_ROOMS as readonly string[]).includes(name);
}

/** Where something is posted to. */
export const httpUrl: ValueKind<string> = {
  form: "URL",
  rule: "must be a URL of the form http(s)://host[:port][/path]",
  read(raw) {
    const url = typeof raw === "string" ? URL.parse(raw) : null;
    return url && /^https?:$/.test(url.protocol) && url.hostname !== "" ? url.href : undefined;
  },
};

/** Project of a Sentry. */
export const dsn: ValueKind<Dsn> = {
  form: "DSN",
  rule: "must be a DSN of the form http(s)://key@host[:port]/project",
  read(raw) {
    try {
      return typeof raw === "string" ? parseDsn(raw) : undefined;
    } catch {
      return undefined;
    }
  },
};

/** Name of a sink: of a folder, and in metrics. */
export const sinkName: ValueKind<string> = {
  form: "name",
  rule: "must be a name of letters, digits, - and _, at most 32 of them",
  read: (raw) => typeof raw === "string" && /^[\w-]{1,32}$/.test(raw) ? raw : undefined,
};

const LOGS = ["access", "node"] as const;

/** Which logs. */
export const logNames: ValueKind<readonly (typeof LOGS[number])[]> = {
  form: "list of `access`, `node`",
  rule: "must be a list of access and node",
  choices: LOGS,
  json: { type: "array", items: oneOf(LOGS) },
  read(raw) {
    if (!Array.isArray(raw) || raw.length === 0) return undefined;
    return raw.every((name) => (LOGS as readonly unknown[]).includes(name)) ? raw : undefined;
  },
};
