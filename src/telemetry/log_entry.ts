/**
 * What is logged, as plain data without secrets: the same in every isolate and in every form of a line.
 */
import type { LogRecord } from "@logtape/logtape";
import { maskAddresses, REDACTED, TextRedactor } from "../core/redact_text.ts";

/** Severities, the least severe first. */
export const ENTRY_LEVELS = ["trace", "debug", "info", "warn", "error", "fatal"] as const;

/** Severity of an entry. */
export type EntryLevel = typeof ENTRY_LEVELS[number];

/** Something that was logged. */
export interface LogEntry {
  /** Wall clock, ms since the epoch. */
  readonly timeMs: number;
  readonly level: EntryLevel;
  /** Room of the program that logged it. */
  readonly room: string;
  readonly message: string;
  /** The message without its values. */
  readonly template: string;
  readonly fields: Readonly<Record<string, string | number | boolean | null>>;
  /** Where an error came from, several lines. */
  readonly stack?: string;
}

/** Characters of a message, a value or a stack; what is beyond is cut. */
const CHARS_MAX = 4096;
const FIELDS_MAX = 32;
/** Fields whose whole value is a secret, whatever it looks like. */
const SECRET_FIELD = /(^|_)(authorization|password|passwd|secret|token|cookie|private_?key|secret_?key)$/i;

/** Makes entries of what LogTape hands over. */
export class EntryMaker {
  readonly #redactor: TextRedactor;
  readonly #masksAddresses: boolean;

  constructor({ secrets = [], redactAddresses = false }: {
    /** Values that must not show. */
    readonly secrets?: readonly string[];
    /** Whether of addresses only the networks show. */
    readonly redactAddresses?: boolean;
  } = {}) {
    this.#redactor = new TextRedactor(secrets);
    this.#masksAddresses = redactAddresses;
  }

  /** The entry of a record. */
  entry({ timestamp, level, category, message, rawMessage, properties }: LogRecord): LogEntry {
    const fields: Record<string, LogEntry["fields"][string]> = {};
    let stack: string | undefined;
    for (const [name, value] of Object.entries(properties).slice(0, FIELDS_MAX)) {
      fields[name] = SECRET_FIELD.test(name) ? REDACTED : this.#plain(value);
      if (value instanceof Error && value.stack) stack ??= this.#text(value.stack);
    }
    const parts = message.map((part, index) => index % 2 === 0 ? part : this.#plain(part));
    return {
      timeMs: timestamp,
      level: level === "warning" ? "warn" : level,
      room: category.slice(1).join("."),
      message: this.#text(parts.join("")),
      template: typeof rawMessage === "string" ? rawMessage : rawMessage.join("…"),
      fields,
      ...stack !== undefined && { stack },
    };
  }

  #plain(value: unknown): LogEntry["fields"][string] {
    if (value === null || typeof value === "boolean" || typeof value === "number") return value;
    if (typeof value === "string") return this.#text(value);
    if (value instanceof Error) return this.#text(`${value.name}: ${value.message}`);
    if (typeof value === "object") return this.#text(JSON.stringify(value, this.#replaced) ?? "");
    return this.#text(String(value));
  }

  /** Inside of a value: before it is quoted, so that quoting hides nothing. */
  readonly #replaced = (name: string, value: unknown): unknown => {
    if (SECRET_FIELD.test(name)) return REDACTED;
    return typeof value === "string" ? this.#text(value) : value;
  };

  #text(text: string): string {
    const redacted = this.#redactor.redact(text);
    const masked = this.#masksAddresses ? maskAddresses(redacted) : redacted;
    return masked.length > CHARS_MAX ? `${masked.slice(0, CHARS_MAX)}…` : masked;
  }
}
