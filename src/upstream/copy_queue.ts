/**
 * Copies of what one upstream took, for another: to fill a new upstream while the old one still counts.
 *
 * Nothing here ever matters to the first: copies are made after a record was settled, wait in a queue of
 * {@link COPY_BYTES_MAX} bytes, and are tried once. What finds no room, what is too large to be held, and what fails is
 * counted, no more. While the other upstream is held for down, the queue fills and overflows.
 */
import type { Clock, Timer } from "../core/clock.ts";
import { METRICS } from "../telemetry/catalogue.ts";
import type { Metrics } from "../telemetry/registry.ts";
import { BodyLostError, type ForwardJob } from "./forward_source.ts";
import type { ForwardTarget } from "./forward_target.ts";

/** Bytes of bodies that wait, per lane and upstream. */
export const COPY_BYTES_MAX = 16 * 1024 * 1024;
/** Copies under way at once. */
const CONCURRENT_MAX = 16;
/** How often is looked whether the other traffic of a busy upstream leaves room. */
const LOOK_MS = 500;

/** Copies on their way to one upstream. */
export class CopyQueue {
  readonly #waiting: ForwardJob[] = [];
  #bytes = 0;
  #inFlight = 0;
  #closed = false;
  #timer: Timer | null = null;

  constructor(
    readonly target: ForwardTarget,
    private readonly metrics: Metrics,
    private readonly clock: Clock,
  ) {
    target.listeners.add(() => this.pump());
  }

  /** Takes a record that was delivered elsewhere. */
  push(job: ForwardJob): void {
    const isTooMuch = job.stream !== null || this.#bytes + job.body.length > COPY_BYTES_MAX;
    if (isTooMuch || this.#closed) return this.#count("dropped");
    // The body may be a view of a whole segment's buffer, which must not live as long as the copy.
    this.#waiting.push({ ...job, body: job.body.slice() });
    this.#bytes += job.body.length;
    this.pump();
  }

  /** Sends what may be sent now. */
  pump(): void {
    const { target } = this;
    while (this.#waiting.length > 0 && this.#inFlight < CONCURRENT_MAX && !this.#closed) {
      const nowMs = this.clock.monotonic();
      const readyAtMs = target.readyAtMs(nowMs);
      if (readyAtMs > nowMs) return this.#pumpAt(readyAtMs, nowMs);
      void this.#send(this.#waiting.shift()!);
    }
  }

  close(): void {
    this.#closed = true;
    this.#timer?.cancel();
    for (const _ of this.#waiting.splice(0)) this.#count("dropped");
    this.#bytes = 0;
  }

  #pumpAt(atMs: number, nowMs: number): void {
    this.#timer ??= this.clock.after(Math.min(LOOK_MS, atMs - nowMs), () => {
      this.#timer = null;
      this.pump();
    });
  }

  async #send(job: ForwardJob): Promise<void> {
    this.#inFlight++;
    try {
      const result = await this.target.deliver(job);
      this.#count(result?.kind === "delivered" ? "delivered" : "failed");
    } catch (error) {
      if (!(error instanceof BodyLostError)) throw error;
      this.#count("failed");
    } finally {
      this.#inFlight--;
      this.#bytes = Math.max(0, this.#bytes - job.body.length);
      this.pump();
    }
  }

  #count(result: "delivered" | "failed" | "dropped"): void {
    this.metrics.add(METRICS.copies, 1, result);
  }
}
