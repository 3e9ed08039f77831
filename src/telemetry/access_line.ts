/**
 * A line of the access log: built by hand as JSON, because one is built for every request; other forms are made of it by
 * whoever writes it, off the path of requests.
 */
import { formatLogfmt, quoted as word } from "./log_format.ts";

/** What is logged of a request. Strings may be anything a client sent; null is left out. */
export interface AccessRecord {
  /** Wall clock of the answer, ms since the epoch. */
  readonly timeMs: number;
  readonly method: string;
  readonly route: string;
  /** Without its query, which may hold keys. */
  readonly path: string;
  readonly status: number;
  /** Why it was refused. */
  readonly reason: string | null;
  /** Of the body, as received. */
  readonly bytes: number;
  /** From its head to its answer. */
  readonly elapsedMs: number;
  readonly client: string;
  readonly projectId: string;
  readonly key: string;
  readonly organizationId: string | null;
  /** Data categories, with commas between. */
  readonly categories: string;
  readonly agent: string | null;
  readonly lane: number;
  readonly eventId: string | null;
}

const PATH_CHARS_MAX = 200;
const AGENT_CHARS_MAX = 160;
const WORD_CHARS_MAX = 64;
const KEY_CHARS_SHOWN = 8;
/** A project key, wherever a path has one. */
const KEY_IN_PATH = /([0-9a-f]{8})[0-9a-f]{24}/gi;

/** What may stand in JSON as it is. */
const PLAIN = /^[ !#-[\]-~]*$/;

/** Builds lines; one for each lane, because it remembers the second it is in. */
export class AccessLineBuilder {
  #second = -1;
  #prefix = "";

  /** The line of a request as JSON, newline included. */
  build(r: AccessRecord): string {
    let line =
      `{"time":"${this.#time(r.timeMs)}","log":"access","method":"${r.method}","route":"${r.route}"` +
      `,"path":${quoted(shownPath(r.path), PATH_CHARS_MAX)},"status":${r.status}`;
    if (r.reason !== null) line += `,"reason":${quoted(r.reason, WORD_CHARS_MAX)}`;
    line += `,"bytes":${r.bytes},"ms":${Math.round(r.elapsedMs * 1000) / 1000},"client":${
      quoted(r.client, WORD_CHARS_MAX)
    }`;
    if (r.projectId !== "") line += `,"project":${quoted(r.projectId, WORD_CHARS_MAX)}`;
    if (r.key !== "") line += `,"key":${quoted(r.key.slice(0, KEY_CHARS_SHOWN), KEY_CHARS_SHOWN)}`;
    if (r.organizationId !== null) line += `,"organization":${quoted(r.organizationId, WORD_CHARS_MAX)}`;
    if (r.categories !== "") line += `,"categories":"${r.categories}"`;
    if (r.agent !== null) line += `,"agent":${quoted(r.agent, AGENT_CHARS_MAX)}`;
    line += `,"lane":${r.lane}`;
    if (r.eventId !== null) line += `,"event":"${r.eventId}"`;
    return `${line}}\n`;
  }

  #time(ms: number): string {
    const second = Math.floor(ms / 1000);
    if (second !== this.#second) {
      this.#second = second;
      this.#prefix = new Date(second * 1000).toISOString().slice(0, 20);
    }
    const rest = ms - second * 1000;
    return `${this.#prefix}${rest < 10 ? "00" : rest < 100 ? "0" : ""}${Math.floor(rest)}Z`;
  }
}

function shownPath(path: string): string {
  return path.length < 32 ? path : path.replace(KEY_IN_PATH, "$1…");
}

function quoted(text: string, charsMax: number): string {
  const cut = text.length > charsMax ? `${text.slice(0, charsMax)}…` : text;
  return PLAIN.test(cut) ? `"${cut}"` : JSON.stringify(cut);
}

/** Forms of the lines of a file. */
export type AccessFormat = "json" | "logfmt" | "combined";

/** A line of JSON in another form, newline included. */
export function formatAccess(line: string, format: AccessFormat): string {
  if (format === "json") return `${line}\n`;
  const values = JSON.parse(line) as Record<string, string | number>;
  if (format === "logfmt") return formatLogfmt(values);
  const { client, time, method, path, status, bytes, agent = "-", reason = "-", ms, project = "-" } = values;
  const text = (value: string | number): string => JSON.stringify(String(value));
  return `${word(client)} - - [${combinedTime(String(time))}] ${
    text(`${method} ${path}`)
  } ${status} ${bytes} "-" ` +
    `${text(agent)} ${word(reason)} ${ms} ${word(project)}\n`;
}

const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/** `02/Jan/2026:03:04:05 +0000`. */
function combinedTime(iso: string): string {
  const month = MONTHS[Number(iso.slice(5, 7)) - 1];
  return `${iso.slice(8, 10)}/${month}/${iso.slice(0, 4)}:${iso.slice(11, 19)} +0000`;
}
