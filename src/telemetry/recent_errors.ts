import { onLogEntry } from "./log.ts";
import type { LogEntry } from "./log_entry.ts";

const KEPT = 20;
const CHARS_MAX = 300;

/** A warning or an error of the log. */
export interface RecentError {
  /** Wall clock. */
  readonly atMs: number;
  readonly room: string;
  readonly message: string;
}

/** The last warnings and errors that were logged, by any isolate. */
export class RecentErrors {
  #entries: RecentError[] = [];
  readonly #unlisten = onLogEntry((entry) => this.note(entry));

  /** Newest first. */
  get newest(): readonly RecentError[] {
    return this.#entries;
  }

  /** Keeps an entry if it is one. */
  note({ level, timeMs, room, message }: LogEntry): void {
    if (level !== "warn" && level !== "error" && level !== "fatal") return;
    const short = { atMs: timeMs, room, message: message.slice(0, CHARS_MAX) };
    this.#entries = [short, ...this.#entries.slice(0, KEPT - 1)];
  }

  close(): void {
    this.#unlisten();
  }
}
