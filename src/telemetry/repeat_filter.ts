/**
 * Keeps a fault that repeats from burying everything else: of one kind of entry a few ({@link BURST}) pass within a minute, the
 * rest are counted, and the count is told when the minute is over.
 *
 * Whoever pushes an entry names its kind. Limits: {@link KINDS_MAX} kinds, or as many as asked for, are remembered; when there are more, the one seen longest ago gives way.
 */
import type { LogEntry } from "./log_entry.ts";

/** Entries of a kind that pass within a window. */
export const BURST = 20;
const WINDOW_MS = 60_000;
const KINDS_MAX = 1000;

interface Kind {
  readonly startedMs: number;
  passed: number;
  held: number;
  /** Makes the entry held back last. */
  last: (() => LogEntry) | null;
}

/** Decides which entries are written. */
export class RepeatFilter {
  readonly #kinds = new Map<string, Kind>();
  readonly #write: (entry: LogEntry) => void;
  readonly #burst: number;
  readonly #kindsMax: number;

  /** @param write takes what passes, and what tells of the rest */
  constructor(write: (entry: LogEntry) => void, { burst = BURST, kindsMax = KINDS_MAX } = {}) {
    this.#write = write;
    this.#burst = burst;
    this.#kindsMax = kindsMax;
  }

  /** Passes an entry on, or counts it; one that is held back costs no more than that. */
  push(name: string, timeMs: number, make: () => LogEntry): void {
    let kind = this.#kinds.get(name);
    if (kind && isOver(kind, timeMs)) {
      this.#end(name, kind, timeMs);
      kind = undefined;
    }
    if (!kind) {
      kind = { startedMs: timeMs, passed: 0, held: 0, last: null };
      this.#kinds.set(name, kind);
      if (this.#kinds.size > this.#kindsMax) this.#forgetOldest(timeMs);
    }
    if (kind.passed < this.#burst) {
      kind.passed++;
      return this.#write(make());
    }
    kind.held++;
    kind.last = make;
  }

  /** Tells what was held back in minutes that are over; all of it when `isEnd`. */
  flush(nowMs: number, isEnd = false): void {
    for (const [name, kind] of this.#kinds) {
      if (isEnd || isOver(kind, nowMs)) this.#end(name, kind, nowMs);
    }
  }

  #end(name: string, { held, last: makeLast, startedMs }: Kind, nowMs: number): void {
    this.#kinds.delete(name);
    if (makeLast === null) return;
    const last = makeLast();
    const seconds = Math.max(1, Math.round((nowMs - startedMs) / 1000));
    const message = `repeated ${held.toLocaleString("en")} times in ${seconds} s: ${last.message}`;
    this.#write({ ...last, timeMs: nowMs, message, fields: { ...last.fields, repeated: held, seconds } });
  }

  #forgetOldest(nowMs: number): void {
    const [name, kind] = this.#kinds.entries().next().value!;
    this.#end(name, kind, nowMs);
  }
}

/** A clock that was set back ends a window, too. */
function isOver({ startedMs }: Kind, nowMs: number): boolean {
  return nowMs - startedMs >= WINDOW_MS || nowMs < startedMs;
}
