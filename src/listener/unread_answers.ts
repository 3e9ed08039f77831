/**
 * Clients that do not read what they are answered; exposure `internet`.
 *
 * Why: an answer that nobody takes holds its socket, and what is left of it its memory, for as long as the peer likes. The
 * system tells nothing of a write before all of it was taken, so a connection is given up when one and the same write
 * has taken `timeouts.answerMs`, and a second more for each {@link BYTES_PER_SECOND} of it.
 *
 * What it costs: nothing per answer; all connections are looked at a few times within that span.
 */
import type { Socket } from "node:net";
import type { Clock, Timer } from "../core/clock.ts";
import { METRICS } from "../telemetry/catalogue.ts";
import type { Metrics } from "../telemetry/registry.ts";
import type { ConnectionTimeouts } from "./engine.ts";

/** Least rate at which long answers are to be read. */
const BYTES_PER_SECOND = 16 * 1024;
const LOOKS = 4;
const LOOK_MS_MAX = 5000;

/** Options of {@link UnreadAnswers}. */
export interface UnreadAnswersOptions {
  readonly clock: Clock;
  readonly timeouts: Pick<ConnectionTimeouts, "answerMs">;
  readonly metrics: Metrics;
}

interface Write {
  /** All bytes handed to the socket so far: another number is another write. */
  readonly bytes: number;
  readonly sinceMs: number;
}

/** Looks after the connections of a server. */
export class UnreadAnswers {
  readonly #o: UnreadAnswersOptions;
  readonly #sockets = new Set<Socket>();
  readonly #writes = new Map<Socket, Write>();
  #timer: Timer | null = null;

  constructor(options: UnreadAnswersOptions) {
    this.#o = options;
  }

  /** Looks after a connection until it closes. */
  watch(socket: Socket): void {
    this.#sockets.add(socket);
    socket.once("close", () => {
      this.#sockets.delete(socket);
      this.#writes.delete(socket);
      if (this.#sockets.size === 0) this.close();
    });
    this.#timer ??= this.#nextLook();
  }

  /** Looks no more until there is another connection. */
  close(): void {
    this.#timer?.cancel();
    this.#timer = null;
  }

  #nextLook(): Timer {
    const { clock, timeouts } = this.#o;
    return clock.after(Math.min(LOOK_MS_MAX, timeouts.answerMs / LOOKS), () => {
      this.#timer = this.#nextLook();
      const nowMs = clock.monotonic();
      for (const socket of this.#sockets) this.#look(socket, nowMs);
    });
  }

  #look(socket: Socket, nowMs: number): void {
    const { writableLength, bytesWritten } = socket;
    if (writableLength === 0) return void this.#writes.delete(socket);
    const write = this.#writes.get(socket);
    if (write?.bytes !== bytesWritten) {
      this.#writes.set(socket, { bytes: bytesWritten, sinceMs: nowMs });
      return;
    }
    const msMax = this.#o.timeouts.answerMs + writableLength / BYTES_PER_SECOND * 1000;
    if (nowMs - write.sinceMs < msMax) return;
    this.#o.metrics.add(METRICS.answersUnread, 1);
    socket.destroy();
  }
}
