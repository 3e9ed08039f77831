/**
 * Entries of a worker on their way to the main isolate: a line of JSON each, in shared memory that outlives the worker.
 *
 * Limits: what does not fit while nobody reads is lost and counted; nothing waits.
 */
import { fromUtf8, utf8 } from "../core/bytes.ts";
import type { Clock } from "../core/clock.ts";
import { SharedRing } from "../core/shared_ring.ts";
import type { LogEntry } from "./log_entry.ts";
import type { LogOutput } from "./log.ts";

/** Several times what the repeat filter lets through of one kind. */
const RING_BYTES = 1 << 18;

/** Memory for the entries of one worker. */
export function createLogRing(): SharedArrayBuffer {
  return SharedRing.createBuffer(RING_BYTES);
}

/** Worker: where its entries go. */
export function logToRing(buffer: SharedArrayBuffer): LogOutput {
  const ring = new SharedRing(buffer);
  return (entry) => void ring.push(utf8(`${JSON.stringify(entry)}\n`));
}

/** Main isolate: reads the entries of one worker. */
export class LogRingReader {
  readonly #ring: SharedRing;

  constructor(readonly buffer: SharedArrayBuffer) {
    this.#ring = new SharedRing(buffer);
  }

  /** Hands over what is there. @returns how many entries were lost since the last call */
  read(take: LogOutput): number {
    if (this.#ring.pending > 0) {
      for (const line of fromUtf8(this.#ring.take()).split("\n")) {
        if (line !== "") take(JSON.parse(line) as LogEntry);
      }
    }
    return this.#ring.takeRefused();
  }

  /** Hands over entries as they come, until `signal`. */
  async run(
    clock: Clock,
    signal: AbortSignal,
    take: LogOutput,
    onLost: (count: number) => void,
  ): Promise<void> {
    while (!signal.aborted) {
      const lost = this.read(take);
      if (lost > 0) onLost(lost);
      await this.#ring.wait(clock, signal);
    }
  }
}
